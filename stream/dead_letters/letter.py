"""A dead letter, as it is written and as it is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.dead_letters.replays import REPLAY_HEADER, header_of, headers_of
from stream.kafka import Output
from stream.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from stream.errors import DecodeError
    from stream.kafka import Message

#: The most bytes of a value, and of a key, that are kept. A batch of a megabyte can unpack to a gigabyte.
MAX_KEPT_BYTES = 1024 * 1024
_MAX_REASON = 1000


def dead_letter(message: Message, error: DecodeError, worker: str) -> Output:
    """The record that keeps a bad record.

    Headers: ``keyart.topic``, ``keyart.partition``, ``keyart.offset`` (where it was read), ``keyart.written_ms``
    (the record's timestamp), ``keyart.code`` (a stable name of the kind of fault), ``keyart.reason`` (a sentence)
    and ``keyart.worker``. A value of more than :data:`MAX_KEPT_BYTES` is cut off there; then ``keyart.length`` and
    ``keyart.sha256`` are those of the whole. A key likewise, with ``keyart.key_length`` and ``keyart.key_sha256``.
    If the record had been put back before, ``keyart.replay`` says which dead letter it was.
    """
    headers = [
        ("keyart.topic", message.topic.encode()),
        ("keyart.partition", str(message.partition).encode()),
        ("keyart.offset", str(message.offset).encode()),
        ("keyart.written_ms", str(message.timestamp).encode()),
        ("keyart.code", error.code.encode()),
        ("keyart.reason", error.reason[:_MAX_REASON].encode(errors="replace")),
        ("keyart.worker", worker.encode()),
    ]
    key, value = message.key, message.value
    if key is not None and len(key) > MAX_KEPT_BYTES:
        headers += _whole("keyart.key_", key)
        key = key[:MAX_KEPT_BYTES]
    if value is not None and len(value) > MAX_KEPT_BYTES:
        headers += _whole("keyart.", value)
        value = value[:MAX_KEPT_BYTES]
    before = header_of(message, REPLAY_HEADER)
    if before is not None:
        headers.append((REPLAY_HEADER, before[:100]))
    if key is None and value is None:
        key = b""  # the client writes no record that has neither
    return Output(DEAD_LETTERS, key, value, headers=tuple(headers))


def _whole(prefix: str, kept: bytes) -> list[tuple[str, bytes]]:
    """What is said of bytes that are cut off."""
    return [
        (f"{prefix}length", str(len(kept)).encode()),
        (f"{prefix}sha256", hashlib.sha256(kept).hexdigest().encode()),
    ]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as read. Its headers are a worker's, and yet nothing is taken for granted of them.

    Attributes
    ----------
    partition, offset
        Its place on the topic ``dead-letters``.
    dead_ms
        When it was written there.
    key, value
        Those of the bad record.
    topic, source_partition, source_offset
        Where the bad record was read; -1 where it is not said.
    written_ms
        The bad record's timestamp; -1 where it is not said.
    code, reason
        Why.
    worker
        Who found it.
    length, sha256
        Of the whole value, if it is cut off; ``key_length`` and ``key_sha256`` of the key likewise. None and "" if
        it is not.
    replay_of
        Which dead letter it was before, as ``partition:offset``; "" if it was none.
    """

    partition: int
    offset: int
    dead_ms: int
    key: bytes | None
    value: bytes | None
    topic: str
    source_partition: int
    source_offset: int
    written_ms: int
    code: str
    reason: str
    worker: str
    length: int | None
    sha256: str
    key_length: int | None
    key_sha256: str
    replay_of: str

    @property
    def place(self) -> str:
        """What a person calls it by."""
        return f"{self.partition}:{self.offset}"

    @property
    def is_cut_off(self) -> bool:
        """Whether the record is not here in whole."""
        return self.length is not None or self.key_length is not None

    @classmethod
    def read(cls, message: Message) -> Letter:
        """From its record."""
        headers = headers_of(message)

        def text(name: str) -> str:
            return headers.get(name, b"").decode(errors="replace")

        def number(name: str) -> int | None:
            digits = headers.get(name, b"")
            return int(digits) if digits.isdigit() and len(digits) < 20 else None

        def known(name: str) -> int:
            found = number(name)
            return -1 if found is None else found

        return cls(
            partition=message.partition,
            offset=message.offset,
            dead_ms=message.timestamp,
            key=message.key,
            value=message.value,
            topic=text("keyart.topic"),
            source_partition=known("keyart.partition"),
            source_offset=known("keyart.offset"),
            written_ms=known("keyart.written_ms"),
            code=text("keyart.code"),
            reason=text("keyart.reason"),
            worker=text("keyart.worker"),
            length=number("keyart.length"),
            sha256=text("keyart.sha256"),
            key_length=number("keyart.key_length"),
            key_sha256=text("keyart.key_sha256"),
            replay_of=text(REPLAY_HEADER),
        )
