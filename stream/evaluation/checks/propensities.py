"""Whether propensities are there, and are those of what was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation.checks.finding import Finding, share
from stream.evaluation.intervals import FEW, few_of, group_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]

#: So many standard errors away from what it should be is no chance: of all artworks together, and of one of many.
_TOGETHER, _ONE_OF_MANY = 5.0, 6.5
#: And by so much, or nobody need care.
_OFF = 0.02
#: Impressions of a title during an artwork's time that are enough to judge it.
_ENOUGH = 50


class Propensities:
    """Sums 1 / p over the times that each artwork was shown: it should come to how often it might have been.

    Each row at which an artwork may be shown shows it with probability p, and then counts 1 / p: 1 on average. So
    the sum over an artwork's rows has the number of its title's rows as its mean (Horvitz & Thompson 1952), of the
    time between its first and its last appearance, which are left out themselves; and if the logged propensities
    are another artwork's, it has not. The standard error is the larger of two: that of 20 groups of members, and
    ``sqrt(n (1 / p_min - 1))``, the most that rare choices may make it.
    """

    def __init__(self, roster: Roster) -> None:
        self.unchecked: dict[str, str] = {}
        self._roster = roster
        self._rows = self._missing = self._impossible = 0
        self._least = 1.0
        self._weighed: Floats = np.zeros((FEW, roster.artworks))
        self._possible: Floats = np.zeros((FEW, roster.artworks))

    def see(self, batch: Batch, expected: Floats) -> None:
        """Add up."""
        self._rows += len(batch)
        usable = np.isfinite(batch.propensity)
        if not usable.all():
            given = [batch.records[i].propensity for i in np.flatnonzero(~usable).tolist()]
            self._missing += sum(one is None for one in given)
            self._impossible += sum(one is not None for one in given)
            batch = batch.rows(usable)
        if not len(batch):
            return
        roster = self._roster
        self._least = min(self._least, float(batch.propensity.min()))
        few = few_of(group_of(batch.member))
        artwork = roster.starts[batch.offer] + batch.place
        within = (batch.shown_ms > roster.first_ms[artwork]) & (batch.shown_ms < roster.last_ms[artwork])
        cell = few[within] * roster.artworks + artwork[within]
        weighed = np.bincount(cell, 1.0 / batch.propensity[within], self._weighed.size)
        self._weighed += weighed.reshape(self._weighed.shape)
        for offer, rows in batch.by_offer:
            part = slice(int(roster.starts[offer]), int(roster.starts[offer] + roster.counts[offer]))
            at_ms = batch.shown_ms[rows][:, None]
            there = (at_ms > roster.first_ms[part]) & (at_ms < roster.last_ms[part])
            np.add.at(self._possible[:, part], few[rows], there.astype(np.float64))

    def findings(self) -> Iterator[Finding]:
        """What is missing, what is no probability, and what does not come out."""
        if self._missing:
            yield Finding(
                "propensities-missing",
                True,
                f"{self._missing:,} impressions ({share(self._missing / self._rows)}) have no propensity "
                "and are left "
                "out: if they differ from the others, all estimates are off",
            )
        if self._impossible:
            yield Finding(
                "propensities-impossible",
                True,
                f"{self._impossible:,} impressions ({share(self._impossible / self._rows)}) have a "
                "propensity that is "
                "zero, negative, above 1 or no number, and are left out: what was shown had a chance",
            )
        yield from self._mismatch()

    def _mismatch(self) -> Iterator[Finding]:
        off = self._weighed - self._possible
        possible = self._possible.sum(axis=0)
        spread = FEW * off.var(axis=0, ddof=1)
        rare = possible * (1.0 / self._least - 1.0)
        error = np.sqrt(np.maximum(spread, rare)) + 1e-9
        z, relative = off.sum(axis=0) / error, off.sum(axis=0) / np.maximum(possible, 1.0)
        judged = possible >= _ENOUGH
        wrong = np.flatnonzero(judged & (np.abs(z) > _ONE_OF_MANY) & (np.abs(relative) > _OFF))
        total, all_off = off.sum(axis=1), float(off.sum())
        all_error = float(np.sqrt(max(FEW * total.var(ddof=1), rare.sum()))) + 1e-9
        all_relative = all_off / max(float(possible.sum()), 1.0)
        if len(wrong):
            worst = int(wrong[np.argmax(np.abs(z[wrong]))])
            offer = int(self._roster.offer_of[worst])
            title_id, _, ids = self._roster.offers[offer]
            name = ids[worst - int(self._roster.starts[offer])]
            yield Finding(
                "propensities-mismatch",
                True,
                f"propensities do not match what was shown: over the impressions of artwork {name!r} of "
                f"{title_id!r}, "
                f"1 / propensity adds up to {1.0 + relative[worst]:.2f} times what it should, and so it "
                "does not come "
                f"out for {len(wrong)} of {int(judged.sum())} artworks; are they those of another artwork?",
            )
        elif abs(all_off) > _TOGETHER * all_error and abs(all_relative) > _OFF:
            yield Finding(
                "propensities-mismatch",
                True,
                "propensities do not match what was shown: over all artworks, 1 / propensity adds up to "
                f"{1.0 + all_relative:.2f} times what it should",
            )
