"""Nothing but the wire: bytes in and out of topics with the plain client, and what brokers say of groups.

Tests that prove a promise use this and JSON alone, so that a fault in Keyart's own client code cannot hide itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stream.settings import Settings

Record = Any  # kafka-python's ConsumerRecord
#: Topic (short name), key and value; a value that is not bytes is written as JSON.
Sent = tuple[str, "bytes | str | None", Any]


class Wire:
    """A plain producer and a plain admin client on one test's topics; ``login`` is more options of the client."""

    def __init__(self, settings: Settings, **login: Any) -> None:
        self.servers = settings.bootstrap_servers
        self._login = login
        self.prefix = settings.topic_prefix
        self.partitions = settings.partitions
        self._producer = KafkaProducer(bootstrap_servers=self.servers, acks="all", linger_ms=5, **login)
        self.admin = KafkaAdminClient(bootstrap_servers=self.servers, **login)

    def close(self) -> None:
        """Hang up."""
        self._producer.close(timeout=5)
        self.admin.close()

    # --- records

    def send(self, records: Iterable[Sent], *, at_ms: int | None = None) -> int:
        """Write records, as of now or ``at_ms``, and wait until the broker has them all; returns how many."""
        futures = [
            self._producer.send(self.prefix + topic, key=_bytes(key), value=_bytes(value), timestamp_ms=at_ms)
            for topic, key, value in records
        ]
        self._producer.flush(timeout=30)
        for future in futures:
            future.get(timeout=0)
        return len(futures)

    def send_with(self, producer: KafkaProducer, topic: str, key: bytes, value: bytes, *, partition: int) -> None:
        """Queue one record on another producer, one with a transaction open."""
        producer.send(self.prefix + topic, key=key, value=value, partition=partition)

    def read(self, topic: str, *, committed: bool = True) -> list[Record]:
        """Everything on a topic now, partition by partition."""
        places = self.places(topic)
        ends = self.ends(topic)
        consumer = KafkaConsumer(
            bootstrap_servers=self.servers,
            isolation_level="read_committed" if committed else "read_uncommitted",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
            **self._login,
        )
        try:
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            found = defaultdict(list)
            while any(consumer.position(place) < ends[place] for place in places):
                for place, records in consumer.poll(timeout_ms=50).items():
                    found[place].extend(records)
        finally:
            consumer.close()
        return [record for place in places for record in found[place]]

    def latest(self, topic: str) -> dict[str, Any]:
        """The last value of each key of a table, tombstones left out."""
        last = {record.key.decode(): record.value for record in self.read(topic)}
        return {key: json.loads(value) for key, value in last.items() if value is not None}

    def places(self, topic: str) -> list[TopicPartition]:
        """A topic's partitions."""
        return [TopicPartition(self.prefix + topic, partition) for partition in range(self.partitions)]

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Where each partition ends, open transactions included."""
        answer = self.admin.list_partition_offsets(dict.fromkeys(self.places(topic), OffsetSpec.LATEST))
        return {place: found.offset for place, found in answer.items()}

    # --- groups

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """What a group has committed; nothing while the broker is still looking for its coordinator."""
        name = self.prefix + group
        try:
            answer = self.admin.list_group_offsets({name: None})
        except RetriableError:
            return {}
        return {place: found.offset for place, found in answer[name].items() if found.offset >= 0}

    def drained(self, group: str, inputs: Iterable[str]) -> bool:
        """Whether a group has committed everything on its inputs."""
        return not self.behind(group, inputs)

    def behind(self, group: str, inputs: Iterable[str]) -> dict[TopicPartition, tuple[int, int]]:
        """Where a group has not committed everything: what it has committed, and where the partition ends."""
        committed = self.committed(group)
        return {
            place: (committed.get(place, 0), end)
            for topic in inputs
            for place, end in self.ends(topic).items()
            if committed.get(place, 0) < end
        }

    def members(self, group: str) -> int:
        """How many members a group has now."""
        return len(self._described(group)["members"])

    def state(self, group: str) -> str:
        """What a group is doing: ``Stable``, ``PreparingRebalance``, ``Empty``; ``Dead`` if there is none."""
        return str(self._described(group)["group_state"])

    def _described(self, group: str) -> Mapping[str, Any]:
        name = self.prefix + group
        try:
            described: Mapping[str, Any] = self.admin.describe_groups([name])[name]
        except RetriableError:
            return {"members": [], "group_state": "Dead"}
        return described


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def values(records: Iterable[Record]) -> Iterator[Any]:
    """The JSON values of records."""
    return (json.loads(record.value) for record in records)
