"""Counting choices without slowing them down."""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, get_args

from stream.records import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence


class Tally:
    """A count that any thread raises without a lock: advancing an iterator is one step for the interpreter.

    >>> tally = Tally()
    >>> tally.add(), tally.add(), tally.value, tally.value
    (None, None, 2, 2)
    """

    def __init__(self) -> None:
        self._steps = itertools.count()
        self._reads = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one."""
        next(self._steps)

    @property
    def value(self) -> int:
        """The count; reading it takes a step too, which is subtracted again."""
        with self._lock:
            self._reads += 1
            return next(self._steps) + 1 - self._reads


class Delays:
    """How often it took how long: a histogram that one thread adds to and any thread reads.

    Parameters
    ----------
    bounds
        The upper bounds of its buckets, seconds, ascending.

    Examples
    --------
    >>> delays = Delays((0.1, 1.0))
    >>> for seconds in (0.1, 0.5, 0.7, 3.0):
    ...     delays.add(seconds)
    >>> delays.cumulative(), round(delays.sum, 1)
    ([('0.1', 1), ('1.0', 3), ('+Inf', 4)], 4.3)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(map(float, bounds))
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """It took so long once more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Of each bound, how often it took that long or less; the last counts everything."""
        return list(zip((*map(str, self._bounds), "+Inf"), itertools.accumulate(self._counts), strict=True))


POLICIES: tuple[Policy, ...] = get_args(Policy)


class ChoiceCounts:
    """What a chooser has done since it was made: choices by policy, and those made without a snapshot."""

    def __init__(self) -> None:
        self.by_policy = {policy: Tally() for policy in POLICIES}
        self.without_snapshot = Tally()
