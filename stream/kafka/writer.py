"""Writing records outside transactions: snapshots, catalogues, and the app's own events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream.errors import BrokerUnavailable
from stream.kafka.client import Output, plainly, producer_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.settings import Settings


class Writer:
    """An idempotent, batching producer that never raises for a record it could not deliver, but counts it.

    Parameters
    ----------
    settings
        Where to and how long to wait.
    role
        The writer's name among the cluster's clients.
    max_block_seconds
        The longest that :meth:`write` may keep its caller waiting for metadata or buffer space; None leaves
        the client's own default.
    on_lost
        Called with the output and the error, on the client's thread, for each record that was not delivered.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        *,
        max_block_seconds: float | None = None,
        on_lost: Callable[[Output, Exception], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self.delivered = 0
        self.lost = 0
        given = producer_options(settings, role)
        if max_block_seconds is not None:
            given["max_block_ms"] = round(max_block_seconds * 1000)
        with plainly(settings, "connecting"):
            self._client = KafkaProducer(**given)

    def warm(self, topics: list[str]) -> None:
        """Look topics up now, so that the first write does not have to wait for it."""
        with plainly(self._settings, "looking up topics"):
            for topic in topics:
                self._client.partitions_for(topic)

    def write(self, output: Output) -> bool:
        """Queue one record. False, and counted, if it could not even be queued."""
        try:
            future = self._client.send(
                output.topic.full_name(self._settings.topic_prefix),
                key=output.key,
                value=output.value,
                partition=output.partition,
                headers=list(output.headers),
            )
        except (KafkaError, ValueError) as error:
            self._failed(output, error)
            return False
        future.add_callback(self._succeeded)
        future.add_errback(lambda error: self._failed(output, error))
        return True

    def flush(self, seconds: float | None = None) -> None:
        """Wait until everything queued is delivered or given up.

        Raises
        ------
        BrokerUnavailable
            Time ran out; what is still queued is still tried.
        """
        try:
            self._client.flush(timeout=seconds)
        except KafkaError as error:
            raise BrokerUnavailable(
                f"records for {self._settings.bootstrap_servers} are still undelivered after {seconds} s"
            ) from error

    def close(self, seconds: float = 5.0) -> None:
        """Deliver what can be delivered in that time, then hang up."""
        self._client.close(timeout=seconds)

    def _succeeded(self, _metadata: object) -> None:
        with self._lock:
            self.delivered += 1

    def _failed(self, output: Output, error: Exception) -> None:
        with self._lock:
            self.lost += 1
        if self._on_lost is not None:
            self._on_lost(output, error)
