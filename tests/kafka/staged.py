"""A loop that failures are staged in: people who watch, workers, a node, and a Prometheus that looks at them."""

from __future__ import annotations

import itertools
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import httpx2
import traffic
from ports import ports
from prometheus import RULES, Prometheus, quicker
from waiting import until
from wire import Wire

from stream.kafka import Admin
from stream.settings import UNLIMITED, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processes import Process

    from consumers.embedded import EmbeddedBroker

#: A minute of the alert rules in seconds here; what is to last for long need not last longer than so many, and
#: nothing is looked at for longer than so many.
MINUTE, WAIT, SPAN = 0.6, 3.0, 9.0
TITLES = traffic.catalogue(titles=4)
#: A title that comes when no learner is there any more.
NEW_TITLE = "title-3"
#: What goes no quicker here. A node looks every five seconds whether it has read everything, so it is not away for
#: less; and a worker that starts over lets up to five seconds go by in between.
AS_SLOW = {
    "keyart_tables_behind_seconds > 60": "keyart_tables_behind_seconds > 8",
    "keyart_worker_failures_total[9000ms]": "keyart_worker_failures_total[30000ms]",
}


def rules() -> str:
    """The alert rules in this quicker time."""
    found = quicker(RULES.read_text(), 60 / MINUTE, wait=WAIT, span=SPAN)
    for ours, theirs in AS_SLOW.items():
        assert ours in found
        found = found.replace(ours, theirs)
    return found


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


class Stage:
    """A loop on a broker of its own, with people who watch and a Prometheus that looks."""

    def __init__(self, folder: Path, broker: EmbeddedBroker, keyart: Callable[..., Process]) -> None:
        self.broker = broker
        self._serial = itertools.count()
        node_port, new_port, *worker_ports = ports(5)
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
            http_port=node_port,
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
        # It goes on looking for a broker for so long: until then it answers, and takes nothing.
        self.newcomer = self.settings.model_copy(update={"http_port": new_port, "connect_seconds": 30})
        self.targets = {
            "serving": [f"127.0.0.1:{self.settings.http_port}"],
            "newcomer": [f"127.0.0.1:{self.newcomer.http_port}"],
        }
        for name, port in zip(("viewing", "learner", "learner"), worker_ports, strict=True):
            ours = self.settings.model_copy(update={"metrics_port": port})
            self.workers[f"{name} {port}"] = keyart(ours, name, "--ready")
            self.targets.setdefault(name, []).append(f"127.0.0.1:{port}")
        self.node = node = keyart(self.settings, "serving")
        for worker in self.workers.values():
            worker.wait_ready(60)
        until(lambda: "serving on" in node.output(), "the node serves", 60)
        self.url = f"http://127.0.0.1:{self.settings.http_port}"
        self.prometheus = Prometheus(folder, self.targets, rules(), every=250)
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
