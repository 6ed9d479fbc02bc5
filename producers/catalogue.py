"""The catalogue: read from a file that people edit, written to its topic.

The file is a JSON array of titles, each as :class:`stream.records.Title` describes it.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from stream import topics
from stream.codec import decode, encode
from stream.errors import BrokerUnavailable, DecodeError, InputError
from stream.kafka import Admin, Output, Writer
from stream.records import Id, Title

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from stream.settings import Settings


def load_catalogue(path: Path) -> list[Title]:
    """Read a catalogue file.

    Raises
    ------
    InputError
        The file cannot be read, is not a JSON array of titles, is empty, or lists a title twice. The message
        names the file, and the line of a fault in the JSON, or the title and the field of a fault in the data.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    titles = [_title(path, number, raw) for number, raw in enumerate(_entries(path, content), start=1)]
    if not titles:
        raise InputError(f"{path}: there are no titles in it")
    seen: set[str] = set()
    for title in titles:
        if title.title_id in seen:
            raise InputError(f"{path}: title {title.title_id!r} is listed twice")
        seen.add(title.title_id)
    return titles


def _entries(path: Path, content: bytes) -> list[Any]:
    """The file's array, its elements not yet looked into."""
    try:
        text = content.decode("utf-8-sig")  # some editors put a byte order mark before the first character
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: not UTF-8 in line {line}") from None
    try:
        # The standard library's reader, because it tells where it stopped.
        entries = json.loads(text, parse_constant=partial(_refuse_constant, path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON in line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{path}: not a catalogue: it is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise InputError(f"{path}: not a catalogue: {error}") from None
    if not isinstance(entries, list):
        raise InputError(f"{path}: not a catalogue: it must be a JSON array of titles")
    return entries


def _refuse_constant(path: Path, name: str) -> NoReturn:
    raise InputError(f"{path}: {name} is not a number that JSON knows")


def _title(path: Path, number: int, raw: Any) -> Title:
    """One element of the array as a title."""
    named = raw.get("title_id") if isinstance(raw, dict) else None
    which = f"title {named!r}" if isinstance(named, str) and named else f"title number {number}"
    try:
        title = msgspec.convert(raw, Title)
        decode(Title, encode(title))
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {which}: {_at_field(error)}") from None
    except (DecodeError, UnicodeEncodeError) as error:
        raise InputError(f"{path}: {which}: {error}") from None
    return title


def _at_field(error: msgspec.ValidationError) -> str:
    """The message of msgspec with the field in front and without its marks: ``artworks[0].themes: expected …``."""
    reason, _, at = str(error).partition(" - at `")
    field = at.removesuffix("`").removeprefix("$").removeprefix(".")
    return f"{field}: {reason[:1].lower()}{reason[1:]}" if field else reason[:1].lower() + reason[1:]


def publish_catalogue(settings: Settings, titles: Iterable[Title]) -> None:
    """Write titles to the catalogue's topic and wait until all are delivered. Doing it twice does no harm.

    Raises
    ------
    BrokerUnavailable
        Not every title could be delivered; the message says how many were.
    TopicError
        The catalogue's topic is missing, or would lose titles.
    """
    _deliver(settings, (Output(topics.CATALOGUE, title.title_id.encode(), encode(title)) for title in titles))


def withdraw(settings: Settings, title_ids: Iterable[str]) -> None:
    """Take titles out of the catalogue, with a tombstone each, and wait until all are delivered.

    Withdrawing a title that the catalogue does not hold changes nothing.

    Raises
    ------
    InputError
        Something is not a title's id; nothing is withdrawn then.
    BrokerUnavailable, TopicError
        As :func:`publish_catalogue`.
    """
    title_ids = list(title_ids)
    for title_id in title_ids:
        try:
            msgspec.convert(title_id, Id)
        except msgspec.ValidationError:
            raise InputError(f"{title_id!r} is not a title's id: it needs 1 to 128 printable characters") from None
    _deliver(settings, (Output(topics.CATALOGUE, title_id.encode(), None) for title_id in title_ids))


#: How many records are under way at most: each has only so long to be delivered once it is queued.
_AT_ONCE = 1000


def _deliver(settings: Settings, outputs: Iterable[Output]) -> None:
    """Write records and wait for the cluster to have them all."""
    with Admin(settings) as admin:
        admin.verify((topics.CATALOGUE,))
    errors: list[Exception] = []
    seconds = 2 * settings.transaction_seconds  # the client should give up before; it does not always
    writer = Writer(settings, "catalogue", on_lost=lambda _, error: errors.append(error))
    written = 0
    try:
        for output in outputs:
            writer.write(output)
            written += 1
            if written % _AT_ONCE == 0:
                writer.flush(seconds)
        writer.flush(seconds)
    finally:
        writer.close()
    if errors:
        raise BrokerUnavailable(
            f"only {writer.delivered} of {written} records of the catalogue were delivered to "
            f"{settings.bootstrap_servers} ({errors[0]}); do it again, what is there already does no harm"
        )
