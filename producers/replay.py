"""A log as events: read from a file of JSON lines, delivered to Kafka in full or with an error.

Each line is one record and the topic it belongs to::

    {"topic": "impressions", "record": {"impression_id": "i-1", "shown_ms": 1574553634762, …}}

Records keep their order and the fields that Keyart does not know. Their times are moved, all by as much, so that
the last event of the log is now: workers refuse what is days old. Where that limit is lifted they can be kept.

What a replay does to Keyart's state when it is run twice follows from the workers' promises: a play is remembered,
and counts once; an impression is recognised only within ``duplicate_seconds`` of event time, and counts again
otherwise.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

import msgspec

from producers.delivery import Delivered, deliver
from producers.times import Span, event_ms, moved, shift_of
from stream.codec import decode
from stream.errors import DecodeError, InputError
from stream.kafka import Output
from stream.reading.event_time import TimeLimits, wall_clock_ms
from stream.records import MAX_RECORD_BYTES, Impression, Play, Record, Title
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedIOBase

    from producers.delivery import Progress
    from stream.settings import Settings

_READ_AS: dict[str, tuple[Topic, type[Record]]] = {
    CATALOGUE.name: (CATALOGUE, Title),
    IMPRESSIONS.name: (IMPRESSIONS, Impression),
    PLAYS.name: (PLAYS, Play),
}
#: The longest line that is looked at: a record at its limit, and room for white space around it.
MAX_LINE_BYTES = 2 * MAX_RECORD_BYTES


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a log; the record is still to be read as what its topic promises."""

    topic: Literal["catalogue", "impressions", "plays"]
    record: msgspec.Raw


class Found(NamedTuple):
    """A record of a log, where it is in it, and what it says."""

    line: int
    topic: Topic
    value: bytes
    record: Record

    @property
    def key(self) -> bytes:
        """What its topic is keyed by."""
        return str(getattr(self.record, self.topic.key.value)).encode()


def replay_lines(
    settings: Settings,
    file: Path,
    *,
    keep_times: bool = False,
    now_ms: Callable[[], int] = wall_clock_ms,
    progress: Progress | None = None,
) -> Delivered:
    """Replay a file of JSON lines.

    A log is read twice: where it ends must be known before its times can be moved, and nothing of it is sent if
    any line is bad, for what would have been sent could not be called back. The standard input (``-``) or a pipe
    is kept in a temporary file to that end. With ``keep_times`` it is not, and may go on for ever: lines before a
    bad one are delivered.

    Parameters
    ----------
    settings
        Where to, and how far from now an event may lie.
    file
        JSON lines, compressed if the name ends in ``.gz``; ``-`` is the standard input.
    keep_times
        Whether to leave the times as they are; otherwise the last event is now.
    now_ms
        The wall clock.
    progress
        Called with the number of records delivered so far, and their number in all where that is known.

    Raises
    ------
    InputError
        The file cannot be read, or a line of it is no record; the message names the file and the line.
    ConfigurationError
        Workers with these settings would refuse the log for its times.
    BrokerUnavailable, TopicError
        See :func:`producers.delivery.deliver`.
    """
    name = name_of(file)
    if str(file) != "-" and file.is_file():
        return _replay_file(settings, file, name, keep_times=keep_times, now_ms=now_ms, progress=progress)
    if keep_times:
        return deliver(settings, _as_they_come(settings, file, now_ms), progress=progress)
    with _kept(file) as copy:
        return _replay_file(settings, copy, name, keep_times=False, now_ms=now_ms, progress=progress)


def _replay_file(
    settings: Settings,
    file: Path,
    name: str,
    *,
    keep_times: bool,
    now_ms: Callable[[], int],
    progress: Progress | None,
) -> Delivered:
    records, span = survey_lines(file, name)
    shift_ms = shift_of(settings, span, now_ms(), keep_times=keep_times)
    return deliver(settings, read_lines(file, name, shift_ms=shift_ms), total=records, progress=progress)


def _as_they_come(settings: Settings, file: Path, now_ms: Callable[[], int]) -> Iterator[Output]:
    """The records of what can be read once only, each held against the limits as it comes."""
    limits = TimeLimits.of(settings)
    for found in _records(file, name_of(file)):
        at_ms = event_ms(found.record)
        if at_ms is not None:
            try:
                limits.check("the event", at_ms, now_ms())
            except DecodeError as error:
                raise InputError(
                    f"{name_of(file)}:{found.line}: workers refuse it: {error.reason}; lift max_behind_days and "
                    "max_ahead_seconds (0), or leave out --keep-times"
                ) from None
        yield Output(found.topic, found.key, found.value)


def survey_lines(file: Path, name: str | None = None) -> tuple[int, Span]:
    """Check every line of a file; returns how many records it holds, and when they happened.

    Errors as :func:`replay_lines`.
    """
    records, span = 0, Span()
    for found in _records(file, name):
        records += 1
        at_ms = event_ms(found.record)
        if at_ms is not None:
            span = span.with_event(at_ms)
    return records, span


def read_lines(file: Path, name: str | None = None, *, shift_ms: int = 0) -> Iterator[Output]:
    """The records of a file of JSON lines, each checked, their times moved; empty lines are passed over."""
    for found in _records(file, name):
        yield Output(found.topic, found.key, moved(found.value, found.record, shift_ms))


def _records(file: Path, name: str | None = None) -> Iterator[Found]:
    lines, name = msgspec.json.Decoder(Line), name or name_of(file)
    for number, text in numbered_lines(file, name):
        if text.isspace():
            continue
        try:
            line = lines.decode(text)
            topic, kind = _READ_AS[line.topic]
            value = bytes(line.record)
            record = decode(kind, value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{name}:{number}: not a line of a log: {error}") from None
        except DecodeError as error:
            raise InputError(f"{name}:{number}: {error.reason}") from None
        yield Found(number, topic, value, record)


def name_of(file: Path) -> str:
    """What a message calls the file."""
    return "standard input" if str(file) == "-" else str(file)


def numbered_lines(file: Path, name: str | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, numbered from 1, without ever holding more than one.

    Raises
    ------
    InputError
        It cannot be read, or has a line longer than any record.
    """
    number, name = 0, name or name_of(file)
    try:
        with _opened(file) as stream:
            while text := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(text) > MAX_LINE_BYTES:
                    raise InputError(f"{name}:{number}: longer than {MAX_LINE_BYTES} bytes")
                yield number, text
    except (OSError, EOFError, zlib.error) as error:
        after = f" after line {number}" if number else ""
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read{after}: {reason}") from None


@contextmanager
def _kept(file: Path) -> Iterator[Path]:
    """A copy of what can be read once only, gone at the end."""
    suffix = "" if str(file) == "-" else file.suffix
    with tempfile.NamedTemporaryFile(prefix="keyart-", suffix=suffix) as copy:
        try:
            if str(file) == "-":
                shutil.copyfileobj(sys.stdin.buffer, copy)
            else:
                with file.open("rb") as stream:
                    shutil.copyfileobj(stream, copy)
            copy.flush()
        except OSError as error:
            raise InputError(f"{name_of(file)}: cannot be read: {error.strerror or error}") from None
        yield Path(copy.name)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes] | BufferedIOBase]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        yield stream
