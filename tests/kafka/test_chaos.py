"""The short form of the chaos suite: a little of everything, and crashes in the middle of checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from chaos import crashes, scenarios
from chaos.broker import MortalBroker
from chaos.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chaos.report import Row
    from conftest import Broker

pytestmark = pytest.mark.apache_kafka


@pytest.fixture(scope="module")
def mortal(broker: Broker) -> Iterator[MortalBroker]:
    """A broker to be killed."""
    if broker.kind == "embedded":
        pytest.skip(f"needs Apache Kafka; {broker.why}")
    with MortalBroker() as ours:
        yield ours


@pytest.mark.parametrize(
    ("scenario", "times", "impressions", "changes"),
    [(scenarios.mixed, 4, 3000, {}), (crashes.open_transactions, 4, 1000, crashes.SETTINGS)],
    ids=["mixed", "open transactions"],
)
def test_nothing_is_lost_and_nothing_counted_twice(
    scenario: Callable[[Stage, int], Row],
    times: int,
    impressions: int,
    changes: dict[str, Any],
    mortal: MortalBroker,
    tmp_path: Path,
) -> None:
    """Whatever is done to workers and their broker, a recount of the input agrees with all that was learned."""
    row = scenario(Stage(mortal, tmp_path, 1, impressions, lambda _: None, changes), times)
    assert row.passed, row.faults
    assert (row.times, row.counted, row.lost, row.twice) == (times, impressions, 0, 0)
