"""What is measured in a process of its own: workers, a bare reader, an audience.

Started as a module it is one of them: it is told what to do, and tells what it found, as lines of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from benchmarks.speed.workload import Workload, settings
from consumers.catalogue_view import CatalogueView
from consumers.embedded import start_tied
from consumers.learner import learner_job
from consumers.viewing import viewing_job
from stream.codec import encode
from stream.errors import KeyartError
from stream.kafka import Admin
from stream.kafka.client import consumer_options, producer_options
from stream.metrics import WorkerMetrics
from stream.records import Play
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, PLAYS
from stream.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.settings import Settings
    from stream.topics import Topic

_ROOT = Path(__file__).parents[2]
_TOLD = ("bootstrap_servers", "topic_prefix", "partitions", "publish_seconds")
#: Played long enough to earn a half.
WATCHED_SECONDS = 900.0


class SideEnded(KeyartError):
    """A process that is measured ended before it should."""


class Side:
    """A process, from its start until :meth:`close`; on Linux it ends with this one.

    Parameters
    ----------
    role
        Which of :data:`ROLES`.
    ours
        Settings, of which the place and the cadence are told.
    **more
        What else it is told.
    """

    def __init__(self, role: str, ours: Settings, **more: Any) -> None:
        self._role = role
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="keyart-bench-")  # noqa: SIM115 - lives until close
        told = {name: getattr(ours, name) for name in _TOLD} | more
        command = [sys.executable, "-m", "benchmarks.speed.sides", role, json.dumps(told)]
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = start_tied(command, self._log, dict(os.environ) | {"PYTHONPATH": path})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def wait(self, name: str, seconds: float) -> Any:
        """What it tells under this name, once it does.

        Raises
        ------
        SideEnded
            It ended without having told, or time ran out.
        """
        deadline = time.monotonic() + seconds
        while True:
            ended = self._process.poll() is not None
            for line in self._said().splitlines():
                if line.startswith('{"told": ') and name in (found := json.loads(line)["told"]):
                    return found[name]
            if ended or time.monotonic() > deadline:
                how = "ended early" if ended else f"did not tell {name!r} within {seconds:g} s"
                raise SideEnded(f"{self._role} {how}; it said:\n{self._said()[-2000:] or 'nothing'}")
            time.sleep(0.01)

    def _said(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def close(self) -> None:
        """Ask it to end, and wait."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


# --- within a process


def _tell(**found: Any) -> None:
    print(json.dumps({"told": found}), flush=True)


def alone_on_a_core() -> None:
    """Stay on the last core, where there are several: brokers and others have the first to themselves."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def consume(ours: Settings, topic: str, *, pinned: bool = True) -> None:
    """Read a topic to its end with the plain client, set as ours is, and count."""
    if pinned:
        alone_on_a_core()
    named = {IMPRESSIONS.name: IMPRESSIONS, LEARNER_CHANGELOG.name: LEARNER_CHANGELOG}[topic]
    places = [TopicPartition(named.full_name(ours.topic_prefix), number) for number in range(ours.partitions)]
    with Admin(ours) as admin:
        ends = admin.end_offsets(named, range(ours.partitions))
    consumer = KafkaConsumer(**consumer_options(ours, "bare"))
    consumer.assign(places)
    for place in places:
        consumer.seek(place, 0)
    records = size = 0
    begun, at_work = time.perf_counter(), time.process_time()
    behind = [place for place in places if ends[place.partition]]
    while behind:
        for batch in consumer.poll(timeout_ms=50).values():
            records += len(batch)
            size += sum(len(message.value or b"") for message in batch)
        behind = [place for place in behind if consumer.position(place) < ends[place.partition]]
    seconds = time.perf_counter() - begun
    at_work = time.process_time() - at_work
    consumer.close()
    _tell(done={"records": records, "bytes": size, "seconds": seconds, "core_seconds": at_work})


def learn(ours: Settings, *, pinned: bool = True) -> None:
    """Learn everything there is, from owning the partitions until all is committed and published."""
    if pinned:
        alone_on_a_core()
    worker, _ = _worker(ours, learner_job)
    begun: list[tuple[float, float]] = []

    def watch() -> None:
        worker.ready.wait()
        begun.append((time.perf_counter(), time.process_time()))

    threading.Thread(target=watch, daemon=True).start()
    counts = worker.run(until_drained=True)
    ((at, at_work),) = begun
    _tell(
        done={
            "records": counts.records,
            "seconds": time.perf_counter() - at,
            "core_seconds": time.process_time() - at_work,
            "checkpoints": counts.checkpoints,
            "published": counts.published,
        }
    )


def restore(ours: Settings) -> None:
    """Get all partitions' state back."""
    started = time.perf_counter()
    worker, registry = _worker(ours, learner_job)

    def watch() -> None:
        worker.ready.wait()
        took = registry.get_sample_value("keyart_worker_restore_seconds_sum")
        _tell(done={"seconds": took, "ready_seconds": time.perf_counter() - started})
        worker.stop()

    threading.Thread(target=watch, daemon=True).start()
    worker.run()


