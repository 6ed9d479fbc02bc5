"""What is summed of a log while it is read, for the log itself and for each policy: some 100 kilobytes each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation import estimators
from stream.evaluation.intervals import FEW, GroupSums, few_of
from stream.evaluation.policies import drawn
from stream.evaluation.reward_model import Shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream.evaluation.log import Batch
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: What is measured of each impression: whether it was taken, and the reward.
MEASURES = ("take rate", "mean reward")
#: Propensities are written with few digits now and then.
_EVEN = 0.01
#: How many points a learning curve has, and a curve by age.
CURVE, AGES = 12, 8


class Parts:
    """Sums by a part of the log (a stretch of time, an age, a title) and by few groups of members."""

    def __init__(self, parts: int) -> None:
        self.sums: Floats = np.zeros((FEW, parts))

    def add(self, part: Ints, group: Ints, values: Floats) -> None:
        """Add rows: shapes (n,)."""
        parts = self.sums.shape[1]
        cell = few_of(group) * parts + part
        self.sums += np.bincount(cell, values, FEW * parts).reshape(FEW, parts)


class Placed:
    """Where rows belong in the log.

    Parameters
    ----------
    roster
        Of the log.
    batch
        The rows.
    done
        How many came before.
    """

    def __init__(self, roster: Roster, batch: Batch, done: int) -> None:
        number = done + np.arange(len(batch))
        self.stretch: Ints = np.minimum(number * CURVE // max(roster.rows, 1), CURVE - 1)
        age_ms = batch.shown_ms - roster.begun_ms[batch.offer]
        edges = age_edges_ms(roster)
        self.age: Ints = np.clip(np.searchsorted(edges, age_ms, side="right") - 1, 0, AGES - 1)
        self.title: Ints = batch.offer


def age_edges_ms(roster: Roster) -> Floats:
    """Where the ages of titles are divided, shape (AGES + 1,): finely at first, when most is learned."""
    span = float(max(roster.last - roster.first, 1))
    edges: Floats = span * (np.arange(AGES + 1) / AGES) ** 2
    return edges


class LogTally:
    """What the log itself did.

    Attributes
    ----------
    even
        Whether every choice was uniform, among equally many artworks.
    """

    def __init__(self, roster: Roster) -> None:
        self.even = bool((roster.counts == roster.most).all())
        self.sums = GroupSums(("rows", *MEASURES))
        self.stretches, self.ages, self.titles = Parts(CURVE), Parts(AGES), Parts(len(roster.offers))
        self.rows_of = Parts(CURVE), Parts(AGES), Parts(len(roster.offers))
        self.shown: Floats = np.zeros(roster.artworks)
        self.weighed: Floats = np.zeros((2, roster.artworks))
        self._starts = roster.starts

    def add(self, batch: Batch, group: Ints, placed: Placed) -> None:
        """Take in usable rows."""
        ones = np.ones(len(batch))
        self.even = self.even and bool((np.abs(batch.propensity * batch.count - 1.0) < _EVEN).all())
        self.sums.add(group, **{"rows": ones, MEASURES[0]: batch.taken, MEASURES[1]: batch.reward})
        for part, where, rows in zip(
            (self.stretches, self.ages, self.titles),
            (placed.stretch, placed.age, placed.title),
            self.rows_of,
            strict=True,
        ):
            part.add(where, group, batch.reward)
            rows.add(where, group, ones)
        artwork, artworks = self._starts[batch.offer] + batch.place, len(self.shown)
        self.shown += np.bincount(artwork, minlength=artworks)
        self.weighed[0] += np.bincount(artwork, batch.reward / batch.propensity, artworks)
        self.weighed[1] += np.bincount(artwork, 1.0 / batch.propensity, artworks)


class PolicyTally:
    """What a policy would have done.

    Attributes
    ----------
    sums
        By group of members: weights, matches, and each estimator's rows for each measure.
    squares, largest
        Of the weights.
    shares
        How often each artwork would have been shown, shape (A,).
    shown
        For the direct method.
    stretches, ages, titles
        Doubly robust rewards.
    """

    def __init__(self, roster: Roster, features: int) -> None:
        kinds = ("ips", "dr", "switch_dr", "replay")
        self.sums = GroupSums(
            ("weight", "match", *(f"{kind} {measure}" for kind in kinds for measure in MEASURES))
        )
        self.squares = self.largest = 0.0
        self.shares: Floats = np.zeros(roster.artworks)
        self.shown = Shown(roster, features)
        self.stretches, self.ages, self.titles = Parts(CURVE), Parts(AGES), Parts(len(roster.offers))
        self._starts = roster.starts

    def add(  # noqa: PLR0917 - the rows, what is known of them, and what the policy wants
        self, batch: Batch, chances: Floats, expected: Floats, group: Ints, placed: Placed, uniform: Floats
    ) -> None:
        """Take in usable rows.

        Parameters
        ----------
        batch, group, placed
            The rows, their groups of members, and where they belong.
        chances
            How likely each artwork was to be shown, shape (n, K).
        expected
            What the reward model expects of each, shape (2, n, K).
        uniform
            A draw of each row, for replay.
        """
        place = batch.place
        weight = estimators.weights(chances, place, batch.propensity)
        wanted = drawn(chances, uniform)
        columns = {"weight": weight}
        for measure, outcome, model in zip(MEASURES, (batch.taken, batch.reward), expected, strict=True):
            earned, columns["match"] = estimators.replay(wanted, place, outcome)
            columns[f"replay {measure}"] = earned
            columns[f"ips {measure}"] = estimators.ips(weight, outcome)
            columns[f"dr {measure}"] = estimators.dr(chances, model, place, weight, outcome)
            columns[f"switch_dr {measure}"] = estimators.switch_dr(chances, model, place, weight, outcome)
        self.sums.add(group, **columns)
        self.squares += float(weight @ weight)
        self.largest = max(self.largest, float(weight.max(initial=0.0)))
        self.shown.add(batch, chances, group)
        robust = columns[f"dr {MEASURES[1]}"]
        self.stretches.add(placed.stretch, group, robust)
        self.ages.add(placed.age, group, robust)
        self.titles.add(placed.title, group, robust)
        for offer, rows in batch.by_offer:
            begin, count = int(self._starts[offer]), int(batch.count[rows[0]])
            self.shares[begin : begin + count] += chances[rows, :count].sum(axis=0)
