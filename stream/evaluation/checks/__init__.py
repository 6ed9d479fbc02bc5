"""The checks that say when not to believe an evaluation.

Each looks at the log while it goes by, in bounded memory, and says what it has found in a sentence. What it could
not look at it names too: a check that passes in silence because it had nothing to go by would be a lie of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.evaluation.checks.finding import Check, Finding, share
from stream.evaluation.checks.future import Future
from stream.evaluation.checks.people import FLOOD, Bots, SampleRatio, Split
from stream.evaluation.checks.propensities import Propensities
from stream.evaluation.checks.repeats import Repeats
from stream.evaluation.checks.timing import Order, Pending

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from stream.evaluation.intervals import Interval
    from stream.evaluation.log import Batch
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]

#: Rows of a policy's own that are enough to say anything; and how far the mean weight may be from 1.
_EFFECTIVE, _OFF = 200.0, 0.1
#: The share of all weight that one impression may have.
_ALONE = 0.02
#: Impressions that earned something, and members.
_TAKEN, _MEMBERS = 30, 50


class Checks:
    """All of them.

    Parameters
    ----------
    roster
        What the log is about.
    end_ms
        Until when rewards were looked for.
    split, shares
        The members of each policy before any rows were left out, and the shares the settings name; None: unknown.
    flood_plays
        More plays in a day than people begin.
    left_out
        The share of impressions that were recognised as repeated while reading.
    """

    def __init__(
        self,
        roster: Roster,
        end_ms: int,
        *,
        split: Split | None = None,
        shares: Mapping[str, float] | None = None,
        flood_plays: int = FLOOD,
        left_out: float = 0.0,
    ) -> None:
        self._taken = 0
        self._checks: tuple[Check, ...] = (
            Propensities(roster),
            Repeats(roster, left_out),
            Future(roster),
            Pending(end_ms),
            Order(),
            Bots(roster, flood_plays),
            SampleRatio(split, shares),
        )

    def see(self, batch: Batch, expected: Floats) -> None:
        """A batch, with what the reward model expected of it before: shape (2, n, K)."""
        self._taken += int((batch.reward > 0).sum())
        for check in self._checks:
            check.see(batch, expected)

    def findings(
        self,
        rows: int,
        members: int,
        weights: Mapping[str, Interval],
        effective: Mapping[str, float],
        largest: Mapping[str, float],
    ) -> list[Finding]:
        """Everything found, wrong things first.

        Parameters
        ----------
        rows, members
            Usable impressions, and groups of members among them.
        weights, effective, largest
            By policy: the mean weight, the effective sample size, and the largest weight as a share of all.
        """
        found = [finding for check in self._checks for finding in check.findings()]
        if rows:
            found += _overlap(rows, weights, effective, largest)
        if self._taken < _TAKEN or members < _MEMBERS:
            found.append(
                Finding(
                    "too-few",
                    False,
                    f"{self._taken} impressions earned anything, and {members} members were seen: too few to say "
                    "anything, and intervals are narrower than they should be",
                )
            )
        return sorted(found, key=lambda finding: not finding.wrong)

    def unchecked(self) -> dict[str, str]:
        """What could not be checked, and why; after :meth:`findings`."""
        return {name: why for check in self._checks for name, why in check.unchecked.items()}


def _overlap(
    rows: int,
    weights: Mapping[str, Interval],
    effective: Mapping[str, float],
    largest: Mapping[str, float],
) -> list[Finding]:
    """Policies that want what the log hardly ever shows."""
    found = []
    for policy, samples in effective.items():
        weight = weights[policy]
        unseen = weight.value < 1.0 - _OFF and weight.high < 1.0
        if unseen:
            why = f"{share(1.0 - weight.value)} of what it wants was hardly ever shown"
        elif largest[policy] > _ALONE:
            why = f"one impression alone decides {share(largest[policy])} of it"
        elif samples < _EFFECTIVE:
            why = "few impressions say much of it"
        else:
            continue
        sentence = (
            f"too little overlap with {policy!r}: {rows:,} impressions are worth {samples:.0f} of its own, "
            f"and {why}; "
            "do not go by its estimates"
        )
        found.append(Finding("overlap", unseen, sentence, policy))
    return found


__all__ = ["Checks", "Finding", "Split"]
