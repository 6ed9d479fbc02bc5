"""What is measured in a process of its own: workers, a bare reader, an audience.

Started as a module it is one of them: it is told what to do, and tells what it found, as lines of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from benchmarks.speed.out import PlainOut, cheapest, partition_of
from benchmarks.speed.raw import WATCHED_SECONDS
from benchmarks.speed.side import TOLD
from benchmarks.speed.workload import Workload, settings
from consumers.catalogue_view import CatalogueView
from consumers.learner import learner_job
from consumers.viewing import viewing_job
from stream.codec import encode
from stream.kafka import Admin
from stream.kafka.client import consumer_options
from stream.metrics import WorkerMetrics
from stream.records import Play
from stream.running.worker import Worker
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, PLAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.settings import Settings

#: The moment that stands in records until they are sent: no other thirteen digits in them are these.
_THEN_MS = 1_234_567_890_123


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
    out = PlainOut(ours)
    for one in shown:
        out.send(IMPRESSIONS, one.title_id, encode(one))
    out.close()
    _tell(done={"records": records})


def audience(
    ours: Settings, titles: int, features: int, given: int, rate: int, seconds: float, play_share: float
) -> None:
    """Be shown ``rate`` impressions a second, spread evenly over time, and play a share of them a little later."""
    count = round(rate * seconds)
    shown = Workload(titles, features=features, given=given).impressions(count, _THEN_MS)
    every = round(1 / play_share)
    looks, plays = [], {}
    for number, shown_then in enumerate(shown):
        one = msgspec.structs.replace(shown_then, shown_ms=_THEN_MS)
        looks.append((one.title_id, encode(one)))
        if number % every == 0:
            play = Play(one.impression_id, _THEN_MS, one.member_id, one.title_id, WATCHED_SECONDS, one)
            plays[number] = one.member_id, encode(play)
            partition_of(one.member_id, ours.partitions)  # worked out now, not while others are measured
    del shown
    then, step, out = str(_THEN_MS).encode(), max(rate // 200, 1), cheapest(ours)
    _tell(ready=True)
    begun, begun_ms = time.monotonic(), time.time_ns() // 1_000_000
    behind = 0.0
    for start in range(0, count, step):
        due = start / rate
        ahead = begun + due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        behind = max(behind, -ahead)
        now = str(begun_ms + round(1000 * due)).encode()
        for number, (title_id, value) in enumerate(looks[start : start + step], start):
            out.send(IMPRESSIONS, title_id, value.replace(then, now))
            if number in plays:
                member_id, value_of_play = plays[number]
                out.send(PLAYS, member_id, value_of_play.replace(then, now))
    took = time.monotonic() - begun
    out.close()
    _tell(done={"records": count, "seconds": took, "behind_seconds": behind})


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
    place = {name: told.pop(name) for name in TOLD}
    ROLES[role](settings(worker_id="", token_secrets=(SecretStr("none is needed here"),), **place), **told)


if __name__ == "__main__":
    main()
