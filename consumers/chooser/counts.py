"""Counting choices without slowing them down."""

from __future__ import annotations

import itertools
import threading
from typing import get_args

from stream.records import Policy


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


POLICIES: tuple[Policy, ...] = get_args(Policy)


class ChoiceCounts:
    """What a chooser has done since it was made: choices by policy, and those made without a snapshot."""

    def __init__(self) -> None:
        self.by_policy = {policy: Tally() for policy in POLICIES}
        self.without_snapshot = Tally()
