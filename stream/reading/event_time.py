"""How far an event may lie from the time at which it was written.

An event time is the app's word. One far ahead would be the latest that a partition has ever seen: repetitions
would no longer be recognised, and everything its member plays for real would come too late. So it is held against
the time at which the record was written, not against the time at which it is read: a worker that catches up after
days refuses nothing that came in time.

That time is the record's Kafka timestamp. Where the topic lets producers give it (``CreateTime``, Kafka's default)
it is their word too, so it counts only as far as the worker's own clock has come. Where brokers give it
(``message.timestamp.type=LogAppendTime``) it is taken as it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import DecodeError
from stream.topics import PLAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.kafka import Message
    from stream.settings import Settings

_LOG_APPEND_TIME = 1
_SECOND_MS = 1000
_HOUR_MS = 3600 * _SECOND_MS
_DAY_MS = 24 * _HOUR_MS


def wall_clock_ms() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def written_ms(message: Message, clock_ms: int) -> int:
    """When a record was written, milliseconds UTC.

    Parameters
    ----------
    message
        The record.
    clock_ms
        What the worker's clock says; where the record has no timestamp this is all there is.
    """
    stamp = message.timestamp
    if stamp > clock_ms and getattr(message, "timestamp_type", 0) != _LOG_APPEND_TIME:
        return clock_ms
    return stamp if stamp >= 0 else clock_ms


def all_written_ms(messages: Sequence[Message], clock_ms: int) -> NDArray[np.int64]:
    """:func:`written_ms` of n records, shape (n,)."""
    stamps = np.fromiter(map(attrgetter("timestamp"), messages), dtype=np.int64, count=len(messages))
    written = np.where(stamps < 0, clock_ms, stamps)
    for i in np.flatnonzero(stamps > clock_ms).tolist():
        written[i] = written_ms(messages[i], clock_ms)
    return written


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far ahead and behind an event time may lie, in milliseconds; 0 is no limit.

    Examples
    --------
    >>> limits = TimeLimits(ahead_ms=300_000, behind_ms=7 * _DAY_MS)
    >>> limits.check("shown_ms", 1_000_300_000, 1_000_000_000)
    >>> limits.check("shown_ms", 1_000_300_001, 1_000_000_000)
    Traceback (most recent call last):
    ...
    stream.errors.DecodeError: shown_ms is 5.0 minutes ahead of the time at which the record was written, ...
    """

    ahead_ms: int
    behind_ms: int

    @classmethod
    def of(cls, settings: Settings) -> TimeLimits:
        """Those of what apps write."""
        return cls(round(settings.max_ahead_seconds * _SECOND_MS), round(settings.max_behind_days * _DAY_MS))

    @classmethod
    def of_rewards(cls, settings: Settings) -> TimeLimits:
        """Those of rewards: as wide as a viewing worker can make them of plays that were within theirs.

        It may have been away for as long as plays are kept, and an impression's reward comes up to
        ``attribution_hours`` after it. Its clock need not agree with the learner's.
        """
        app = cls.of(settings)
        kept_ms = (PLAYS.retention_ms or 0) + round(settings.attribution_hours * _HOUR_MS)
        return cls(2 * app.ahead_ms, app.behind_ms and app.behind_ms + kept_ms)

    def hold(self, at_ms: int, now_ms: int) -> bool:
        """Whether an event time is within them, see :meth:`check`."""
        ahead = at_ms - now_ms
        return ahead <= (self.ahead_ms or ahead) and -ahead <= (self.behind_ms or -ahead)

    def hold_all(self, at_ms: NDArray[np.int64], now_ms: NDArray[np.int64]) -> bool:
        """Whether many event times are, each against its own."""
        ahead = at_ms - now_ms
        furthest, oldest = ahead.max(initial=0), -ahead.min(initial=0)
        return bool(furthest <= (self.ahead_ms or furthest) and oldest <= (self.behind_ms or oldest))

    def check(self, name: str, at_ms: int, now_ms: int, *, replayed: bool = False) -> None:
        """Refuse an event time out of the limits.

        Parameters
        ----------
        name
            The field, for the reason.
        at_ms
            The event time.
        now_ms
            When the record was written, see :func:`written_ms`.
        replayed
            A person has put it back, and knows that it is old.

        Raises
        ------
        DecodeError
            ``too_far_ahead`` or ``too_far_behind``.
        """
        ahead = at_ms - now_ms
        if ahead > self.ahead_ms > 0:
            raise DecodeError(
                "too_far_ahead",
                f"{name} is {span_in_words(ahead)} ahead of the time at which the record was written, the limit "
                f"is {span_in_words(self.ahead_ms)}: is the clock right that it comes from?",
            )
        if -ahead > self.behind_ms > 0 and not replayed:
            raise DecodeError(
                "too_far_behind",
                f"{name} is {span_in_words(-ahead)} behind the time at which the record was written, the limit is "
                f"{span_in_words(self.behind_ms)}",
            )


def span_in_words(ms: int) -> str:
    """A length of time in words.

    >>> span_in_words(90_000), span_in_words(5 * _HOUR_MS), span_in_words(60 * _DAY_MS)
    ('1.5 minutes', '5.0 hours', '60.0 days')
    """
    if ms < 2 * _HOUR_MS:
        return f"{ms / 60_000:.1f} minutes"
    return f"{ms / _HOUR_MS:.1f} hours" if ms < 2 * _DAY_MS else f"{ms / _DAY_MS:.1f} days"
