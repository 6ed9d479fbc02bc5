"""Whether the log is whole and in order: rewards that are still to come, and rows that come too late."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation.checks.finding import Finding, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: Rewards that may be missing, and rows that may be out of order (by how much).
_PENDING, _DISORDER, _LATE_MS = 0.02, 0.01, 3_600_000
#: Delays are counted by their size, eight classes for each doubling.
_PER_DOUBLING, _CLASSES = 8, 8 * 44
_ENOUGH = 20


class Pending:
    """How many rewards are still to come, by how long those took that have come.

    Parameters
    ----------
    end_ms
        Until when rewards were looked for.
    """

    def __init__(self, end_ms: int) -> None:
        self.unchecked: dict[str, str] = {}
        self._end_ms = end_ms
        self._delays: Floats = np.zeros(_CLASSES)
        self._ages: Floats = np.zeros(_CLASSES)

    def see(self, batch: Batch, expected: Floats) -> None:
        """Count delays and ages."""
        rewarded = batch.reward > 0
        delay = batch.reward_ms[rewarded] - batch.shown_ms[rewarded]
        self._delays += np.bincount(_class(delay), minlength=_CLASSES)
        self._ages += np.bincount(_class(self._end_ms - batch.shown_ms), minlength=_CLASSES)

    def findings(self) -> Iterator[Finding]:
        """Too much is missing."""
        if self._delays.sum() < _ENOUGH:
            self.unchecked["rewards-pending"] = (
                f"{int(self._delays.sum())} rewards are too few to know their delays"
            )
            return
        # Class by class, as of rows that have had that long: a delay can be seen only where there was time for it.
        by = np.cumsum(self._delays) / self._delays.sum()
        missing = float((self._ages * (1.0 - by)).sum() / self._ages.sum())
        if missing > _PENDING:
            nearly_all = 2.0 ** ((int(np.searchsorted(by, 0.99)) + 1) / _PER_DOUBLING)
            until = datetime.fromtimestamp((self._end_ms - nearly_all) / 1000, UTC)
            yield Finding(
                "rewards-pending",
                True,
                f"about {share(missing)} of the rewards are not in yet: the last impressions are too young. "
                "Leave them "
                f"out (--until {until:%Y-%m-%dT%H:%M}), or wait",
            )


class Order:
    """Whether rows come in the order of their times: a policy that learns must not learn from what is to come."""

    def __init__(self) -> None:
        self.unchecked: dict[str, str] = {}
        self._reached = -1
        self._rows = self._late = 0

    def see(self, batch: Batch, expected: Floats) -> None:
        """Count rows that are much earlier than one before."""
        self._rows += len(batch)
        if self._reached >= 0:
            self._late += int((batch.shown_ms < self._reached - _LATE_MS).sum())
        self._reached = max(self._reached, int(batch.shown_ms.max(initial=-1)))

    def findings(self) -> Iterator[Finding]:
        """Too many."""
        if self._late > _DISORDER * max(self._rows, 1):
            yield Finding(
                "order",
                True,
                f"{share(self._late / self._rows)} of the impressions come more than an hour after later "
                "ones: what "
                "learns has learned from the future; sort the log by shown_ms",
            )


def _class(milliseconds: NDArray[np.int64]) -> Ints:
    """The class of a delay."""
    doublings = np.log2(np.maximum(milliseconds, 1).astype(np.float64))
    return np.minimum((_PER_DOUBLING * doublings).astype(np.intp), _CLASSES - 1)
