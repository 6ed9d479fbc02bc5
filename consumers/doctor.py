"""Gathering what the doctor looks at: cluster, groups, titles and clocks, in one place.

Nothing is written or changed. Whatever cannot be seen is left out of the facts, or is a fact of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from stream.codec import decode_key
from stream.dead_letters import read_mark
from stream.doctor import ClockReading, Facts, Refusal, TitleFacts
from stream.doctor.loop import INPUTS
from stream.errors import BrokerUnavailable, ConfigurationError, DecodeError
from stream.kafka import Inspector, RangeReader
from stream.kafka.keyed import read_tables
from stream.reading.event_time import wall_clock_ms
from stream.topics import CATALOGUE, DEAD_LETTERS, IMPRESSIONS, PLAYS, REWARDS, SNAPSHOTS, TASTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.doctor import GroupFacts
    from stream.kafka import Message
    from stream.settings import Settings
    from stream.topics import Topic

_HOUR_MS = 3_600_000
#: So many of a partition's last offsets are looked at for its newest record: a transaction's last is a marker.
_TAIL = 8
#: Topics whose newest record tells something.
_TIMED = (IMPRESSIONS, PLAYS, REWARDS, TASTES)
#: No more dead letters are counted one by one.
_MOST_COUNTED = 100_000


Head = TypeVar("Head", bound=Struct)


class _SnapshotHead(Struct):
    """What the doctor wants of a snapshot."""

    version: int
    published_ms: int


class _TitleHead(Struct):
    """What the doctor wants of a title."""

    name: str


def gather(settings: Settings, *, role: str | None = None, now_ms: Callable[[], int] = wall_clock_ms) -> Facts:
    """Look at everything.

    Parameters
    ----------
    settings
        Those in force.
    role
        Whose rights our user should have, see :data:`stream.access.ROLES`.
    now_ms
        Our own clock.
    """
    try:
        with Inspector(settings) as inspector:
            return _Look(settings, inspector, now_ms).facts(role)
    except BrokerUnavailable as error:
        return Facts(now_ms(), settings, unreachable=str(error), role=role)
    except ConfigurationError as error:
        return Facts(now_ms(), settings, login_refused=str(error), role=role)


class _Look:
    """One look at a cluster, in the order in which it is taken."""

    def __init__(self, settings: Settings, inspector: Inspector, now_ms: Callable[[], int]) -> None:
        self._settings, self._inspector, self._now_ms = settings, inspector, now_ms
        self._began_ms = now_ms()
        self._topics = inspector.topics(self._began_ms - _HOUR_MS)
        #: Who may not read a topic at least sees what the cluster says of it.
        self._readable = {
            name: topic
            for name, topic in self._topics.items()
            if topic.operations is None or topic.operations & {"Read", "All"}
        }

    def facts(self, role: str | None) -> Facts:
        """All of it."""
        inspector = self._inspector
        brokers = inspector.brokers()
        groups = {name: group for name in INPUTS if (group := inspector.group(name)) is not None}
        titles = snapshots = trouble = None
        clock: tuple[ClockReading, ...] = ()
        try:
            titles, snapshots = self._heads(CATALOGUE, _TitleHead), self._heads(SNAPSHOTS, _SnapshotHead)
            self._time_partitions()
            groups = {name: self._unread(name, group) for name, group in groups.items()}
            self._count_dead_letters()
            clock = self._clock()
        except BrokerUnavailable as error:  # what was seen so far is worth telling
            trouble = str(error)
        closed = (
            Refusal(f"the records of topic {self._settings.topic_prefix + name!r}", "we may not read them")
            for name in self._topics
            if name not in self._readable
        )
        return Facts(
            self._now_ms(),
            self._settings,
            unreachable=trouble,
            role=role,
            brokers=brokers,
            topics=self._topics | self._readable,
            groups=groups,
            refusals=(*inspector.refusals, *closed),
            titles=None if titles is None else {title_id: head.name for title_id, head in titles.items()},
            snapshots=None
            if snapshots is None
            else {title_id: TitleFacts(head.version, head.published_ms) for title_id, head in snapshots.items()},
            clock=clock,
        )

    def _unread(self, worker: str, group: GroupFacts) -> GroupFacts:
        """A group with the age of what it has not read yet."""
        waiting = {}
        for topic in INPUTS[worker]:
            found = self._readable.get(topic.name)
            for number, partition in enumerate(() if found is None else found.partitions):
                place = topic.name, number
                waiting[place] = max(group.committed.get(place, 0), partition.begin), partition.stable
        return replace(group, unread_since_ms=self._inspector.written(waiting, "first"))

    def _heads(self, topic: Topic, kind: type[Head]) -> dict[str, Head] | None:
        """Of each key of a table, what is wanted of its value; None where the table cannot be read."""
        found = self._readable.get(topic.name)
        if found is None:
            return None
        decoder, heads = msgspec.json.Decoder(kind), dict[str, Head]()

        def take(_topic: Topic, message: Message) -> None:
            try:
                key = decode_key(message.key)
                if message.value is None:
                    heads.pop(key, None)
                else:
                    heads[key] = decoder.decode(message.value)
            except (DecodeError, msgspec.DecodeError, UnicodeDecodeError):
                return  # whoever serves from it says so

        ranges = {(topic, number): (part.begin, part.stable) for number, part in enumerate(found.partitions)}
        read_tables(self._settings, ranges, take)
        return heads

    def _time_partitions(self) -> None:
        """When each partition's newest record was written, and since when a transaction is open."""
        tails, opened = {}, {}
        for name, topic in self._readable.items():
            for number, partition in enumerate(topic.partitions):
                if name in {timed.name for timed in _TIMED}:
                    tails[name, number] = max(partition.begin, partition.stable - _TAIL), partition.stable
                if partition.stable < partition.end:
                    opened[name, number] = partition.stable, partition.end
        newest = self._inspector.written(tails, "last")
        since = self._inspector.written(opened, "first")
        for name, topic in self._readable.items():
            timed_partitions = tuple(
                replace(partition, newest_ms=newest.get((name, number)), open_since_ms=since.get((name, number)))
                for number, partition in enumerate(topic.partitions)
            )
            self._readable[name] = replace(topic, partitions=timed_partitions)

    def _count_dead_letters(self) -> None:
        """Dead letters of the last hour one by one: offsets count transactions' markers, and what was put back."""
        dead = self._readable.get(DEAD_LETTERS.name)
        if dead is None or not dead.lately or dead.lately > _MOST_COUNTED:
            return
        count = 0

        def take(_topic: Topic, _partition: int, messages: Sequence[Message]) -> None:
            nonlocal count
            for message in messages:
                count += message.timestamp >= self._began_ms - _HOUR_MS and read_mark(message) is None

        stretches = {
            (DEAD_LETTERS, number): (max(partition.begin, partition.stable - dead.lately), partition.stable)
            for number, partition in enumerate(dead.partitions)
        }
        reader = RangeReader(self._settings)
        try:
            reader.read(stretches, take, patience_seconds=self._settings.connect_seconds)
        finally:
            reader.close()
        self._readable[DEAD_LETTERS.name] = replace(dead, lately=count)

    def _clock(self) -> tuple[ClockReading, ...]:
        """The newest records that were written since we began: between then and now, by our clock."""
        later = self._inspector.topics(self._began_ms)
        ranges = {}
        for topic in _TIMED:
            if topic.name in self._readable and topic.name in later:
                pairs = zip(self._readable[topic.name].partitions, later[topic.name].partitions, strict=False)
                for number, (before, after) in enumerate(pairs):
                    ranges[topic.name, number] = max(before.end, after.end - _TAIL), after.end
        found = self._inspector.written(ranges, "last")
        return tuple(
            ClockReading(name, written_ms, self._began_ms, self._now_ms())
            for (name, _), written_ms in sorted(found.items())
        )
