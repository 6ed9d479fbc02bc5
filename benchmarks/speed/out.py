"""Writing what apps would write, at little cost to the machine that is measured: apps have their own."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from kafka import KafkaProducer

from stream.errors import KeyartError
from stream.kafka import keyed
from stream.kafka.client import producer_options

if TYPE_CHECKING:
    from stream.settings import Settings
    from stream.topics import Topic

#: librdkafka sends each partition's batch in a request of its own: with the other client's 5 ms it would cost the
#: broker what it saves. Nobody waits for an audience's records.
_LINGER_MS = 50
#: Records between two looks at what became of them.
_OFTEN = 1_000


class Lost(KeyartError):
    """Records were not delivered."""


class Out(Protocol):
    """A producer."""

    def send(self, topic: Topic, key: str, value: bytes) -> None:
        """Queue a record."""

    def close(self) -> None:
        """Deliver what is queued, and hang up."""


class PlainOut:
    """The client that Keyart's own producers use; it works out a key's partition once."""

    def __init__(self, ours: Settings) -> None:
        self._client = KafkaProducer(**producer_options(ours, "bench"))
        self._ours = ours

    def send(self, topic: Topic, key: str, value: bytes) -> None:
        """Queue a record."""
        name = topic.full_name(self._ours.topic_prefix)
        self._client.send(name, key=key.encode(), value=value, partition=partition_of(key, self._ours.partitions))

    def close(self) -> None:
        """Deliver what is queued, and hang up."""
        self._client.flush()
        self._client.close()


class QuickOut:
    """librdkafka, told to do the same: a record takes it a tenth of the time."""

    def __init__(self, ours: Settings) -> None:
        same = producer_options(ours, "bench")
        self._client: Any = import_module("confluent_kafka").Producer(
            {
                "bootstrap.servers": ",".join(same["bootstrap_servers"]),
                "client.id": same["client_id"],
                "acks": same["acks"],
                "enable.idempotence": same["enable_idempotence"],
                "compression.type": same["compression_type"],
                "linger.ms": _LINGER_MS,
                "batch.size": same["batch_size"],
                "delivery.report.only.error": True,
            }
        )
        self._ours = ours
        self._sent = self._lost = 0

    def send(self, topic: Topic, key: str, value: bytes) -> None:
        """Queue a record, as soon as there is room."""
        name, where = topic.full_name(self._ours.topic_prefix), partition_of(key, self._ours.partitions)
        self._sent += 1
        if self._sent % _OFTEN == 0:
            self._client.poll(0)
        while True:
            try:
                self._client.produce(name, value, key, where, on_delivery=self._settled)
            except BufferError:
                self._client.poll(0.01)
            else:
                return

    def _settled(self, error: object, _: object) -> None:
        self._lost += error is not None

    def close(self) -> None:
        """Deliver what is queued, and hang up.

        Raises
        ------
        Lost
            Some of it was not delivered.
        """
        self._lost += self._client.flush(60)
        if self._lost:
            raise Lost(f"{self._lost:,} records of {self._sent:,} were not delivered")


def cheapest(ours: Settings) -> Out:
    """The one that costs least of those there are; both write the same records."""
    return QuickOut(ours) if find_spec("confluent_kafka") else PlainOut(ours)


@lru_cache(maxsize=1_000_000)
def partition_of(key: str, partitions: int) -> int:
    """Kafka's default, worked out once a key: it costs more than sending the record."""
    return keyed.partition_of(key.encode(), partitions)
