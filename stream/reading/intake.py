"""What a worker asks of a record before it takes it in: that it can be read, is where it belongs, and is of now.

Whether the catalogue knows the title comes after that, and is the worker's own question.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from stream.codec import decode, decode_key, decode_plain
from stream.dead_letters import is_replayed
from stream.errors import DecodeError
from stream.reading.event_time import TimeLimits, all_written_ms, written_ms
from stream.records import Impression, Play, RewardChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.kafka import Message
    from stream.settings import Settings

    Milliseconds = NDArray[np.int64]

R = TypeVar("R", Impression, RewardChange)

#: Batches of more records than this are halved to find the bad ones among them.
_FEW = 16


@dataclass(frozen=True)
class Arrived(Generic[R]):
    """What a batch of n messages comes to: its records, and those messages that hold none.

    ``messages`` and ``written_ms`` (when each was written, see :mod:`stream.reading.event_time`) belong to
    ``records``, as do the columns ``titles`` and ``shown_ms``.
    """

    records: Sequence[R]
    messages: Sequence[Message]
    written_ms: Milliseconds
    refused: Sequence[tuple[Message, DecodeError]]

    @cached_property
    def titles(self) -> list[str]:
        """Their titles."""
        return [record.title_id for record in self.records]

    @cached_property
    def shown_ms(self) -> Milliseconds:
        """When their impressions were shown, shape (n,)."""
        times = map(attrgetter("shown_ms"), self.records)
        return np.fromiter(times, dtype=np.int64, count=len(self.records))

    def only(self, wanted: NDArray[np.bool_]) -> Arrived[R]:
        """Some of the records."""
        if wanted.all():
            return self
        at = np.flatnonzero(wanted).tolist()
        records, messages = [self.records[i] for i in at], [self.messages[i] for i in at]
        return Arrived(records, messages, self.written_ms[wanted], ())


class Intake:
    """The checks of one worker.

    Parameters
    ----------
    settings
        How far event times may lie from the time at which their records were written.
    """

    def __init__(self, settings: Settings) -> None:
        self._limits = TimeLimits.of(settings)
        self._of_rewards = TimeLimits.of_rewards(settings)

    def of_titles(self, kind: type[R], messages: Sequence[Message], clock_ms: int) -> Arrived[R]:
        """A batch of impressions or rewards, each as :meth:`of_title` has it.

        Nearly always all of them are good, which can be told of all at once. A batch with a bad one is halved, and
        halved again, until it is among a few that are looked at one by one.

        Parameters
        ----------
        kind
            The type that their topic promises.
        messages
            The records.
        clock_ms
            What the worker's clock says.
        """
        written = all_written_ms(messages, clock_ms)
        records = decode_plain(kind, [message.value for message in messages])
        if records:
            arrived = Arrived(records, messages, written, ())
            if self._are_sound(arrived):
                return arrived
        if len(messages) <= _FEW:
            return self._one_by_one(kind, messages, clock_ms, written)
        half = len(messages) // 2
        first: Arrived[R] = self.of_titles(kind, messages[:half], clock_ms)
        second: Arrived[R] = self.of_titles(kind, messages[half:], clock_ms)
        records = list(first.records)
        records.extend(second.records)
        return Arrived(
            records,
            [*first.messages, *second.messages],
            np.concatenate([first.written_ms, second.written_ms]),
            [*first.refused, *second.refused],
        )

    def _are_sound(self, arrived: Arrived[R]) -> bool:
        """Whether :meth:`of_title` would take every one of them."""
        keys = [message.key or b"" for message in arrived.messages]
        if "\0".join(arrived.titles).encode() != b"\0".join(keys):  # no id has such a character in it
            return False
        if isinstance(arrived.records[0], Impression):
            return self._limits.hold_all(arrived.shown_ms, arrived.written_ms)
        credited = np.array([record.credited_ms for record in arrived.records], dtype=np.int64)
        limits = self._of_rewards
        return limits.hold_all(arrived.shown_ms, arrived.written_ms) and limits.hold_all(
            credited, arrived.written_ms
        )

    def _one_by_one(
        self, kind: type[R], messages: Sequence[Message], clock_ms: int, written: Milliseconds
    ) -> Arrived[R]:
        records: list[R] = []
        good: list[int] = []
        refused: list[tuple[Message, DecodeError]] = []
        for i, message in enumerate(messages):
            try:
                records.append(self.of_title(kind, message, clock_ms))
            except DecodeError as error:
                refused.append((message, error))
            else:
                good.append(i)
        return Arrived(records, [messages[i] for i in good], written[good], refused)

    def of_title(self, kind: type[R], message: Message, clock_ms: int) -> R:
        """An impression or a reward whose key agrees with it.

        Parameters
        ----------
        kind
            The type that its topic promises.
        message
            The record.
        clock_ms
            What the worker's clock says.

        Raises
        ------
        DecodeError
            It is a dead letter.
        """
        record = decode(kind, message.value)
        if message.key != record.title_id.encode() and decode_key(message.key) != record.title_id:
            raise DecodeError("wrong_key", "the record's key is not its title_id")
        now_ms = written_ms(message, clock_ms)
        if isinstance(record, Impression):
            _check(self._limits, "shown_ms", record.shown_ms, now_ms, message)
        else:
            _check(self._of_rewards, "credited_ms", record.credited_ms, now_ms, message)
            _check(self._of_rewards, "shown_ms", record.shown_ms, now_ms, message)
        return record

    def play(self, message: Message, clock_ms: int) -> Play:
        """A play whose key, member and title agree with the impression it carries.

        How old that impression may be is not a matter of these limits: it earns nothing of a play that comes more
        than ``attribution_hours`` after it, and the play counts without it.

        Parameters
        ----------
        message
            The record.
        clock_ms
            What the worker's clock says.

        Raises
        ------
        DecodeError
            It is a dead letter.
        """
        play = decode(Play, message.value)
        if decode_key(message.key) != play.member_id:
            raise DecodeError("wrong_key", "the record's key is not its member_id")
        now_ms, impression = written_ms(message, clock_ms), play.impression
        if impression is not None:
            if impression.member_id != play.member_id:
                raise DecodeError("wrong_impression", "the play carries an impression of another member")
            if impression.title_id != play.title_id:
                raise DecodeError("wrong_impression", "the play carries an impression of another title")
            self._limits.check("impression.shown_ms", impression.shown_ms, now_ms, replayed=True)
        _check(self._limits, "played_ms", play.played_ms, now_ms, message)
        return play

    def reached_ms(self, at_ms: Milliseconds, written_ms: Milliseconds) -> Milliseconds:
        """How far n events show that time has come: none further than to when it was written, shape (n,).

        A clock that is a few minutes ahead, as the limit allows, would otherwise move everybody's time. Where
        there is no limit events are taken at their word.
        """
        return np.minimum(at_ms, written_ms) if self._limits.ahead_ms else at_ms


def _check(limits: TimeLimits, name: str, at_ms: int, now_ms: int, message: Message) -> None:
    """Nearly all are within the limits; headers are looked at only if one is not."""
    if not limits.hold(at_ms, now_ms):
        limits.check(name, at_ms, now_ms, replayed=is_replayed(message))
