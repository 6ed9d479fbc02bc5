"""From bytes to records and back: the only place where either happens.

Reading is msgspec's: decoding and validation are one pass, and an error names the field. Writing is orjson's,
which writes NumPy arrays as they are.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

import msgspec
import msgspec.inspect
import numpy as np
import orjson

from stream.errors import DecodeError
from stream.records import MAX_NESTING, MAX_RECORD_BYTES, EventId, Id, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

R = TypeVar("R", bound=Record)

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONGEST_FAULT = 200
_NESTED = (msgspec.inspect.DictType, msgspec.inspect.StructType)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
        The most bytes allowed, None for a topic that only Keyart's own workers write: what they write may also be
        nested as deep as they like.

    Raises
    ------
    DecodeError
        With a stable code and a sentence: ``empty``, ``too_large``, ``too_deep``, ``not_utf8``, ``not_json`` or
        ``invalid``.

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
    if limit is not None and value.count(b"[") + value.count(b"{") > MAX_NESTING and _is_too_deep(value):
        raise DecodeError("too_deep", f"{record.__name__}: nested deeper than {MAX_NESTING} levels")
    try:
        found: R = decoder(record).decode(value)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid", f"{record.__name__}: {_shortened(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, UnicodeDecodeError) or "UTF-8" in str(error):  # older and newer releases of msgspec
            at = _first_bad_byte(value)
            raise DecodeError("not_utf8", f"{record.__name__}: not UTF-8 at byte {at}") from None
        raise DecodeError("not_json", f"{record.__name__}: not JSON: {error}") from None
    if b"\\" in value or b"\x7f" in value:  # JSON has control characters in no other way
        check_ids(found)
    return found


def decode_plain(record: type[R], values: Sequence[bytes | None]) -> list[R] | None:
    """Read the records of a batch, if all are as nearly all are: a fraction of the time it takes one by one.

    Parameters
    ----------
    record
        The type their topic promises.
    values
        The bytes of n records.

    Returns
    -------
    list or None
        The n records as :func:`decode` would read each; None if one of them has to be looked at more closely, and
        may be bad.

    Examples
    --------
    >>> from stream.records import Taste
    >>> good = b'{"member_id": "m", "updated_ms": 1, "views": 2, "taste": {}}'
    >>> [taste.views for taste in decode_plain(Taste, [good, good])]
    [2, 2]
    >>> decode_plain(Taste, [good, b"{}"]) is None
    True
    """
    if None in values:
        return None
    there = cast("Sequence[bytes]", values)
    together = b"".join(there)
    if b"\\" in together or b"\x7f" in together or max(map(len, there), default=0) > MAX_RECORD_BYTES:
        return None
    # Both brackets that open differ from one another by a bit, and from all else by more.
    opens = np.count_nonzero(np.frombuffer(together, dtype=np.uint8) | 0x20 == ord("{"))
    if opens - (len(there) - 1) * _fewest_brackets(record) > MAX_NESTING:
        return None  # were all the others as flat as can be, this one could be too deep
    try:
        return list(map(decoder(record).decode, there))
    except (ValueError, RecursionError):  # msgspec's errors, and text that is not UTF-8, are ValueErrors
        return None


@cache
def _fewest_brackets(record: type[Record]) -> int:
    """How many objects and lists there are at least in a record of this type, itself among them."""
    fields = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(record)).fields
    return 1 + sum(1 for field in fields if field.required and isinstance(field.type, _NESTED))


def check_ids(record: Record) -> None:
    """Refuse control characters in ids that the record's type does not look for itself.

    Raises
    ------
    DecodeError
        ``invalid``.
    """
    for path, id_ in _ids(record, "$"):
        if _CONTROL.search(id_):
            raise DecodeError("invalid", f"{type(record).__name__}: a control character in an id - at `{path}`")


def _ids(record: Record, path: str) -> Iterator[tuple[str, str]]:
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Record):
            yield from _ids(value, f"{path}.{name}")
        elif name in _event_ids(type(record)) and value is not None:
            yield f"{path}.{name}", value


@cache
def _event_ids(record: type[Record]) -> frozenset[str]:
    """The fields that are :data:`~stream.records.EventId`."""
    hints = get_type_hints(record, include_extras=True).items()
    return frozenset(name for name, hint in hints if hint is EventId or EventId in get_args(hint))


def _is_too_deep(value: bytes) -> bool:
    """Whether brackets outside strings lie deeper in one another than they may.

    The decoder's own limit is what is left of Python's stack, so the same record could be good here and bad there.
    Each step drops the pairs that hold nothing: those of the innermost level. Brackets without a partner are no
    JSON, however deep, and are left to the decoder.
    """
    brackets = _STRING.sub(b"", value).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets


def _shortened(fault: str) -> str:
    """A fault in few words: the decoder repeats a value that is not among those allowed, however long it is."""
    if len(fault) <= _LONGEST_FAULT:
        return fault
    half = _LONGEST_FAULT // 2
    return f"{fault[:half]}…{fault[-half:]}"


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


def decode_member(key: bytes | None) -> str:
    r"""Read a key that is a member's id, where no value says it once more.

    Raises
    ------
    DecodeError
        ``bad_key``: it is none. A control character would make it one of the worker's own keys.

    Examples
    --------
    >>> decode_member(b"ann")
    'ann'
    >>> decode_member(b"\x00position")
    Traceback (most recent call last):
    ...
    stream.errors.DecodeError: the record's key is no member's id
    """
    member_id = decode_key(key)
    try:
        return msgspec.convert(member_id, Id)
    except msgspec.ValidationError:
        raise DecodeError("bad_key", "the record's key is no member's id") from None
