"""From bytes to records and back: the only place where either happens.

Reading is msgspec's: decoding and validation are one pass, and an error names the field. Writing is orjson's,
which writes NumPy arrays as they are.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson

from stream.errors import DecodeError
from stream.records import MAX_RECORD_BYTES, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

R = TypeVar("R", bound=Record)

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


@cache
def decoder(record: type[R]) -> msgspec.json.Decoder[R]:
    """The decoder of a record type; made once."""
    return msgspec.json.Decoder(record)


def decode(record: type[R], value: bytes | None, *, limit: int | None = MAX_RECORD_BYTES) -> R:
    """Read one record.

    Parameters
    ----------
    record
        The type its topic promises.
    value
        The bytes on the topic.
    limit
        The most bytes allowed, None for a topic that only Keyart's own workers write.

    Raises
    ------
    DecodeError
        With a stable code and a sentence: ``empty``, ``too_large``, ``not_utf8``, ``not_json`` or ``invalid``.

    Examples
    --------
    >>> from stream.records import Taste
    >>> decode(Taste, b'{"member_id": "m", "updated_ms": 1, "views": 2, "taste": {"drama": 1.0}}').views
    2
    >>> decode(Taste, b'{"member_id": "m", "updated_ms": -1, "views": 2, "taste": {}}')
    Traceback (most recent call last):
    ...
    stream.errors.DecodeError: Taste: Expected `int` >= 0 - at `$.updated_ms`
    """
    if not value:
        raise DecodeError("empty", f"{record.__name__}: the record has no value")
    if limit is not None and len(value) > limit:
        raise DecodeError("too_large", f"{record.__name__}: {len(value)} bytes, the limit is {limit}")
    try:
        found: R = decoder(record).decode(value)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid", f"{record.__name__}: {error}") from None
    except UnicodeDecodeError:
        raise DecodeError("not_utf8", f"{record.__name__}: not UTF-8 at byte {_first_bad_byte(value)}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise DecodeError("not_json", f"{record.__name__}: not JSON: {error}") from None
    return found


def _first_bad_byte(value: bytes) -> int:
    """Where a record stops being UTF-8; the decoder's own error counts from the start of a string in it."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(value)


def encode(record: Record) -> bytes:
    """Write one record.

    >>> from stream.records import Artwork
    >>> encode(Artwork("a", {"drama": 1.0}))
    b'{"artwork_id":"a","themes":{"drama":1.0}}'
    """
    return msgspec.json.encode(record)


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """Write a record given as a mapping that may hold NumPy arrays, without turning them into lists first."""
    return orjson.dumps(fields, option=_OPTIONS)


def decode_key(key: bytes | None) -> str:
    """Read a record's key.

    Raises
    ------
    DecodeError
        ``bad_key``: the record has no key, or one that is not UTF-8.
    """
    if not key:
        raise DecodeError("bad_key", "the record has no key")
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise DecodeError("bad_key", "the record's key is not UTF-8") from None
