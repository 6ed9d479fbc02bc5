"""The path of an event as it is measured: taken in, published, to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import START_MS, messages_of, some_impression, some_reward, some_settings, some_title
from prometheus_client import CollectorRegistry
from tables import MemoryTables, some_snapshot

from consumers.catalogue_view import CatalogueView
from consumers.chooser.follower import TableFollower
from consumers.learner import LearnerTask
from stream.errors import BrokerUnavailable
from stream.metrics import AGE_BUCKETS, WorkerMetrics
from stream.topics import IMPRESSIONS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = 1e18


@pytest.fixture
def registry() -> CollectorRegistry:
    """Where a learner counts."""
    return CollectorRegistry()


@pytest.fixture
def task(registry: CollectorRegistry) -> LearnerTask:
    """A learner's, with two titles that were published."""
    catalogue = CatalogueView()
    catalogue.apply(messages_of([some_title("film"), some_title("series", ["logo", "cast"])]))
    ours = LearnerTask(0, some_settings(), catalogue, WorkerMetrics(registry), lambda: None)
    assert len(list(ours.publish(START_MS, FOREVER))) == 2
    return ours


def told(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """A sample's value."""
    found = registry.get_sample_value(name, labels)
    assert found is not None
    return found


def test_a_batch_is_timed_once_however_long_it_is(task: LearnerTask, registry: CollectorRegistry) -> None:
    """Reading it and learning it apart, for each input."""
    shown = [some_impression(f"i{i}") for i in range(50)]
    task.handle(IMPRESSIONS, messages_of(shown))
    task.handle(REWARDS, messages_of([some_reward(shown[0], 0.5)]))
    for part in ("decode", "learn"):
        for topic in ("impressions", "rewards"):
            assert told(registry, f"keyart_learner_{part}_seconds_count", topic=topic) == 1


def test_a_changed_title_is_timed_from_its_first_change(
    task: LearnerTask, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To its snapshot, whose size is told too; one that did not change has no delay."""
    before = told(registry, "keyart_publish_delay_seconds_count"), told(registry, "keyart_snapshot_bytes_sum")
    now = 1000.0
    monkeypatch.setattr("consumers.learner.publishing.time.monotonic", lambda: now)
    task.handle(IMPRESSIONS, messages_of([some_impression("i1")]))
    now = 1003.0
    task.handle(IMPRESSIONS, messages_of([some_impression("i2")], first=1))
    now = 1004.0
    sums_before = told(registry, "keyart_publish_delay_seconds_sum")
    (output,) = task.publish(START_MS, FOREVER)
    assert told(registry, "keyart_publish_delay_seconds_count") == before[0] + 1
    assert told(registry, "keyart_publish_delay_seconds_sum") - sums_before == pytest.approx(4.0)
    assert told(registry, "keyart_snapshot_bytes_sum") == before[1] + len(output.value or b"")
    assert not list(task.publish(START_MS, FOREVER))


class Following:
    """A follower of tables in memory, at a time that a test sets."""

    def __init__(self, tables: MemoryTables) -> None:
        self.now_ms = START_MS
        settings: Any = some_settings()
        self.follower = TableFollower(lambda handlers: tables.open(settings, handlers), now_ms=lambda: self.now_ms)
        self.follower.wait_ready(20)

    @property
    def seconds(self) -> tuple[float, float]:
        """How many delays there were, and their sum."""
        return self.follower.snapshot_delays.cumulative()[-1][1], self.follower.snapshot_delays.sum


@pytest.fixture
def follow() -> Any:
    """Makes followers, and closes them."""
    made: list[Following] = []

    def make(tables: MemoryTables) -> Following:
        made.append(Following(tables))
        return made[-1]

    yield make
    for one in made:
        one.follower.close()


def test_a_snapshot_is_timed_from_its_publication(follow: Callable[[MemoryTables], Following]) -> None:
    """To when it can be chosen from. One that was there before, or is older than the one held, says nothing."""
    tables = MemoryTables(some_title(), some_snapshot(version=1, published_ms=1))
    one = follow(tables)
    assert one.seconds == (0, 0.0)
    one.now_ms = START_MS + 2500
    tables.write(some_snapshot(version=3, published_ms=START_MS), some_snapshot(version=2, published_ms=START_MS))
    tables.settle()
    assert one.seconds == (1, 2.5)


def test_what_is_read_anew_is_not_timed_again(follow: Callable[[MemoryTables], Following]) -> None:
    """After a broker was away all snapshots are read again: they are old, and were chosen from all the time."""
    tables = MemoryTables(some_title(), some_snapshot(version=1, published_ms=1))
    one = follow(tables)
    tables.break_with(BrokerUnavailable("away"))
    tables.wait(lambda: one.follower.failures > 0, "it is noticed")
    tables.break_with(None)
    tables.wait(lambda: tables.opened > 1 and one.follower.connected, "it is back")
    assert one.seconds == (0, 0.0)
    assert one.follower.alive


def test_a_delay_is_no_less_than_nothing(follow: Callable[[MemoryTables], Following]) -> None:
    """A learner's clock may be ahead of the node's."""
    tables = MemoryTables(some_title())
    one = follow(tables)
    tables.write(some_snapshot(version=3, published_ms=START_MS + 60_000))
    tables.settle()
    assert one.follower.snapshot_delays.cumulative()[0] == (str(AGE_BUCKETS[0]), 1)
    assert one.seconds == (1, 0.0)
