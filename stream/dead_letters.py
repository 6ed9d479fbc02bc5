"""What becomes of bad input: its bytes untouched, with where it came from and a reason a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.kafka import Output
from stream.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from stream.errors import DecodeError
    from stream.kafka import Message


def dead_letter(message: Message, error: DecodeError, worker: str) -> Output:
    """The record that keeps a bad record.

    Headers: ``keyart.topic``, ``keyart.partition``, ``keyart.offset`` (where it was read), ``keyart.code`` (a
    stable name of the kind of fault), ``keyart.reason`` (a sentence) and ``keyart.worker``.
    """
    headers = (
        ("keyart.topic", message.topic.encode()),
        ("keyart.partition", str(message.partition).encode()),
        ("keyart.offset", str(message.offset).encode()),
        ("keyart.code", error.code.encode()),
        ("keyart.reason", error.reason.encode(errors="replace")),
        ("keyart.worker", worker.encode()),
    )
    key = message.key
    if key is None and message.value is None:
        key = b""  # the client writes no record that has neither
    return Output(DEAD_LETTERS, key, message.value, headers=headers)
