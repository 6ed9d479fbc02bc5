"""Valuing policies from a log, read once, in memory that does not grow with it.

Each batch is judged before anything is learned from it: by the policies as they were before it, and with a reward
model of earlier rows. Then learners hear of it. So nobody is judged on what they have learned from (Joulani et al.
and others call it progressive validation; Blum, Kalai & Langford 1999), and a policy that learns is valued over
its whole life, its ignorant youth included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from stream.evaluation import estimators
from stream.evaluation.details import curves, titles
from stream.evaluation.intervals import (
    FEW,
    LEVEL,
    GroupSums,
    Interval,
    group_of,
    jackknife,
)
from stream.evaluation.log import Hearing
from stream.evaluation.resamples import Resamples
from stream.evaluation.results import (
    ESTIMATORS,
    LOGGED,
    ON_POLICY,
    Estimate,
    Evaluated,
)
from stream.evaluation.reward_model import RewardModel
from stream.evaluation.tallies import MEASURES, LogTally, Placed, PolicyTally, age_edges_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.checks import Checks
    from stream.evaluation.log import Batch
    from stream.evaluation.policies import Policy
    from stream.evaluation.resamples import Drawn
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]


class Evaluation:
    """Values policies while a log goes by.

    Parameters
    ----------
    roster
        What the log is about.
    policies
        Those to value.
    checks
        What watches the log; None: nothing does.
    seed
        Of the draws for replay and of the resamples.
    """

    def __init__(
        self, roster: Roster, policies: Sequence[Policy], checks: Checks | None = None, *, seed: int = 0
    ) -> None:
        self._roster = roster
        self._policies = tuple(policies)
        self._checks = checks
        self._seed = seed
        self._rng = np.random.default_rng([seed, 7])
        self._model = RewardModel(roster)
        self._hearing = Hearing(roster)
        self._log = LogTally(roster)
        self._tallies = [PolicyTally(roster, self._model.features) for _ in policies]
        self._done = 0

    def add(self, batch: Batch) -> None:
        """Judge a batch, then learn from it."""
        expected = self._model.expected(batch)
        uniform = self._rng.random(len(batch))
        usable = np.flatnonzero(np.isfinite(batch.propensity))
        whole = len(usable) == len(batch)
        judged = batch if whole else batch.rows(usable)
        group, placed = group_of(judged.member), Placed(self._roster, judged, self._done)
        self._log.add(judged, group, placed)
        width = judged.most
        for policy, tally in zip(self._policies, self._tallies, strict=True):
            chances = policy.chances(batch)[usable, :width]
            tally.add(judged, chances, expected[:, usable, :width], group, placed, uniform[usable])
        if self._checks is not None:
            self._checks.see(batch, expected)
        self._model.learn(judged, group)
        if any(policy.learns for policy in self._policies):
            heard = self._hearing.hear(batch)
            for policy in self._policies:
                policy.learn(heard)
        self._done += len(batch)

    def run(self, batches: Iterable[Batch]) -> Evaluated:
        """Take in all batches; what was found."""
        for batch in batches:
            self.add(batch)
        return self.found()

    # --- in the end

    def difference(self, policy: str, other: str, *, at_once: int = 1) -> Interval:
        """How much more a policy earns than another of those valued, doubly robust, of the same members.

        With ``at_once`` comparisons the truth lies within all of their intervals with 95 % confidence
        (Bonferroni): normal intervals, of linearised standard errors.
        """
        by_name = {one.name: tally for one, tally in zip(self._policies, self._tallies, strict=True)}
        rows, column = self._log.sums.of("rows"), f"dr {MEASURES[1]}"
        sums = GroupSums(("rows", "more"))
        sums.sums[:] = rows, by_name[policy].sums.of(column) - by_name[other].sums.of(column)
        if np.count_nonzero(rows) < 2:
            return Interval.nothing()
        both, value = Resamples(rows, count=0).of(sums), sums.total("more") / sums.total("rows")
        half = float(ndtri(1.0 - (1.0 - LEVEL) / (2.0 * at_once))) * both.error("more", "rows")
        return Interval(value, value - half, value + half)

    def found(self) -> Evaluated:
        """What there is to say by now."""
        log = self._log
        resamples = Resamples(log.sums.of("rows"), self._seed)
        names = [policy.name for policy in self._policies]
        estimates = self._of_log(resamples.of(log.sums), log.sums.total("rows"))
        weights: dict[str, Interval] = {}
        for name, tally in zip(names, self._tallies, strict=True):
            drawn = resamples.of(log.sums, tally.sums)
            weights[name] = drawn.ratio("weight", "rows")
            estimates += self._of_policy(name, tally, drawn)
        rows = log.sums.total("rows")
        effective = {
            name: estimators.effective(tally.sums.total("weight"), tally.squares)
            for name, tally in zip(names, self._tallies, strict=True)
        }
        checks = self._checks
        by_name = dict(zip(names, self._tallies, strict=True))
        alone = {name: one.largest / max(one.sums.total("weight"), 1e-9) for name, one in by_name.items()}
        findings = []
        if checks is not None:
            findings = checks.findings(int(rows), resamples.groups, weights, effective, alone)
        return Evaluated(
            roster=self._roster,
            rows=int(rows),
            members=resamples.groups,
            taken=int(log.sums.total(MEASURES[0])),
            estimates=estimates,
            match_rate={name: tally.sums.total("match") / max(rows, 1.0) for name, tally in by_name.items()},
            mean_weight=weights,
            largest_weight={name: tally.largest for name, tally in by_name.items()},
            stretches=curves(log, by_name, "stretches", 0),
            ages=curves(log, by_name, "ages", 1),
            age_edges_ms=age_edges_ms(self._roster),
            titles={name: titles(log, tally, self._roster) for name, tally in by_name.items()},
            findings=findings,
            unchecked={} if checks is None else checks.unchecked(),
            model_features=self._model.features,
            replay_fits=log.even,
        )

    @staticmethod
    def _of_log(drawn: Drawn, rows: float) -> list[Estimate]:
        """What the log earned itself, by the mean."""
        none = Interval(0.0, 0.0, 0.0)
        return [
            Estimate(LOGGED, ON_POLICY, measure, drawn.ratio(measure, "rows"), none, rows) for measure in MEASURES
        ]

    def _of_policy(self, name: str, tally: PolicyTally, drawn: Drawn) -> list[Estimate]:
        """What each estimator says of a policy."""
        rows, match = self._log.sums.total("rows"), tally.sums.total("match")
        effective = estimators.effective(tally.sums.total("weight"), tally.squares)
        value, without = self._model.value(tally.shown)
        found = []
        for number, measure in enumerate(MEASURES):
            ratios = {
                "dr": (f"dr {measure}", "rows"),
                "switch_dr": (f"switch_dr {measure}", "rows"),
                "snips": (f"ips {measure}", "weight"),
                "ips": (f"ips {measure}", "rows"),
                "replay": (f"replay {measure}", "match"),
            }
            earned = self._log.sums.total(measure) > 0
            for estimator in ESTIMATORS:
                if estimator == "dm":
                    both = self._direct(value[number], without[:, number], tally.shown.rows, measure)
                    found.append(Estimate(name, estimator, measure, *both, rows))
                    continue
                ratio = ratios[estimator]
                lift = drawn.lift(*ratio, measure, "rows") if earned else Interval.nothing()
                worth = match if estimator == "replay" else effective
                found.append(Estimate(name, estimator, measure, drawn.ratio(*ratio), lift, worth))
        return found

    def _direct(self, value: np.float64, without: Floats, rows: Floats, measure: str) -> tuple[Interval, Interval]:
        """The direct method's estimate, and its lift: by leaving out one group at a time."""
        logged = self._log.sums.of(measure)
        earned = np.bincount(np.arange(len(logged)) % FEW, logged, FEW)
        there = np.flatnonzero(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = earned.sum() / rows.sum()
            rate_without = (earned.sum() - earned[there]) / (rows.sum() - rows[there])
            lift, lift_without = value / rate - 1.0, without / rate_without - 1.0
        low, high = jackknife(np.asarray(value), without)
        lift_low, lift_high = jackknife(np.asarray(lift), lift_without)
        return (
            Interval(float(value), float(low), float(high)),
            Interval(float(lift), float(lift_low), float(lift_high)),
        )
