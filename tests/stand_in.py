"""A stand-in for Kafka behind an outbox, for tests of what happens before a record reaches the client."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from stream.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from stream.kafka import Output
    from stream.settings import Settings


class Cluster:
    """Takes what is written and acknowledges it, unless it is told not to.

    Attributes
    ----------
    written
        Every record that reached a client.
    attempts
        How many times somebody tried to connect.
    attempt
        An attempt to connect waits until this is set, as it is at first.
    answers
        Whether an attempt succeeds.
    fault
        What an attempt raises instead.
    acknowledges
        Whether records are acknowledged at once; otherwise the client holds them.
    """

    def __init__(self) -> None:
        self.written: list[Output] = []
        self.attempts = 0
        self.attempt = threading.Event()
        self.attempt.set()
        self.answers = True
        self.fault: Exception | None = None
        self.acknowledges = True
        self._held: list[tuple[Output, Client]] = []
        self._lock = threading.Lock()

    def connect(self, settings: Settings, role: str, **hooks: Any) -> Client:
        """What making a writer does."""
        self.attempts += 1
        self.attempt.wait(10)
        if self.fault is not None:
            raise self.fault
        if not self.answers:
            raise BrokerUnavailable("no Kafka broker answers")
        return Client(self, **hooks)

    def take(self, output: Output, client: Client) -> None:
        """A client has been given a record."""
        with self._lock:
            self.written.append(output)
            if not self.acknowledges:
                self._held.append((output, client))
                return
        client.on_delivered(output)

    def acknowledge(self) -> None:
        """Acknowledge what is held, and whatever comes from now on."""
        with self._lock:
            self.acknowledges = True
            held, self._held = self._held, []
        for output, client in held:
            client.on_delivered(output)

    def lose(self, client: Client | None = None, *, expired: bool) -> None:
        """Lose what is held, by all clients or by one: because time ran out, or because it was refused."""
        with self._lock:
            lost = [pair for pair in self._held if client in (None, pair[1])]
            self._held = [pair for pair in self._held if pair not in lost]
        for output, holder in lost:
            holder.expired += expired
            holder.on_lost(output, TimeoutError() if expired else ValueError())


class Client:
    """A writer as an outbox knows it."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        on_delivered: Callable[[Output], None],
        on_lost: Callable[[Output, Exception], None],
        delivery_seconds: float,
    ) -> None:
        self._cluster = cluster
        self.on_delivered = on_delivered
        self.on_lost = on_lost
        self.expired = 0

    def warm(self, wanted: object) -> None:
        """Every topic is there."""

    def write(self, output: Output) -> None:
        """Hand a record over."""
        self._cluster.take(output, self)

    def close(self, seconds: float) -> None:
        """Give up what is held."""
        self._cluster.lose(self, expired=False)


class Lines(list[tuple[str, dict[str, Any]]]):
    """Log lines, kept: the event and its fields."""

    def warning(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.append((event, fields))

    info = warning


def install(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Put a stand-in in the place of every writer that an outbox makes, and make outboxes look up often."""
    cluster = Cluster()
    monkeypatch.setattr("producers.outbox.Writer", cluster.connect)
    monkeypatch.setattr("producers.outbox._LOOK_SECONDS", 0.02)
    return cluster


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)
