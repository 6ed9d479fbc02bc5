"""Reading given stretches of partitions to their ends: how a worker gets its state back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kafka import TopicPartition

from stream.errors import BrokerUnavailable
from stream.kafka.client import Message, consumer_options, plainly, position_of
from stream.kafka.unpacking import new_consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stream.settings import Settings
    from stream.topics import Topic


class RangeReader:
    """Reads committed records between two offsets, for any number of partitions at once.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with plainly(settings, "connecting"):
            self._client = new_consumer(**consumer_options(settings, "restore"))

    def read(
        self,
        ranges: Mapping[tuple[Topic, int], tuple[int, int]],
        apply: Callable[[Topic, int, Sequence[Message]], None],
        *,
        keep_alive: Callable[[], None] = lambda: None,
        patience_seconds: float,
    ) -> int:
        """Apply every committed record of each half-open range; returns how many.

        A range is done when the *position* has passed its end, not when a record at its end has come: the tail
        may be markers, aborted records, or nothing that compaction has left.

        Parameters
        ----------
        ranges
            First and past-the-last offset by topic and partition.
        apply
            Called with each partition's records in order.
        keep_alive
            Called between reads.
        patience_seconds
            How long no progress at all is borne: a transaction in flight holds readers back until it ends.

        Raises
        ------
        BrokerUnavailable
            No progress for so long.
        """
        prefix = self._settings.topic_prefix
        names = {
            TopicPartition(topic.full_name(prefix), partition): (topic, end)
            for (topic, partition), (begin, end) in ranges.items()
            if begin < end
        }
        with plainly(self._settings, "restoring"):
            self._client.assign(list(names))
            self._client.resume(*names)  # those that an earlier reading paused at their ends
            for (topic, partition), (begin, end) in ranges.items():
                if begin < end:
                    self._client.seek(TopicPartition(topic.full_name(prefix), partition), begin)
        applied = 0
        deadline = time.monotonic() + patience_seconds
        behind = set(names)
        positions = dict.fromkeys(names, -1)
        while behind:
            with plainly(self._settings, "restoring"):
                found = self._client.poll(timeout_ms=50)
            for place in list(behind):
                position = position_of(self._client, place, self._settings)
                if position != positions[place]:
                    positions[place] = position
                    deadline = time.monotonic() + patience_seconds
                if position >= names[place][1]:
                    behind.discard(place)
                    self._client.pause(place)
            for place, records in found.items():
                topic, end = names[place]
                within = [record for record in records if record.offset < end]
                if within:
                    apply(topic, place.partition, within)
                    applied += len(within)
            keep_alive()
            if behind and time.monotonic() > deadline:
                stuck = min(behind)
                raise BrokerUnavailable(
                    f"restoring: {stuck.topic} partition {stuck.partition} stays at offset {positions[stuck]}, "
                    f"before its end {names[stuck][1]}; is a broker away, or a transaction left open? "
                    "kafka-transactions.sh find-hanging would name it"
                )
        return applied

    def close(self) -> None:
        """Hang up."""
        self._client.close()
