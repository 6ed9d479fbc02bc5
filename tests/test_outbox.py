"""A caller never waits for Kafka longer than it may, and no record disappears uncounted. No broker is needed."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from stand_in import Lines, install, until

from producers import outbox
from producers.outbox import Outbox
from stream import topics
from stream.kafka import Output
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stand_in import Cluster

IMPRESSION = Output(topics.IMPRESSIONS, b"title-1", b"{}")
PLAY = Output(topics.PLAYS, b"member-1", b"{}")
BLOCK_SECONDS = 0.2


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The stand-in for Kafka."""
    return install(monkeypatch)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What the outbox logs."""
    kept = Lines()
    monkeypatch.setattr(outbox, "log", kept)
    return kept


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that owe nothing to the environment."""
    for variable in [name for name in os.environ if name.startswith("KEYART_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("KEYART_CONFIG", os.devnull)
    return Settings(max_block_seconds=BLOCK_SECONDS)


@pytest.fixture
def box(cluster: Cluster, settings: Settings, lines: Lines) -> Iterator[Outbox]:
    """An outbox on the stand-in."""
    opened = make(settings)
    yield opened
    cluster.attempt.set()
    cluster.acknowledge()
    opened.close()


def make(settings: Settings) -> Outbox:
    """An outbox for both kinds of events."""
    return Outbox(settings, "events", (topics.IMPRESSIONS, topics.PLAYS))


def fill(box: Outbox) -> int:
    """Put impressions until one is refused; how many were not."""
    taken = 0
    while box.put(IMPRESSION):
        taken += 1
    return taken


def test_records_arrive_in_order(box: Outbox, cluster: Cluster) -> None:
    """Records are delivered in the order in which they were put, those from before the connection first."""
    outputs = [Output(topics.PLAYS, b"member-1", b"%d" % i) for i in range(2000)]
    assert all(box.put(output) for output in outputs)
    box.flush(None)
    assert cluster.written == outputs
    assert (box.delivered, box.dropped, box.queued) == (2000, {}, 0)


def test_a_full_queue_holds_the_caller_no_longer_than_it_may(
    box: Outbox, cluster: Cluster, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the queue is full a call waits max_block_seconds, answers False, and the record is counted and said."""
    monkeypatch.setattr(outbox, "MAX_QUEUED_BYTES", 10_000)
    cluster.acknowledges = False
    taken = fill(box)
    assert 1 < taken <= 10_000 / len(IMPRESSION.value)
    began = time.monotonic()
    assert not box.put(PLAY)
    assert BLOCK_SECONDS <= time.monotonic() - began < BLOCK_SECONDS + 1
    assert box.dropped == {"impressions": 1, "plays": 1}
    said = [("events dropped", {"topic": name, "count": 1, "reason": outbox._FULL}) for name in box.dropped]
    until(lambda: all(line in lines for line in said), "the drops are said")
    cluster.acknowledge()
    box.flush(None)
    assert box.put(PLAY)
    box.flush(None)
    assert (box.delivered, box.queued) == (taken + 1, 0)


def test_drops_are_said_once_a_second(
    box: Outbox, cluster: Cluster, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many records are dropped, the log is not flooded, and in the end all are said."""
    monkeypatch.setattr(outbox, "MAX_QUEUED_BYTES", 5_000)
    box._settings = box._settings.model_copy(update={"max_block_seconds": 0.0})
    too_large = Output(topics.IMPRESSIONS, b"title-1", b"x" * 5_000)
    assert not box.put(too_large)
    until(lambda: lines, "the first drop is said")
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 30.0)
    for _ in range(20):
        assert not box.put(too_large)
        assert box.put(PLAY)  # gives the thread something to do
        box.flush(None)
    box.close()
    assert [(event, fields["count"]) for event, fields in lines] == [("events dropped", 1), ("events dropped", 20)]


def test_a_caller_takes_room_as_soon_as_there_is_some(
    cluster: Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that waits for room ends when there is room, not when its time is up."""
    monkeypatch.setattr(outbox, "MAX_QUEUED_BYTES", 5_000)
    cluster.acknowledges = False
    box = make(settings.model_copy(update={"max_block_seconds": 60.0}))
    outcome: list[bool] = []
    callers = [threading.Thread(target=lambda: outcome.append(box.put(PLAY)), daemon=True) for _ in range(8)]
    for caller in callers:
        caller.start()
    until(lambda: outcome, "one finds room")
    assert len(outcome) < len(callers)
    cluster.acknowledge()
    for caller in callers:
        caller.join(10)
    assert outcome == [True] * len(callers)
    box.close()


def test_a_broker_away_from_the_start(cluster: Cluster, settings: Settings, lines: Lines) -> None:
    """Records are kept during the first attempt, then refused at once and said, then delivered when one comes."""
    cluster.answers = False
    cluster.attempt.clear()
    box = make(settings)
    assert all(box.put(PLAY) for _ in range(3))
    cluster.attempt.set()
    refused = 0
    kept = 3 + fill(box)
    began = time.monotonic()
    assert not box.put(PLAY)
    assert time.monotonic() - began < BLOCK_SECONDS
    assert box.dropped == {"impressions": 1, "plays": 1}
    until(lambda: any(event == "events dropped" for event, _ in lines), "the drops are said")
    assert "no Kafka broker answers" in lines[0][1]["reason"]
    cluster.answers = True
    while not box.put(PLAY):
        refused += 1
    box.flush(None)
    assert box.delivered == len(cluster.written) == kept + 1
    assert box.dropped == {"impressions": 1, "plays": 1 + refused}
    assert "events can be delivered again" in [event for event, _ in lines]
    box.close()


def test_a_fault_of_the_client_is_survived(cluster: Cluster, settings: Settings, lines: Lines) -> None:
    """Whatever the client raises while it is made, the outbox says it and tries again."""
    cluster.fault = RuntimeError("something unheard of")
    box = make(settings)
    fill(box)
    until(lambda: lines, "the fault is said")
    assert lines[0][1]["reason"] == "RuntimeError: something unheard of"
    cluster.fault = None
    until(lambda: box.put(PLAY), "records are taken")
    box.close()
    assert box.delivered > 0


def test_what_waits_for_a_broker_does_not_wait_for_ever(
    cluster: Cluster, settings: Settings, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records kept while no broker answers are dropped after the delivery limit, so that a flush ends."""
    monkeypatch.setattr(outbox, "DELIVERY_SECONDS", 0.05)
    cluster.answers = False
    cluster.attempt.clear()
    box = make(settings)
    assert all(box.put(PLAY) for _ in range(3))
    box.flush(0.01)
    assert box.queued == 3
    cluster.attempt.set()
    box.flush(None)
    assert (box.queued, box.dropped) == (0, {"plays": 3})
    box.close()


def test_a_client_that_lets_records_expire_is_replaced(box: Outbox, cluster: Cluster) -> None:
    """Once a record has expired another client is made: the old one may never deliver again."""
    cluster.acknowledges = False
    assert box.put(IMPRESSION)
    assert box.put(PLAY)
    until(lambda: len(cluster.written) == 2, "both are with the client")
    cluster.acknowledges = True
    cluster.lose(expired=True)
    until(lambda: cluster.attempts == 2, "another client is made")
    assert box.dropped == {"impressions": 1, "plays": 1}
    assert box.put(PLAY)
    box.flush(None)
    assert box.delivered == 1


def test_a_client_that_holds_records_for_ever_is_replaced(
    box: Outbox, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client in which nothing moves for longer than the limit is closed, and what it held is counted."""
    monkeypatch.setattr(outbox, "DELIVERY_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "_STUCK_SECONDS", 0.05)
    cluster.acknowledges = False
    assert box.put(IMPRESSION)
    box.flush(None)
    assert box.dropped == {"impressions": 1}
    until(lambda: cluster.attempts == 2, "another client is made")


def test_an_idle_client_is_not_taken_for_stuck(
    box: Outbox, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time in which there was nothing to deliver does not count against the client."""
    monkeypatch.setattr(outbox, "DELIVERY_SECONDS", 1.0)
    monkeypatch.setattr(outbox, "_STUCK_SECONDS", 0.0)
    until(lambda: cluster.attempts, "the client is made")
    idle_since = time.monotonic()
    until(lambda: time.monotonic() - idle_since > 1.2, "time passes")
    cluster.acknowledges = False
    assert box.put(PLAY)
    until(lambda: cluster.written, "it is with the client")
    held_since = time.monotonic()
    until(lambda: time.monotonic() - held_since > 0.2, "the thread looks up a few times")
    cluster.acknowledge()
    box.flush(None)
    assert (box.delivered, box.dropped, cluster.attempts) == (1, {}, 1)


def test_a_refusal_by_the_cluster_costs_that_record_alone(box: Outbox, cluster: Cluster, lines: Lines) -> None:
    """A record that the cluster refuses is counted and said; the client is kept."""
    cluster.acknowledges = False
    assert box.put(IMPRESSION)
    until(lambda: cluster.written, "it is with the client")
    cluster.acknowledges = True
    cluster.lose(expired=False)
    assert box.put(PLAY)
    box.flush(None)
    until(lambda: lines, "the drop is said")
    assert (box.delivered, box.dropped, cluster.attempts) == (1, {"impressions": 1}, 1)


def test_closing_delivers_what_is_queued(cluster: Cluster, settings: Settings) -> None:
    """Nothing that was taken is lost by an orderly end, even while the connection is being made."""
    cluster.attempt.clear()
    box = make(settings)
    assert all(box.put(PLAY) for _ in range(1000))
    closing = threading.Thread(target=box.close)
    closing.start()
    cluster.attempt.set()
    closing.join(10)
    assert (box.delivered, box.dropped, box.queued) == (1000, {}, 0)
    box.close()  # a second time does no harm


def test_after_the_end_records_are_refused(box: Outbox) -> None:
    """A late record is counted at once, and nothing is raised."""
    box.close()
    assert not box.put(PLAY)
    assert box.dropped == {"plays": 1}


@pytest.mark.parametrize("connected", [True, False], ids=["with the client", "waiting for a broker"])
def test_closing_counts_what_it_gives_up(
    cluster: Cluster, settings: Settings, lines: Lines, monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    """What cannot be delivered in time at the end is counted and said, wherever it was."""
    monkeypatch.setattr(outbox, "_CLOSE_SECONDS", 0.1)
    cluster.acknowledges = False
    if not connected:
        cluster.attempt.clear()
    box = make(settings)
    assert box.put(PLAY)
    if connected:
        until(lambda: cluster.written, "it is with the client")
    box.close()
    cluster.attempt.set()
    assert (box.dropped, box.queued) == ({"plays": 1}, 0)
    assert [(event, fields["topic"], fields["count"]) for event, fields in lines] == [
        ("events dropped", "plays", 1)
    ]
    box._thread.join(10)
    assert not box._thread.is_alive()
