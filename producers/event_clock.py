"""Event time for a made-up audience: faster than the wall clock, and never ahead of it."""

from __future__ import annotations

import threading
from math import inf
from typing import TYPE_CHECKING

from stream.reading.event_time import wall_clock_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from producers.audience import Audience

_UNTIMED_HOURS = 24.0
_DAY_MS = 24 * 3_600_000
_MARGIN_MS = 1_800_000  # what is sent first is written some time after the clock was made


def room_ms(max_behind_days: float, audience: Audience) -> float:
    """How far back an audience's clock may start so that workers take in all that it does; 0 days are no limit."""
    if not max_behind_days:
        return inf
    return max(max_behind_days * _DAY_MS - audience.history_ms - audience.longest_ms - _MARGIN_MS, 0.0)


class EventClock:
    """Event time: from ``start_ms`` on, ``speed`` times as fast as the wall clock, and never past its limit.

    The limit is the wall clock less ``behind_ms``: the audience needs that much to watch to the end what it began.
    Having come there, event time runs as fast as the wall clock. It stands still until :meth:`start`. Thread-safe.

    Parameters
    ----------
    start_ms
        The first moment, milliseconds UTC.
    speed
        Event seconds in a second.
    behind_ms
        How far event time stays behind the wall clock.
    wall_ms
        The wall clock.
    """

    def __init__(
        self,
        start_ms: int,
        speed: float,
        behind_ms: int = 0,
        *,
        wall_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._start_ms = start_ms
        self._speed = speed
        self._behind_ms = behind_ms
        self._wall_ms = wall_ms
        self._began_ms: int | None = None
        self._reached = start_ms
        self._lock = threading.Lock()

    @classmethod
    def ending_now(
        cls,
        seconds: float | None,
        speed: float,
        behind_ms: int,
        *,
        most_ms: float = inf,
        wall_ms: Callable[[], int] = wall_clock_ms,
    ) -> EventClock:
        """A clock that, started now, has caught up with the wall clock less ``behind_ms`` in so many seconds.

        Without an end it starts a day back. It never starts more than ``most_ms`` before that, and then has caught
        up earlier: see :func:`room_ms`.
        """
        span_ms = (seconds * (speed - 1.0) * 1000.0) if seconds is not None else _UNTIMED_HOURS * 3_600_000.0
        span_ms = min(span_ms, most_ms)
        return cls(wall_ms() - behind_ms - round(span_ms), speed, behind_ms, wall_ms=wall_ms)

    def start(self) -> None:
        """Let event time run; a second call changes nothing."""
        with self._lock:
            self._began_ms = self._wall_ms() if self._began_ms is None else self._began_ms

    def now_ms(self) -> int:
        """The moment of event time; never goes back."""
        with self._lock:
            if self._began_ms is not None:
                wall = self._wall_ms()
                passed = round(self._speed * (wall - self._began_ms))
                self._reached = max(self._reached, min(self._start_ms + passed, wall - self._behind_ms))
            return self._reached

    def advance_to(self, moment_ms: int) -> None:
        """Let time pass at once, up to the wall clock."""
        with self._lock:
            self._reached = max(self._reached, min(moment_ms, self._wall_ms()))
