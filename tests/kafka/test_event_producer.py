"""Events on a real broker: delivered once each, and a broker that is away, hangs or comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hanging import Stopped, needs_proc
from waiting import until
from wire import Wire, values

from consumers import embedded
from consumers.embedded import EmbeddedBroker, free_port
from producers import EventProducer, outbox
from producers.token import sign
from stream.codec import decode
from stream.kafka import Admin
from stream.records import Impression, Play
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.apache import ApacheBroker

SECRET = "a secret for the tests"
SHOWN_MS = 1_700_000_000_000


def impression(number: int, title: int = 0, member: int = 0) -> Impression:
    """An impression of its own."""
    return Impression(
        f"i-{number}", SHOWN_MS, f"m-{member}", f"t-{title}", "a", {"drama": 0.5}, "explore", 0.5, None
    )


def token(number: int, title: int = 0, member: int = 0) -> str:
    """Its token."""
    return sign(impression(number, title, member), SECRET.encode())


@pytest.fixture
def own_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[EmbeddedBroker, Settings]]:
    """A broker of this test's own, not started yet, and settings that already know its address."""
    port = free_port()
    monkeypatch.setattr(embedded, "free_port", lambda: port)
    for variable in [name for name in os.environ if name.startswith("KEYART_") and "_TEST_" not in name]:
        monkeypatch.delenv(variable)
    broker = EmbeddedBroker()
    yield (
        broker,
        Settings(
            bootstrap_servers=f"127.0.0.1:{port}",
            topic_prefix="away.",
            partitions=2,
            transaction_seconds=2,
            max_block_seconds=0.5,
            token_secrets=(SECRET,),
        ),
    )
    broker.close()


def test_events_arrive_under_their_keys(settings: Settings, wire: Wire) -> None:
    """Impressions by title, plays by member; one key always in one partition, the same for both kinds."""
    with EventProducer(settings, now_ms=lambda: SHOWN_MS + 5) as events:
        for number in range(12):
            assert events.impression_token(token(number, title=number % 4, member=number % 4))
            assert events.play(token(number, title=number % 4, member=number % 4), 300)
        events.flush()
        assert (events.delivered, events.dropped) == (24, {})
    shown, played = wire.read("impressions"), wire.read("plays")
    by_id = {read.impression_id: read for read in (decode(Impression, record.value) for record in shown)}
    assert by_id == {f"i-{number}": impression(number, number % 4, number % 4) for number in range(12)}
    assert len(shown) == 12
    assert sorted(play["impression"]["impression_id"] for play in values(played)) == sorted(
        f"i-{number}" for number in range(12)
    )
    assert all(decode(Play, record.value).played_ms == SHOWN_MS + 5 for record in played)
    for records, prefix in ((shown, "t"), (played, "m")):
        places = {(record.key, record.partition) for record in records}
        assert {key for key, _ in places} == {f"{prefix}-{i}".encode() for i in range(4)}
        assert len(places) == 4


def test_a_script_that_is_over_at_once_loses_nothing(settings: Settings, wire: Wire) -> None:
    """Events written before the connection is made are delivered by the orderly end."""
    with EventProducer(settings, now_ms=lambda: SHOWN_MS) as events:
        assert events.impression_token(token(1))
    assert (events.delivered, events.dropped, len(wire.read("impressions"))) == (1, {}, 1)


