"""Compacted topics in memory, for what follows them: a chooser sees records as if they came from Kafka."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from builders import START_MS, FakeMessage, some_settings

from consumers import ArtworkChooser
from stream.choosing.choice import key_of, policy_of
from stream.codec import encode
from stream.learning.posterior import pack
from stream.records import ArtworkSnapshot, ModelParameters, Snapshot, Taste, Title
from stream.topics import CATALOGUE, SNAPSHOTS, TASTES, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from consumers.chooser.follower import Handlers
    from stream.kafka import Message
    from stream.records import Record
    from stream.settings import Settings

FEATURES = ("bias", "comedy", "romance")

_TOPICS: dict[type[Record], tuple[Topic, str]] = {
    Title: (CATALOGUE, "title_id"),
    Snapshot: (SNAPSHOTS, "title_id"),
    Taste: (TASTES, "member_id"),
}


def some_snapshot(
    title_id: str = "film",
    means: Mapping[str, Sequence[float]] | None = None,
    *,
    version: int = 10,
    sd: float = 0.01,
    **changes: Any,
) -> Snapshot:
    """A title of which much is known: romance likes the kiss, comedy the face."""
    means = {"face": (0.1, 0.5, 0.0), "kiss": (0.1, 0.0, 0.5)} if means is None else means
    d = len(next(iter(means.values()), FEATURES))
    given: dict[str, Any] = {
        "published_ms": START_MS,
        "learned_through_ms": START_MS - 500,
        "features": FEATURES,
        "model": ModelParameters((10.0,) * d, 20.0, None),
        "artworks": tuple(
            ArtworkSnapshot(artwork_id, 1000, 200, 150.0, (0.0,) * d, tuple(mean), tuple(_diagonal(d, sd)))
            for artwork_id, mean in means.items()
        ),
    }
    return Snapshot(title_id, version, **(given | changes))


def _diagonal(d: int, sd: float) -> list[float]:
    packed: list[float] = pack(np.eye(d) * sd).tolist()
    return packed


def some_taste(member_id: str = "ann", **shares: float) -> Taste:
    """A member's taste."""
    return Taste(member_id, START_MS, 3, dict(shares))


def table_message(record: Record, offset: int = 0) -> tuple[Topic, FakeMessage]:
    """A record on its table."""
    topic, key = _TOPICS[type(record)]
    return topic, FakeMessage(topic.full_name("keyart."), 0, offset, getattr(record, key).encode(), encode(record))


@contextmanager
def choosing(
    tables: MemoryTables, *, now_ms: Callable[[], int] = lambda: START_MS, **changes: Any
) -> Iterator[ArtworkChooser]:
    """A chooser that has read the tables, and follows them."""
    settings = some_settings(**({"token_secrets": ("a secret for the tests",)} | changes))
    with ArtworkChooser(settings, now_ms=now_ms, open_tables=tables.open) as chooser:
        chooser.wait_ready(20)
        yield chooser


def members_of(policy: str, count: int, explore: float = 0.02, popular: float = 0.05) -> list[str]:
    """The first members of a policy."""
    names = (f"member-{i}" for i in range(1_000_000))
    found = (name for name in names if policy_of(key_of(name), explore, popular) == policy)
    return [name for name, _ in zip(found, range(count), strict=False)]


class MemoryTables:
    """Tables that a test writes and a chooser follows, through :meth:`open`.

    Attributes
    ----------
    broken
        What reading raises while it is set.
    opened, closed
        How many readers were opened, and closed again.
    """

    def __init__(self, *records: Record) -> None:
        self.changed = threading.Condition()
        self.log: list[tuple[Topic, FakeMessage]] = []
        self.broken: Exception | None = None
        self.opened = self.closed = 0
        self.applied = 0  # by the newest reader
        self.hold_at: int | None = None  # readers stop before this record
        self.write(*records)

    def write(self, *records: Record) -> None:
        """Append records."""
        for record in records:
            topic, message = table_message(record)
            self.write_raw(topic, message.key, message.value)

    def write_raw(self, topic: Topic, key: bytes | None, value: bytes | None) -> None:
        """Append any bytes; no value is a tombstone."""
        with self.changed:
            message = FakeMessage(topic.full_name("keyart."), 0, len(self.log), key, value)
            self.log.append((topic, message))
            self.changed.notify_all()

    def break_with(self, error: Exception | None) -> None:
        """Make every reading fail from now on, or no longer."""
        with self.changed:
            self.broken = error
            self.changed.notify_all()

    def hold(self, at: int | None) -> None:
        """Let readers come as far as this record, and no farther until told."""
        with self.changed:
            self.hold_at = at
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
        """Wait until something is so; looked at whenever a reader has done something."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), f"{what}: not within {seconds:g} s"

    def settle(self) -> None:
        """Wait until the newest reader has applied everything."""
        self.wait(lambda: self.applied == len(self.log), "everything is applied")

    def open(self, settings: Settings, handlers: Handlers) -> MemoryReader:
        """What an :class:`ArtworkChooser` takes as ``open_tables``."""
        with self.changed:
            self.opened += 1
            self.applied = 0
            self.changed.notify_all()
            if self.broken is not None:
                raise self.broken
        return MemoryReader(self, handlers)


class MemoryReader:
    """One reader, from the beginning."""

    def __init__(self, tables: MemoryTables, handlers: Handlers) -> None:
        self._tables = tables
        self._handlers: Mapping[Topic, Callable[[Sequence[Message]], None]] = handlers
        self._next = 0

    def poll(self, seconds: float) -> int:
        """Apply what there is, or wait for it."""
        tables = self._tables
        with tables.changed:
            tables.changed.wait_for(lambda: tables.broken is not None or self._next < self._end(), seconds)
            return self._apply()

    def catch_up(self, seconds: float) -> int:
        """Apply everything."""
        tables = self._tables
        with tables.changed:
            end, applied = len(tables.log), 0
            while self._next < end:
                tables.changed.wait_for(lambda: tables.broken is not None or self._next < self._end(), 0.05)
                applied += self._apply()
                for handle in self._handlers.values():
                    handle([])  # as a client does that polls in vain
            return applied

    def close(self) -> None:
        """Hang up."""
        with self._tables.changed:
            self._tables.closed += 1
            self._tables.changed.notify_all()

    def _end(self) -> int:
        hold_at = self._tables.hold_at
        return len(self._tables.log) if hold_at is None else min(hold_at, len(self._tables.log))

    def _apply(self) -> int:
        tables = self._tables
        if tables.broken is not None:
            raise tables.broken
        first, end = self._next, max(self._next, self._end())
        for topic, message in tables.log[first:end]:
            self._handlers[topic]([message])
        self._next = tables.applied = end
        tables.changed.notify_all()
        return end - first
