"""Following whole compacted topics: a view that every process keeps for itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kafka import TopicPartition

from stream.errors import BrokerUnavailable
from stream.kafka.client import Message, consumer_options, plainly, position_of
from stream.kafka.unpacking import new_consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stream.kafka.admin import Admin
    from stream.settings import Settings
    from stream.topics import Topic


class TableReader:
    """Reads every partition of some tables from the beginning, and goes on as they change.

    Not thread-safe: one thread reads. What ``apply`` does with the records is its own affair.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``.
    TopicError
        A topic is missing.
    """

    def __init__(
        self,
        settings: Settings,
        admin: Admin,
        tables: Mapping[Topic, Callable[[Sequence[Message]], None]],
    ) -> None:
        self._settings = settings
        self._admin = admin
        counts = admin.verify(tables)
        self._apply = {topic.full_name(settings.topic_prefix): apply for topic, apply in tables.items()}
        self._partitions = {topic: range(counts[topic.name]) for topic in tables}
        with plainly(settings, "connecting"):
            self._client = new_consumer(**consumer_options(settings, "table"))
            places = [
                TopicPartition(topic.full_name(settings.topic_prefix), partition)
                for topic, partitions in self._partitions.items()
                for partition in partitions
            ]
            self._client.assign(places)
            for topic, partitions in self._partitions.items():
                begin = admin.begin_offsets(topic, partitions)
                for partition, offset in begin.items():
                    self._client.seek(TopicPartition(topic.full_name(settings.topic_prefix), partition), offset)

    def poll(self, seconds: float = 0.0) -> int:
        """Apply what has come, waiting for the first record at most so long; returns how many records."""
        with plainly(self._settings, "reading tables"):
            batch = self._client.poll(timeout_ms=round(seconds * 1000))
        for place, records in batch.items():
            self._apply[place.topic](records)
        return sum(len(records) for records in batch.values())

    def catch_up(self, seconds: float = 60.0) -> int:
        """Apply everything that is on the topics now; returns how many records.

        Raises
        ------
        BrokerUnavailable
            Time ran out before the end was reached.
        """
        prefix = self._settings.topic_prefix
        ends = {
            TopicPartition(topic.full_name(prefix), partition): offset
            for topic, partitions in self._partitions.items()
            for partition, offset in self._admin.end_offsets(topic, partitions).items()
        }
        deadline = time.monotonic() + seconds
        applied = 0
        while any(position_of(self._client, place, self._settings) < end for place, end in ends.items()):
            applied += self.poll(0.05)
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"the tables could not be read to their end within {seconds:g} s")
        return applied

    def close(self) -> None:
        """Hang up."""
        self._client.close()
