"""``keyart bench loop`` and ``restore``, small: everything is read, and what is timed has happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient

from benchmarks.speed import loop, restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Broker


@pytest.fixture
def nothing_left(broker: Broker) -> Iterator[None]:
    """What the benchmark has made on somebody's cluster is gone afterwards."""
    yield
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        assert not [name for name in client.list_topics() if name.startswith("bench-")]
    finally:
        client.close()


@pytest.mark.apache_kafka
@pytest.mark.usefixtures("nothing_left")
def test_loop(broker: Broker) -> None:
    """Both sides read every record, the ratio is that of their speeds, and plays come back as choices."""
    report = loop.measure(
        records=3000, rounds=1, rate=100, seconds=2.0, titles=3, features=4, bootstrap=broker.bootstrap
    )
    found, rows = report.figures, {row.what: row for row in report.rows}
    assert found["ratio_bare_consume"] == found["records_per_second"] / found["bare_records_per_second"]
    assert rows["bare kafka-python, the same topic"].ratio == found["ratio_bare_consume"]
    assert 0 < found["freshness_seconds"]["p50"] <= found["freshness_seconds"]["p99"] < 30
    assert found["impressions_per_second"] == pytest.approx(100, rel=0.2)


@pytest.mark.apache_kafka
@pytest.mark.usefixtures("nothing_left")
def test_restore(broker: Broker) -> None:
    """A learner finds the state sound and goes on; the same changelog is read barely."""
    report = restore.measure(titles=20, rounds=1, features=4, artworks=2, bootstrap=broker.bootstrap)
    found = report.figures
    assert found["ratio_bare_consume"] == found["seconds"] / found["seconds_bare_consume"]
    assert found["seconds_ready"] > found["seconds"] > 0
    assert found["bytes_per_title"] > 2 * 8 * 10
