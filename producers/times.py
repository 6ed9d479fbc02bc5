"""An old log's times, moved to now or kept: workers take in nothing that lies too far from now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stream.errors import ConfigurationError, DecodeError
from stream.reading.event_time import TimeLimits, span_in_words
from stream.records import Impression, Play

if TYPE_CHECKING:
    from stream.records import Record
    from stream.settings import Settings

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIFT = "set it to 0, here and for the workers, to have them learn from it"


class Span(NamedTuple):
    """From the first event of a log to its last, milliseconds UTC. Of a log without events both are None."""

    first_ms: int | None = None
    last_ms: int | None = None

    def with_event(self, at_ms: int) -> Span:
        """The span that holds this event too.

        >>> Span().with_event(7).with_event(5)
        Span(first_ms=5, last_ms=7)
        """
        if self.first_ms is None or self.last_ms is None:
            return Span(at_ms, at_ms)
        return Span(min(self.first_ms, at_ms), max(self.last_ms, at_ms))


def event_ms(record: Record) -> int | None:
    """When it happened; None for a record of no event."""
    if isinstance(record, Impression):
        return record.shown_ms
    return record.played_ms if isinstance(record, Play) else None


def shift_of(settings: Settings, span: Span, now_ms: int, *, keep_times: bool) -> int:
    """How far to move every time of a log, in milliseconds: so that its last event is now, or not at all.

    Raises
    ------
    ConfigurationError
        Workers with these settings would refuse some of it; the message names the setting, and what else can be
        done.
    """
    if span.first_ms is None or span.last_ms is None:
        return 0
    limits = TimeLimits.of(settings)
    if keep_times:
        try:
            limits.check("the log's last event", span.last_ms, now_ms)
            limits.check("the log's first event", span.first_ms, now_ms)
        except DecodeError as error:
            name = "max_ahead_seconds" if error.code == "too_far_ahead" else "max_behind_days"
            raise ConfigurationError(
                f"{name}: workers refuse a log of this age with its own times; {_LIFT}, or leave out --keep-times"
            ) from None
        return 0
    length = span.last_ms - span.first_ms
    if 0 < limits.behind_ms < length:
        raise ConfigurationError(
            f"max_behind_days: the log spans {span_in_words(length)}, and workers take in what happened within "
            f"{span_in_words(limits.behind_ms)}; {_LIFT}"
        )
    return now_ms - span.last_ms


def moved(value: bytes, record: Record, by_ms: int) -> bytes:
    """A record with its times moved; all else stays as it is written, fields that are not known too.

    Parameters
    ----------
    value
        Its bytes.
    record
        What they say.
    by_ms
        How far; 0 leaves the bytes alone.

    Examples
    --------
    >>> from stream.codec import decode
    >>> play = (b'{"play_id":"p","played_ms":5,"member_id":"m","title_id":"t","watched_seconds":1.50,'
    ...         b'"impression":null,"more":[1.0]}')
    >>> moved(play, decode(Play, play), 10)
    b'{"play_id":"p","played_ms":15,"member_id":"m","title_id":"t","watched_seconds":1.50,"impression":null,"more":[1.0]}'
    """
    if not by_ms or not isinstance(record, Impression | Play):
        return value
    fields = _FIELDS.decode(value)
    if isinstance(record, Impression):
        fields["shown_ms"] = _number(record.shown_ms + by_ms)
    else:
        fields["played_ms"] = _number(record.played_ms + by_ms)
        if record.impression is not None:
            fields["impression"] = msgspec.Raw(moved(bytes(fields["impression"]), record.impression, by_ms))
    return msgspec.json.encode(fields)


def _number(ms: int) -> msgspec.Raw:
    return msgspec.Raw(b"%d" % max(ms, 0))
