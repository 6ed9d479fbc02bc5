"""Reading what tables hold, of given keys or of all: for a person's question, not for serving."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kafka import TopicPartition
from kafka.partitioner.default import murmur2

from stream.errors import BrokerUnavailable
from stream.kafka.admin import Admin
from stream.kafka.client import Message, consumer_options, plainly, position_of
from stream.kafka.unpacking import new_consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stream.settings import Settings
    from stream.topics import Topic

#: Once the ends are reached, so long without a record ends the reading: the embedded broker tells ends too early.
_QUIET_SECONDS = 0.25
#: Where records keep coming, it ends so long after the ends were reached.
_LONGEST_SECONDS = 1.0


def partition_of(key: bytes, partitions: int) -> int:
    """Where the default partitioner puts a key.

    >>> partition_of(b"good-will-hunting", 9), partition_of(b"stranger-things", 9)
    (2, 1)
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def read_keys(settings: Settings, wanted: Mapping[Topic, str], take: Callable[[Topic, Message], None]) -> None:
    """Read every committed record that some tables still hold of one key each, oldest first.

    Of each topic the one partition is read in which the default partitioner puts the key.

    Raises
    ------
    BrokerUnavailable
        No broker answers, or the end is not reached within four times ``connect_seconds``.
    TopicError
        A topic is missing.
    """
    ranges = {}
    with Admin(settings) as admin:
        counts = admin.verify(wanted)
        for topic, key in wanted.items():
            number = partition_of(key.encode(), counts[topic.name])
            begin, end = admin.begin_offsets(topic, [number]), admin.end_offsets(topic, [number])
            ranges[topic, number] = begin[number], end[number]

    def sort_out(topic: Topic, message: Message) -> None:
        if message.key == wanted[topic].encode():
            take(topic, message)

    read_tables(settings, ranges, sort_out)


def read_tables(
    settings: Settings,
    ranges: Mapping[tuple[Topic, int], tuple[int, int]],
    take: Callable[[Topic, Message], None],
) -> None:
    """Read partitions of tables from one offset to another, and whatever comes meanwhile.

    Raises
    ------
    BrokerUnavailable
        No broker answers, or an end is not reached within four times ``connect_seconds``.
    """
    prefix = settings.topic_prefix
    topics = {topic.full_name(prefix): topic for topic, _ in ranges}
    ends = {TopicPartition(topic.full_name(prefix), number): end for (topic, number), (_, end) in ranges.items()}
    with plainly(settings, "connecting"):
        consumer = new_consumer(**consumer_options(settings, "tables"))
    try:
        consumer.assign(list(ends))
        for (topic, number), (begin, _) in ranges.items():
            consumer.seek(TopicPartition(topic.full_name(prefix), number), begin)
        deadline = time.monotonic() + 4 * settings.connect_seconds
        reached: float | None = None
        while ends:
            with plainly(settings, "reading tables"):
                batch = consumer.poll(timeout_ms=round(_QUIET_SECONDS * 1000))
            for place, records in batch.items():
                for record in records:
                    take(topics[place.topic], record)
            now = time.monotonic()
            if all(position_of(consumer, place, settings) >= end for place, end in ends.items()):
                reached = reached or now
                if not batch or now - reached > _LONGEST_SECONDS:
                    return
            elif now > deadline:
                raise BrokerUnavailable(
                    f"{min(ends).topic} could not be read to its end within {4 * settings.connect_seconds:g} s"
                )
    finally:
        consumer.close()
