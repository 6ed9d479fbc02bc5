"""Reading the Open Bandit Dataset's files, a row at a time, strictly: every fault names its file and line."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import Meta

from producers.replay import numbered_lines
from stream.errors import InputError
from stream.records import MAX_ARTWORKS, MAX_FEATURES, Propensity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T", bound=msgspec.Struct)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

#: Where on the page an item was shown: so many titles has a campaign.
POSITIONS = (1, 2, 3)
_FEATURE_COLUMN = "user_feature_"
_VALUE_CHARACTERS = 8  # the values are hashes of 32 characters: 8 tell them apart, and a person can read them
_VALUE = re.compile(r"[\w.+-]+")  # what a list of features in an environment variable can hold


class Row(msgspec.Struct):
    """What is read of a row, by the file's own names."""

    timestamp: datetime
    item_id: Annotated[int, Meta(ge=0)]
    position: Annotated[int, Meta(ge=POSITIONS[0], le=POSITIONS[-1])]
    click: Annotated[int, Meta(ge=0, le=1)]
    propensity_score: Propensity

    @property
    def shown_ms(self) -> int:
        """Milliseconds since 1970; a time without a zone is UTC."""
        at = self.timestamp if self.timestamp.tzinfo else self.timestamp.replace(tzinfo=UTC)
        return (at - _EPOCH) // _MILLISECOND


class Item(msgspec.Struct):
    """What is read of an item."""

    item_id: Annotated[int, Meta(ge=0)]


def read_items(file: Path) -> tuple[int, ...]:
    """The campaign's items, in the file's order."""
    items: dict[int, None] = {}
    for where, fields in _table(file, Item.__struct_fields__):
        item = _convert(fields, Item, where).item_id
        if item in items:
            raise InputError(f"{where}: item {item} is listed twice")
        items[item] = None
        if len(items) > MAX_ARTWORKS:
            raise InputError(f"{where}: more than {MAX_ARTWORKS} items, the most artworks that a title can have")
    return tuple(items)


def read_rows(
    folder: Path, campaign: str, items: Iterable[int], limit: int | None
) -> Iterator[tuple[Row, dict[str, float]]]:
    """The log's rows, each with its context."""
    known = frozenset(items)
    names: dict[tuple[str, str], str] = {}  # feature of a column and a value
    for where, fields in islice(_table(folder / f"{campaign}.csv", Row.__struct_fields__, _FEATURE_COLUMN), limit):
        row = _convert(fields, Row, where)
        if row.item_id not in known:
            raise InputError(f"{where}: item {row.item_id} is not in {folder / 'item_context.csv'}")
        if row.shown_ms < 0:
            raise InputError(f"{where}: timestamp: before 1970")
        context = {}
        for column, value in fields.items():
            if not (column.startswith(_FEATURE_COLUMN) and value):
                continue
            name = names.get((column, value))
            if name is None:
                name = names[column, value] = _feature(column, value, names, where)
            context[name] = 1.0
        yield row, context


def _feature(column: str, value: str, names: dict[tuple[str, str], str], where: str) -> str:
    """The name of a feature that is met for the first time."""
    name = f"{column}={value[:_VALUE_CHARACTERS]}"
    if not _VALUE.fullmatch(value) or len(name) > 128:
        raise InputError(f"{where}: {column}: {value!r} cannot be part of a feature's name")
    if name in names.values():
        raise InputError(f"{where}: {column}: two values begin with {value[:_VALUE_CHARACTERS]!r}")
    if len(names) == MAX_FEATURES:
        raise InputError(f"{where}: more than {MAX_FEATURES} user features, the most that a context can have")
    return name


def _convert(fields: dict[str, str], kind: type[T], where: str) -> T:
    """A row's text as numbers and a time, within their limits."""
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}") from None


def _table(
    file: Path, columns: Collection[str], prefix: str | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Of each row the columns named, and those whose names begin so, with the row's file and line."""
    reader = csv.reader(_text(file), strict=True)
    try:
        header = next(reader, [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise InputError(f"{file}: there is no column {missing[0]!r} in its first line")
        wanted = [
            (i, name) for i, name in enumerate(header) if name in columns or (prefix and name.startswith(prefix))
        ]
        for cells in reader:
            where = f"{file}:{reader.line_num}"
            if len(cells) != len(header):
                raise InputError(f"{where}: {len(cells)} columns, the first line names {len(header)}")
            yield where, {name: cells[i] for i, name in wanted}
    except csv.Error as error:
        raise InputError(f"{file}:{reader.line_num}: {error}") from None


def _text(file: Path) -> Iterator[str]:
    for number, line in numbered_lines(file):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise InputError(f"{file}:{number}: not UTF-8") from None
