"""Faults of the client that show when a broker hangs or refuses: a writer can be closed, and a flush ends."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from counting import counting_job
from hanging import Stopped, needs_proc
from prometheus_client import CollectorRegistry
from waiting import until

from consumers.embedded import EmbeddedBroker
from stream import topics
from stream.errors import BrokerUnavailable
from stream.kafka import Admin, Output, Writer
from stream.metrics import WorkerMetrics
from stream.running.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.settings import Settings


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    """A broker of this test's own, so that it can be stopped."""
    with EmbeddedBroker() as broker:
        yield broker


@needs_proc
def test_closing_while_the_broker_hangs(settings: Settings, own_broker: EmbeddedBroker) -> None:
    """Closing ends in time with every record counted and the client's thread gone; nothing is raised.

    The client's own close raises then, and its thread goes on.
    """
    theirs = settings.model_copy(update={"bootstrap_servers": own_broker.bootstrap})
    with Admin(theirs) as admin:
        admin.create()
    before = set(threading.enumerate())
    delivered: list[Output] = []
    lost: list[Output] = []
    writer = Writer(theirs, "test", on_delivered=delivered.append, on_lost=lambda output, _: lost.append(output))
    writer.warm([topics.PLAYS])
    first, *others = (Output(topics.PLAYS, b"m-%d" % i, b"{}") for i in range(50))
    assert writer.write(first)
    writer.flush(10)
    with Stopped(own_broker):
        assert all(writer.write(output) for output in others)
        with pytest.raises(BrokerUnavailable, match=r"49 records .* still undelivered after 0\.2 s"):
            writer.flush(0.2)
        began = time.monotonic()
        writer.close(0.5)
        assert 0.5 <= time.monotonic() - began < 3
        assert (delivered, writer.delivered, writer.lost) == ([first], 1, 49)
        assert sorted(output.key or b"" for output in lost) == sorted(output.key or b"" for output in others)
        assert set(threading.enumerate()) <= before


@pytest.mark.apache_kafka
def test_a_batch_that_is_refused_for_its_size_does_not_stop_a_flush(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is too large for the cluster is sent again in parts, and the flush ends when they are there.

    The client's own flush waits for the batch that was split, for ever.
    """
    small = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "small.", "partitions": 1})
    with Admin(small) as admin, monkeypatch.context() as patched:
        patched.setattr(topics.Topic, "config", lambda _: {"max.message.bytes": "2000"})
        admin.create([topics.PLAYS])
    writer = Writer(small, "test")
    writer.warm([topics.PLAYS])
    noise = [bytes((i * i * 7919 + i * number) % 251 for i in range(700)) for number in range(8)]
    assert all(writer.write(Output(topics.PLAYS, b"m", value)) for value in noise)
    assert writer.write(Output(topics.PLAYS, b"m", b"".join(noise)))
    writer.flush(10)
    assert (writer.delivered, writer.lost, writer.expired) == (8, 1, 0)
    writer.close()


@needs_proc
def test_a_worker_that_has_nothing_to_do_notices_that_its_broker_hangs(
    settings: Settings, own_broker: EmbeddedBroker
) -> None:
    """It asks for nothing but records, and there are none: what tells it is that its heartbeat is not answered."""
    theirs = settings.model_copy(
        update={"bootstrap_servers": own_broker.bootstrap, "session_seconds": 1.5, "connect_seconds": 2.0}
    )
    with Admin(theirs) as admin:
        admin.create()
    worker = Worker(theirs, counting_job(), WorkerMetrics(CollectorRegistry()), on_hang=pytest.fail)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    until(worker.ready.is_set, "it is at work")
    with Stopped(own_broker):
        until(lambda: not worker.ready.is_set(), "it is not ready any more", 10)
    until(worker.ready.is_set, "it is at work again")
    assert worker.counts.failures >= 1
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
