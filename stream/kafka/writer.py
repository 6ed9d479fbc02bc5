"""Writing records outside transactions: snapshots, catalogues, and the app's own events."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.client import Output, hang_up, plainly, producer_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stream.settings import Settings
    from stream.topics import Topic


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
    delivery_seconds
        How long a record is tried; None leaves it to the settings. The client cannot be held to it: once it has
        lost its producer id and no broker gives it another, what it holds neither expires nor leaves. Whoever
        must not wait for ever watches the time, and closes.
    on_delivered
        Called with the output, on the client's thread, for each record that was delivered.
    on_lost
        Called with the output and the error, on the client's thread, for each record that was not delivered.

    Attributes
    ----------
    delivered
        How many records the cluster has acknowledged.
    lost
        How many were given up, for whatever reason.
    expired
        How many of those because time ran out: no broker took them.
    """

    def __init__(
        self,
        settings: Settings,
        role: str,
        *,
        max_block_seconds: float | None = None,
        delivery_seconds: float | None = None,
        on_delivered: Callable[[Output], None] | None = None,
        on_lost: Callable[[Output, Exception], None] | None = None,
    ) -> None:
        self._settings = settings
        self._on_delivered = on_delivered
        self._on_lost = on_lost
        self._settled = threading.Condition()
        self._pending: dict[int, float] = {}  # when each was written, by its number, oldest first
        self._written = 0
        self.delivered = 0
        self.lost = 0
        self.expired = 0
        given = producer_options(settings, role)
        if max_block_seconds is not None:
            given["max_block_ms"] = round(max_block_seconds * 1000)
        if delivery_seconds is not None:
            given["delivery_timeout_ms"] = round(delivery_seconds * 1000)
            # A request needs less time than that, or none could be tried twice.
            given["request_timeout_ms"] = min(given["request_timeout_ms"], round(delivery_seconds * 500))
        with plainly(settings, "connecting"):
            self._client = KafkaProducer(**given)

    def warm(self, wanted: Iterable[Topic]) -> None:
        """Look topics up now, so that the first write does not have to wait for it.

        Raises
        ------
        TopicError
            The cluster answers, but does not know a topic.
        """
        deadline = time.monotonic() + self._settings.connect_seconds
        for topic in wanted:
            name = topic.full_name(self._settings.topic_prefix)
            with plainly(self._settings, "looking up topics"):
                while not self._known(name):
                    if time.monotonic() > deadline:
                        raise TopicError(
                            f"topic {name!r} does not exist on {self._settings.bootstrap_servers}: "
                            "run keyart topics"
                        )

    def _known(self, name: str) -> bool:
        try:
            return bool(self._client.partitions_for(name))
        except KafkaTimeoutError:
            return False

    def write(self, output: Output) -> bool:
        """Queue one record. False, and counted, if it could not even be queued."""
        with self._settled:
            self._written += 1
            number = self._written
            self._pending[number] = time.monotonic()
        try:
            future = self._client.send(
                output.topic.full_name(self._settings.topic_prefix),
                key=output.key,
                value=output.value,
                partition=output.partition,
                headers=list(output.headers),
            )
        except Exception as error:  # noqa: BLE001 - whatever the client makes of a record, its caller goes on
            self._failed(number, output, error)
            return False
        future.add_callback(partial(self._succeeded, number, output))
        future.add_errback(partial(self._failed, number, output))
        return True

    @property
    def waits_seconds(self) -> float:
        """How long the oldest record has waited that is neither delivered nor given up; 0 without any."""
        with self._settled:
            oldest = next(iter(self._pending.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def flush(self, seconds: float | None = None) -> None:
        """Wait until everything queued is delivered or given up.

        The client's own flush is not used: it gives each batch the whole time, and waits for ever for one that
        was refused for its size and sent again in parts.

        Raises
        ------
        BrokerUnavailable
            Time ran out; what is still queued is still tried.
        """
        with self._settled:
            if not self._settled.wait_for(lambda: not self._pending, seconds):
                raise BrokerUnavailable(
                    f"{len(self._pending)} records for {self._settings.bootstrap_servers} are still undelivered "
                    f"after {seconds:g} s"
                )

    def close(self, seconds: float = 5.0) -> None:
        """Deliver what can be delivered in that time, give up the rest, and hang up."""
        with suppress(BrokerUnavailable):
            self.flush(seconds)
        hang_up(self._client, 0)

    def _succeeded(self, number: int, output: Output, _metadata: object) -> None:
        with self._settled:
            self.delivered += 1
            del self._pending[number]
            self._settled.notify_all()
        if self._on_delivered is not None:
            self._on_delivered(output)

    def _failed(self, number: int, output: Output, error: Exception) -> None:
        with self._settled:
            self.lost += 1
            self.expired += isinstance(error, KafkaTimeoutError)
            del self._pending[number]
            self._settled.notify_all()
        if self._on_lost is not None:
            self._on_lost(output, error)