def test_many_threads_each_event_once(settings: Settings, wire: Wire) -> None:
    """Eight threads share a producer: every event arrives, none twice, each thread's in its order."""
    each = 250
    tokens = [[token(thread * each + i, member=thread) for i in range(each)] for thread in range(8)]
    with EventProducer(settings, now_ms=lambda: SHOWN_MS) as events:
        threads = [
            threading.Thread(target=lambda own=own: [events.play(one, 60) for one in own], daemon=True)
            for own in tokens
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (events.delivered, events.dropped) == (8 * each, {})
    plays = list(values(wire.read("plays")))
    for thread in range(8):
        own = [play["play_id"] for play in plays if play["member_id"] == f"m-{thread}"]
        assert own == [f"i-{thread * each + i}" for i in range(each)]


@pytest.mark.apache_kafka
def test_topics_that_come_later(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its topics a producer refuses and says how to make them; once they are made it delivers."""
    reasons: list[str] = []
    monkeypatch.setattr(outbox.log, "warning", lambda _, **fields: reasons.append(fields["reason"]), raising=False)
    elsewhere = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "later."})
    with EventProducer(elsewhere, now_ms=lambda: SHOWN_MS) as events:
        until(lambda: not events.impression_token(token(1)), "events are refused")
        assert "run keyart topics" in reasons[0]
        with Admin(elsewhere) as admin:
            admin.create()
        until(lambda: events.impression_token(token(2)), "events are taken")
        events.flush()
        assert events.delivered > 0


def test_a_broker_that_comes_late(own_broker: tuple[EmbeddedBroker, Settings]) -> None:
    """With no broker a call answers False in time and is counted; once one is up events are delivered again."""
    broker, settings = own_broker
    began = time.monotonic()
    events = EventProducer(settings, now_ms=lambda: SHOWN_MS)
    assert time.monotonic() - began < 0.5
    with events:
        until(lambda: not events.impression_token(token(0)), "events are refused")
        began = time.monotonic()
        assert not events.play(token(0), 300)
        assert time.monotonic() - began <= settings.max_block_seconds
        assert events.dropped == {"impressions": 1, "plays": 1}
        broker.start()
        with Admin(settings) as admin:
            admin.create()
        until(lambda: events.play(token(1), 300), "events are taken")
        events.flush()
        assert events.queued == 0
        wire = Wire(settings)
        assert [play["play_id"] for play in values(wire.read("plays"))] == ["i-1"]
        assert len(wire.read("impressions")) == events.delivered - 1
        wire.close()


@pytest.mark.apache_kafka
def test_a_broker_that_restarts_costs_nothing(
    settings: Settings, private_broker: ApacheBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events written from before a power cut until after the restart are on the topic, once each, in order."""
    monkeypatch.setattr(outbox, "DELIVERY_SECONDS", 120.0)  # a busy machine restarts it slowly
    theirs = private_broker.settings(settings)
    count = 0
    with EventProducer(theirs, now_ms=lambda: SHOWN_MS) as events:

        def write(number: int) -> None:
            nonlocal count
            for _ in range(number):
                assert events.play(token(count), 300)
                count += 1

        write(100)
        events.flush()
        write(100)  # some of them under way as the power is cut
        private_broker.kill()
        write(100)
        private_broker.restart()
        write(100)
        events.flush()
        assert (events.delivered, events.dropped) == (count, {})
    wire = Wire(theirs)
    assert [play["play_id"] for play in values(wire.read("plays"))] == [f"i-{number}" for number in range(count)]
    wire.close()


@needs_proc
def test_a_broker_that_hangs_for_a_while_costs_nothing(own_broker: tuple[EmbeddedBroker, Settings]) -> None:
    """Events written while the broker does not answer are delivered once each when it does again."""
    broker, settings = own_broker
    broker.start()
    with Admin(settings) as admin:
        admin.create()
    with EventProducer(settings, now_ms=lambda: SHOWN_MS) as events:
        assert events.play(token(0), 300)
        events.flush()
        with Stopped(broker):
            for number in range(1, 500):
                began = time.monotonic()
                assert events.play(token(number, member=number % 7), 300)
                assert time.monotonic() - began < settings.max_block_seconds
            events.flush(2.5)  # longer than a request may take: it is sent again
            assert events.queued == 499
        events.flush()
        assert (events.delivered, events.dropped) == (500, {})
    wire = Wire(settings)
    assert sorted(play["play_id"] for play in values(wire.read("plays"))) == sorted(f"i-{i}" for i in range(500))
    wire.close()


@needs_proc
def test_a_broker_that_hangs_for_long(
    own_broker: tuple[EmbeddedBroker, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the delivery limit events are dropped, every one is counted, and afterwards it goes on."""
    monkeypatch.setattr(outbox, "DELIVERY_SECONDS", 1.5)
    broker, settings = own_broker
    broker.start()
    with Admin(settings) as admin:
        admin.create()
    with EventProducer(settings, now_ms=lambda: SHOWN_MS) as events:
        assert events.play(token(0), 300)
        events.flush()
        with Stopped(broker):
            written = 1
            while events.play(token(written, member=written % 7), 300):
                written += 1
                assert written < 100_000
            events.flush()
            assert (events.delivered, events.dropped) == (1, {"plays": written})
        refused = 0
        while not events.play(token(1_000_000), 300):
            refused += 1
            until(lambda: True, "a moment passes")
        events.flush()
        assert (events.delivered, events.dropped) == (2, {"plays": written + refused})


def test_a_process_that_ends_without_closing_loses_nothing(settings: Settings, wire: Wire) -> None:
    """What is queued when a program simply ends is delivered on its way out."""
    program = """
from producers import EventProducer
from stream.settings import load
import sys
events = EventProducer(load(), now_ms=lambda: int(sys.argv[1]))
assert all(events.impression_token(token) for token in sys.argv[2:])
"""
    environment = os.environ | {
        "KEYART_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "KEYART_TOPIC_PREFIX": settings.topic_prefix,
        "KEYART_TOKEN_SECRETS": SECRET,
    }
    tokens = [token(number) for number in range(50)]
    ended = subprocess.run(
        [sys.executable, "-c", program, str(SHOWN_MS), *tokens],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(wire.read("impressions")) == 50
