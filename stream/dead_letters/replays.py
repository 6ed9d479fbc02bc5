"""Dead letters put back: how a record says that it is one, and how the topic says which were.

A record that is put back carries the header ``keyart.replay`` with its dead letter's place, ``partition:offset``.
The mark that keeps it from being put back again is a record on ``dead-letters`` itself, in the letters' own
partition, written in one transaction with what it tells of: header ``keyart.replayed`` and, as its value, the
offsets of letters before it. A mark is younger than its letters, so retention takes them first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stream.kafka import Output
from stream.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stream.dead_letters.letter import Letter
    from stream.kafka import Message
    from stream.topics import Topic

REPLAY_HEADER = "keyart.replay"
_MARK_HEADER = "keyart.replayed"


class Mark(msgspec.Struct):
    """What was put back of the mark's partition."""

    replayed: list[int]


def headers_of(message: Message) -> Mapping[str, bytes]:
    """A record's headers by name; of two with one name, the last."""
    return {name: value or b"" for name, value in getattr(message, "headers", None) or ()}


def header_of(message: Message, wanted: str) -> bytes | None:
    """One header's value; None if there is none of that name."""
    headers = getattr(message, "headers", None)
    return headers_of(message).get(wanted) if headers else None


def is_replayed(message: Message) -> bool:
    """Whether a person has put this record back."""
    return header_of(message, REPLAY_HEADER) is not None


def put_back(letter: Letter, topic: Topic, key: bytes | None, value: bytes | None) -> Output:
    """The record that puts a dead letter back."""
    return Output(topic, key, value, headers=((REPLAY_HEADER, letter.place.encode()),))


def replay_mark(partition: int, offsets: Iterable[int]) -> Output:
    """The mark of letters of one partition."""
    value = msgspec.json.encode(Mark(sorted(offsets)))
    return Output(DEAD_LETTERS, b"", value, partition, headers=((_MARK_HEADER, b"1"),))


def read_mark(message: Message) -> list[int] | None:
    """The offsets of the letters that a mark tells of; None if the record is no mark, but a letter."""
    if header_of(message, _MARK_HEADER) is None:
        return None
    try:
        return msgspec.json.decode(message.value or b"", type=Mark).replayed
    except msgspec.DecodeError:
        return []  # not written by us: it tells of nothing