def work(ours: Settings, kind: str) -> None:
    """Be a worker until SIGTERM."""
    worker, _ = _worker(ours, {"learner": learner_job, "viewing": viewing_job}[kind])

    def watch() -> None:
        worker.ready.wait()
        _tell(ready=True)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


def _worker(ours: Settings, job: Callable[..., Any]) -> tuple[Worker, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    return Worker(ours, job(ours, CatalogueView(), metrics), metrics), registry


def write(ours: Settings, titles: int, features: int, given: int, records: int) -> None:
    """Write so many impressions as fast as it goes."""
    shown = Workload(titles, features=features, given=given).impressions(
        records, time.time_ns() // 1_000_000 - records // 10
    )
    producer, topic = _producer(ours, IMPRESSIONS)
    for one in shown:
        producer.send(topic, key=one.title_id.encode(), value=encode(one))
    producer.flush()
    producer.close()
    _tell(done={"records": records})


def audience(
    ours: Settings, titles: int, features: int, given: int, rate: int, seconds: float, play_share: float
) -> None:
    """Be shown ``rate`` impressions a second, spread evenly over time, and play a share of them a little later."""
    count = round(rate * seconds)
    shown = Workload(titles, features=features, given=given).impressions(count, 0)
    producer, impressions = _producer(ours, IMPRESSIONS)
    plays = PLAYS.full_name(ours.topic_prefix)
    every = max(round(1 / play_share), 1) if play_share else count + 1
    step = max(rate // 200, 1)
    _tell(ready=True)
    begun, begun_ms = time.monotonic(), time.time_ns() // 1_000_000
    behind = 0.0
    for start in range(0, count, step):
        due = start / rate
        ahead = begun + due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        behind = max(behind, -ahead)
        at_ms = begun_ms + round(1000 * due)
        for number, one in enumerate(shown[start : start + step], start):
            now = msgspec.structs.replace(one, shown_ms=at_ms)
            producer.send(impressions, key=now.title_id.encode(), value=encode(now))
            if number % every == 0:
                play = Play(now.impression_id, at_ms, now.member_id, now.title_id, WATCHED_SECONDS, now)
                producer.send(plays, key=play.member_id.encode(), value=encode(play))
    took = time.monotonic() - begun
    producer.flush()
    producer.close()
    _tell(done={"records": count, "seconds": took, "behind_seconds": behind})


def _producer(ours: Settings, topic: Topic) -> tuple[KafkaProducer, str]:
    return KafkaProducer(**producer_options(ours, "bench")), topic.full_name(ours.topic_prefix)


ROLES: dict[str, Callable[..., None]] = {
    "consume": consume,
    "learn": learn,
    "restore": restore,
    "work": work,
    "write": write,
    "audience": audience,
}


def main() -> None:
    """Play a role."""
    role, told = sys.argv[1], json.loads(sys.argv[2])
    place = {name: told.pop(name) for name in _TOLD}
    ROLES[role](settings(worker_id="", token_secrets=(SecretStr("none is needed here"),), **place), **told)


if __name__ == "__main__":
    main()
