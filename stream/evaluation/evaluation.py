"""Valuing policies from a log, read once, in memory that does not grow with it.

Each batch is judged before anything is learned from it: by the policies as they were before it, and with a reward
model of earlier rows. Then learners hear of it. So nobody is judged on what they have learned from (Joulani et al.
and others call it progressive validation; Blum, Kalai & Langford 1999), and a policy that learns is valued over its
whole life, its ignorant youth included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation import estimators
from stream.evaluation.checks import Checks
from stream.evaluation.intervals import FEW, Interval, Resamples, group_of, jackknife, ratio_by_few
from stream.evaluation.log import Hearing
from stream.evaluation.results import (
    ESTIMATORS,
    LOGGED,
    ON_POLICY,
    Estimate,
    Evaluated,
    Series,
    TitleLift,
)
from stream.evaluation.reward_model import RewardModel
from stream.evaluation.tallies import MEASURES, LogTally, Placed, PolicyTally, age_edges_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch
    from stream.evaluation.policies import Policy
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

    def found(self) -> Evaluated:
        """What there is to say by now."""
        log = self._log
        resamples = Resamples(log.sums.of("rows"), self._seed)
        names = [policy.name for policy in self._policies]
        estimates = self._of_log(resamples)
        weights: dict[str, Interval] = {}
        for name, tally in zip(names, self._tallies, strict=True):
            weights[name] = resamples.ratio(tally.sums.of("weight"), log.sums.of("rows"))
            for measure in range(len(MEASURES)):
                estimates += self._of_policy(name, tally, resamples, measure)
        rows = log.sums.total("rows")
        effective = {
            name: estimators.effective(tally.sums.total("weight"), tally.squares)
            for name, tally in zip(names, self._tallies, strict=True)
        }
        checks = self._checks
        findings = [] if checks is None else checks.findings(int(rows), weights, effective, resamples.groups)
        by_name = dict(zip(names, self._tallies, strict=True))
        return Evaluated(
            roster=self._roster,
            rows=int(rows),
            members=resamples.groups,
            taken=int(log.sums.total(MEASURES[0])),
            estimates=estimates,
            match_rate={name: tally.sums.total("match") / max(rows, 1.0) for name, tally in by_name.items()},
            mean_weight=weights,
            largest_weight={name: tally.largest for name, tally in by_name.items()},
            stretches=self._curves("stretches", 0, by_name),
            ages=self._curves("ages", 1, by_name),
            age_edges_ms=age_edges_ms(self._roster),
            titles={name: self._titles(tally) for name, tally in by_name.items()},
            findings=findings,
            unchecked={} if checks is None else checks.unchecked(),
            model_features=self._model.features,
        )

    def _of_log(self, resamples: Resamples) -> list[Estimate]:
        """What the log earned itself, by the mean."""
        sums = self._log.sums
        return [
            Estimate(
                *(LOGGED, ON_POLICY, measure),
                resamples.ratio(sums.of(measure), sums.of("rows")),
                Interval(0.0, 0.0, 0.0),
                sums.total("rows"),
            )
            for measure in MEASURES
        ]

    def _of_policy(self, name: str, tally: PolicyTally, resamples: Resamples, measure: int) -> list[Estimate]:
        """What each estimator says of a policy."""
        sums, rows, said = tally.sums, self._log.sums.of("rows"), MEASURES[measure]
        logged = self._log.sums.of(said)
        per_row = {
            "dr": (sums.of(f"dr {said}"), rows),
            "switch_dr": (sums.of(f"switch_dr {said}"), rows),
            "snips": (sums.of(f"ips {said}"), sums.of("weight")),
            "ips": (sums.of(f"ips {said}"), rows),
            "replay": (sums.of(f"replay {said}"), sums.of("match")),
        }
        effective = estimators.effective(sums.total("weight"), tally.squares)
        samples = {"replay": sums.total("match"), "dm": float(rows.sum())}
        logged_rate = resamples.sums(logged) / resamples.sums(rows) if resamples.groups else np.zeros(0)
        found = []
        for estimator in ESTIMATORS:
            if estimator == "dm":
                interval, lift = self._direct(tally, measure, logged)
            else:
                above, below = per_row[estimator]
                interval = resamples.ratio(above, below)
                lift = self._lift(
                    interval.value, resamples, (above, below), logged_rate, logged.sum() / max(rows.sum(), 1)
                )
            found.append(Estimate(name, estimator, said, interval, lift, samples.get(estimator, effective)))
        return found

    @staticmethod
    def _lift(
        value: float, resamples: Resamples, ratio: tuple[Floats, Floats], logged_rate: Floats, logged: float
    ) -> Interval:
        """By how much more it is than the logged."""
        if not logged > 0 or not resamples.groups:
            return Interval.nothing()
        with np.errstate(divide="ignore", invalid="ignore"):
            resampled = resamples.sums(ratio[0]) / resamples.sums(ratio[1]) / logged_rate - 1.0
        return resamples.interval(value / logged - 1.0, resampled)

    def _direct(self, tally: PolicyTally, measure: int, logged: Floats) -> tuple[Interval, Interval]:
        """The direct method's estimate, and its lift."""
        value, without = self._model.value(tally.shown)
        rows = tally.shown.rows
        earned = np.bincount(np.arange(len(logged)) % FEW, logged, FEW)
        low, high = jackknife(value[measure], without[:, measure])
        there = np.flatnonzero(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = earned.sum() / rows.sum()
            rate_without = (earned.sum() - earned[there]) / (rows.sum() - rows[there])
            lift, lift_without = value[measure] / rate - 1.0, without[:, measure] / rate_without - 1.0
        lift_low, lift_high = jackknife(np.asarray(lift), lift_without)
        return (
            Interval(float(value[measure]), float(low), float(high)),
            Interval(float(lift), float(lift_low), float(lift_high)),
        )

    def _curves(self, of: str, number: int, tallies: dict[str, PolicyTally]) -> dict[str, Series]:
        """Mean reward by part of the log, of the log and of every policy."""
        rows = self._log.rows_of[number].sums
        found = {LOGGED: Series(*ratio_by_few(getattr(self._log, of).sums, rows))}
        return found | {
            name: Series(*ratio_by_few(getattr(tally, of).sums, rows)) for name, tally in tallies.items()
        }

    def _titles(self, tally: PolicyTally) -> list[TitleLift]:
        """What the policy would have made of each title, the largest gain first."""
        log, roster = self._log, self._roster
        rows = log.rows_of[2].sums
        gain, low, high = ratio_by_few(tally.titles.sums - log.titles.sums, rows)
        logged = log.titles.sums.sum(axis=0) / np.maximum(rows.sum(axis=0), 1.0)
        found = []
        for offer in np.argsort(-np.nan_to_num(gain, nan=-np.inf), kind="stable").tolist():
            count = float(rows[:, offer].sum())
            if not count:
                continue
            part = slice(int(roster.starts[offer]), int(roster.starts[offer] + roster.counts[offer]))
            shown, wanted = log.shown[part], tally.shares[part]
            found.append(
                TitleLift(
                    offer=offer,
                    rows=int(count),
                    logged=float(logged[offer]),
                    policy=float(logged[offer] + gain[offer]),
                    gain=Interval(float(gain[offer]), float(low[offer]), float(high[offer])),
                    logged_artwork=part.start + int(np.argmax(shown)),
                    policy_artwork=part.start + int(np.argmax(wanted)),
                    logged_share=float(shown.max() / count),
                    policy_share=float(wanted.max() / count),
                )
            )
        return found
