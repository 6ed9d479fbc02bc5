"""A log as events: read from a file of JSON lines, delivered to Kafka in full or with an error.

Each line is one record and the topic it belongs to::

    {"topic": "impressions", "record": {"impression_id": "i-1", "shown_ms": 1574553634762, …}}

Records keep their order, their times of event and the fields that Keyart does not know. What a replay does to
Keyart's state when it is run twice follows from the workers' promises: a play is remembered, and counts once; an
impression is recognised only within ``duplicate_seconds`` of event time, and counts again otherwise.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal

import msgspec

from producers.delivery import Delivered, deliver
from stream.codec import decode
from stream.errors import DecodeError, InputError
from stream.kafka import Output
from stream.records import MAX_RECORD_BYTES, Impression, Play, Record, Title
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS, Topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase
    from pathlib import Path

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


def replay_lines(settings: Settings, file: Path, *, progress: Progress | None = None) -> Delivered:
    """Replay a file of JSON lines.

    A file is read twice: nothing of it is sent if any line is bad, for what would have been sent could not be
    called back. The standard input (``-``) or a pipe can be read once only; there, lines before a bad one are
    delivered.

    Parameters
    ----------
    settings
        Where to.
    file
        JSON lines, compressed if the name ends in ``.gz``; ``-`` is the standard input.
    progress
        Called with the number of records delivered so far, and their number in all where that is known.

    Raises
    ------
    InputError
        The file cannot be read, or a line of it is no record; the message names the file and the line.
    BrokerUnavailable, TopicError
        See :func:`producers.delivery.deliver`.
    """
    readable_again = str(file) != "-" and file.is_file()
    total = count_lines(file) if readable_again else None
    return deliver(settings, read_lines(file), total=total, progress=progress)


def count_lines(file: Path) -> int:
    """Check every line of a file; returns how many records it holds. Errors as :func:`replay_lines`."""
    return sum(1 for _ in read_lines(file))


def read_lines(file: Path) -> Iterator[Output]:
    """The records of a file of JSON lines, each checked; empty lines are passed over."""
    lines = msgspec.json.Decoder(Line)
    for number, text in numbered_lines(file):
        if text.isspace():
            continue
        try:
            line = lines.decode(text)
            topic, kind = _READ_AS[line.topic]
            value = bytes(line.record)
            record = decode(kind, value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{name_of(file)}:{number}: not a line of a log: {error}") from None
        except DecodeError as error:
            raise InputError(f"{name_of(file)}:{number}: {error.reason}") from None
        yield Output(topic, str(getattr(record, topic.key.value)).encode(), value)


def name_of(file: Path) -> str:
    """What a message calls the file."""
    return "standard input" if str(file) == "-" else str(file)


def numbered_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, numbered from 1, without ever holding more than one.

    Raises
    ------
    InputError
        It cannot be read, or has a line longer than any record.
    """
    number = 0
    try:
        with _opened(file) as stream:
            while text := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(text) > MAX_LINE_BYTES:
                    raise InputError(f"{name_of(file)}:{number}: longer than {MAX_LINE_BYTES} bytes")
                yield number, text
    except (OSError, EOFError, zlib.error) as error:
        after = f" after line {number}" if number else ""
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name_of(file)}: cannot be read{after}: {reason}") from None


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes] | BufferedIOBase]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        yield stream
