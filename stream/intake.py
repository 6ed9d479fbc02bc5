"""What a worker asks of a record before it takes it in: that it can be read, is where it belongs, and is of now.

Whether the catalogue knows the title comes after that, and is the worker's own question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from stream.codec import decode, decode_key
from stream.dead_letters import is_replayed
from stream.errors import DecodeError
from stream.event_time import TimeLimits, written_ms
from stream.records import Impression, Play, RewardChange

if TYPE_CHECKING:
    from stream.kafka import Message
    from stream.settings import Settings

R = TypeVar("R", Impression, RewardChange)


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

    def reached_ms(self, at_ms: int, message: Message, clock_ms: int) -> int:
        """How far an event shows that time has come: no further than to when it was written.

        A clock that is a few minutes ahead, as the limit allows, would otherwise move everybody's time. Where
        there is no limit an event is taken at its word.
        """
        if at_ms <= message.timestamp and at_ms <= clock_ms:
            return at_ms
        return min(at_ms, written_ms(message, clock_ms)) if self._limits.ahead_ms else at_ms


def _check(limits: TimeLimits, name: str, at_ms: int, now_ms: int, message: Message) -> None:
    """Nearly all are within the limits; headers are looked at only if one is not."""
    if not limits.hold(at_ms, now_ms):
        limits.check(name, at_ms, now_ms, replayed=is_replayed(message))
