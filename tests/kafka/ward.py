"""Workers that ail, each in its own way, and a Prometheus that looks at them.

Learners are this process's own: a worker's loop on a thread, its metrics as ``keyart`` serves them.
"""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

import traffic
from ports import ports
from processes import KEYART, environment
from prometheus import RULES, Prometheus, quicker
from prometheus_client import CollectorRegistry
from slowed import ADD_PARTITIONS_TO_TXN
from waiting import until
from wire import Wire

from consumers.catalogue_view import CatalogueView
from consumers.learner import learner_job
from stream import health
from stream.kafka import Admin
from stream.metrics import WorkerMetrics, tell_process
from stream.running.worker import Worker
from stream.settings import UNLIMITED, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from slowed import SlowedBroker

#: Ranges and thresholds in minutes are so much shorter here, and nothing need last longer than so many seconds.
FACTOR, WAIT = 20, 2.0
TITLES = traffic.catalogue(titles=6, artworks=2)


class Inside:
    """A learner in this process."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        counted = WorkerMetrics(self.registry)
        tell_process(self.registry)
        self.hung: list[str] = []
        job = learner_job(settings, CatalogueView(), counted)
        self.worker = Worker(settings, job, counted, on_hang=self.hung.append)
        self._server = health.serve(
            *(self.registry, "127.0.0.1", 0),
            live=lambda: self.worker.pulse.beats,
            ready=self.worker.ready.is_set,
        )
        self.place = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self.worker.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()
        self._thread.join(20)
        self._server.shutdown()
        self._server.server_close()

    def counted(self, metric: str, **labels: str) -> float:
        """What it has counted."""
        return self.registry.get_sample_value(metric, labels) or 0.0

    def wait_counted(self, metric: str) -> None:
        """Wait until it has just counted one more."""
        before = self.counted(metric)
        until(lambda: self.counted(metric) > before, f"it counts {metric}")


class FullLog:
    """A viewing worker whose log nobody reads: its first line has no room, and its loop waits for it.

    Where a supervisor starts it again, it is no better.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.place = f"127.0.0.1:{settings.metrics_port}"
        self._settings, self._folder = settings, folder
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self._write, b"." * 1024)
        os.set_blocking(self._write, True)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        os.close(self._read)
        os.close(self._write)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [str(KEYART), "viewing"],
            env=environment(self._settings),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._write,
            stderr=self._write,
        )

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """What a supervisor does that has asked /livez."""
        self._kill()
        self._start()


class Ward:
    """All of them, and who looks at them."""

    def __init__(self, folder: Path, broker: SlowedBroker, stack: ExitStack) -> None:
        self.broker, self._serial, self._shown = broker, 0, set[str]()
        slow = Settings(
            bootstrap_servers=broker.bootstrap,
            topic_prefix="slow.",
            partitions=1,
            session_seconds=30,
            poll_seconds=60,
            connect_seconds=5,
            transaction_seconds=30,
            checkpoint_seconds=0.5,
            publish_seconds=3,
            max_poll_records=5,
            max_jump=0.6,
            drift_detection=True,
            token_secrets=("a secret for the tests",),
            **UNLIMITED,
        )
        mute = slow.model_copy(update={"topic_prefix": "mute.", "transaction_seconds": 2})
        full = mute.model_copy(
            update={
                "topic_prefix": "full.",
                "metrics_port": ports()[0],
                "session_seconds": 6,
                "poll_seconds": 5,
            }
        )
        for settings in (slow, mute, full):
            with Admin(settings) as admin:
                admin.create()
        broker.hold(mute.topic_prefix, ADD_PARTITIONS_TO_TXN, 3600)
        self.full = stack.enter_context(FullLog(full, folder))
        self.slow, self.mute = (stack.enter_context(Inside(settings)) for settings in (slow, mute))
        targets = {"learner": [self.slow.place, self.mute.place], "viewing": [self.full.place]}
        rules = quicker(RULES.read_text(), FACTOR, wait=WAIT)
        self.prometheus = stack.enter_context(Prometheus(folder, targets, rules, every=250))
        self.wires = {settings.topic_prefix: Wire(settings) for settings in (slow, mute)}
        for wire in self.wires.values():
            stack.callback(wire.close)
            wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
        stack.callback(broker.hurry)
        for worker in (self.slow, self.mute):
            stack.callback(worker.worker.stop)
        for worker in (self.slow, self.mute):
            assert worker.worker.ready.wait(60)
        until(lambda: self.prometheus.ready, "Prometheus answers")

    def full_start(self) -> float | None:
        """When the worker with the full log was started, as far as Prometheus has seen it."""
        found = self.prometheus.query(f'process_start_time_seconds{{instance="{self.full.place}"}}')
        return found[0][1] if found else None

    @property
    def full_is_stuck(self) -> bool:
        """Whether the alert about a loop that stands still is about the worker with the full log."""
        stuck = self.prometheus.firing().get("KeyartLoopStuck", [])
        return self.full.place in {alert["labels"]["instance"] for alert in stuck}

    def impressions(self, count: int, title_id: str, shown_ms: int) -> list[dict[str, Any]]:
        """Impressions of a title: the very first of one artwork, all others of another."""
        made = []
        for number in range(count):
            first = title_id not in self._shown
            self._shown.add(title_id)
            self._serial += 1
            made.append(
                {
                    "impression_id": f"ailing-{self._serial}",
                    "shown_ms": shown_ms + number,
                    "member_id": f"member-{self._serial}",
                    "title_id": title_id,
                    "artwork_id": "art-1" if first else "art-0",
                    "context": {},
                    "policy": "explore",
                    "propensity": 0.5,
                    "snapshot_version": None,
                }
            )
        return made

    def show(self, prefix: str, shown: list[dict[str, Any]]) -> None:
        """Write impressions."""
        self.wires[prefix].send(("impressions", one["title_id"], one) for one in shown)

    def reward(self, earned: list[tuple[dict[str, Any], float]]) -> None:
        """Write what impressions have earned, a minute after each."""
        self.wires["slow."].send(
            (
                "rewards",
                one["title_id"],
                {key: value for key, value in one.items() if key not in {"member_id", "snapshot_version"}}
                | {"credited_ms": one["shown_ms"] + traffic.MINUTE_MS, "credit": credit, "reward": credit},
            )
            for one, credit in earned
        )
