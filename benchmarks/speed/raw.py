"""Learning raw records: everything that a learner does with them between Kafka and its sums, beside decoders."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import orjson
from prometheus_client import CollectorRegistry

from benchmarks.speed.measure import Bar, Report, Row, alternate, core_seconds, ratio
from benchmarks.speed.workload import Workload, arrived, rewards_of, settings
from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask, SharedPriorView
from consumers.viewing import ViewingTask
from stream.metrics import WorkerMetrics
from stream.records import Impression, Play
from stream.topics import IMPRESSIONS, PLAYS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.arrived import Arrived
    from stream.topics import Topic

RECORDS = Bar(250_000.0)
#: Played long enough to earn a half.
WATCHED_SECONDS = 900.0


def new_task(work: Workload, now_ms: int) -> LearnerTask:
    """A learner's task that knows the catalogue, with every setting at its default."""
    catalogue = CatalogueView()
    catalogue.apply(arrived(work.titles, now_ms))
    parts = 0, settings(), catalogue, WorkerMetrics(CollectorRegistry()), lambda: None
    return LearnerTask(*parts, shared=SharedPriorView(), now_ms=lambda: now_ms)


def new_viewing_task(work: Workload, now_ms: int) -> ViewingTask:
    """A viewing worker's task that knows the catalogue, with every setting at its default."""
    catalogue = CatalogueView()
    catalogue.apply(arrived(work.titles, now_ms))
    parts = settings(), catalogue, WorkerMetrics(CollectorRegistry()), lambda: None
    return ViewingTask(0, *parts, now_ms=lambda: now_ms)


def plays_of(shown: Sequence[Impression], now_ms: int) -> list[Play]:
    """A play of each impression, worth a half."""
    return [Play(one.impression_id, now_ms, one.member_id, one.title_id, WATCHED_SECONDS, one) for one in shown]


def polls(messages: Sequence[Arrived]) -> list[Sequence[Arrived]]:
    """Messages by so many as a worker reads at once."""
    most = settings().max_poll_records
    return [messages[start : start + most] for start in range(0, len(messages), most)]


def learning(
    work: Workload, topic: Topic, parts: Sequence[Sequence[Arrived]], now_ms: int, partitions: int = 1
) -> Callable[[], float]:
    """Learns batches of raw records in a new learner's tasks, taking turns; the seconds of a core it takes."""
    few = work.impressions(5 * work.artworks * len(work.titles), now_ms - 61_000, first=1 << 40)
    before = polls(arrived(few, now_ms))  # every artwork has its sums already, as in a learner at work

    def once() -> float:
        tasks = [new_task(work, now_ms) for _ in range(partitions)]
        for task in tasks:
            for batch in before:
                task.handle(IMPRESSIONS, batch)

        def handle() -> None:
            for number, batch in enumerate(parts):
                tasks[number % partitions].handle(topic, batch)

        return core_seconds(handle)

    return once


def add_rows(report: Report, work: Workload, records: int, rounds: int, said: Callable[[str], None]) -> None:
    """Measure raw impressions and rewards, and the decoders on the same bytes."""
    now_ms = time.time_ns() // 1_000_000
    shown = work.impressions(records, now_ms - 60_000)
    earned = rewards_of(shown, np.full(len(shown), 0.5))
    batches, of_rewards = polls(arrived(shown, now_ms)), polls(arrived(earned, now_ms))
    values = [message.value or b"" for batch in batches for message in batch]
    decode = msgspec.json.Decoder(Impression).decode

    def ours(topic: Topic, parts: Sequence[Sequence[Arrived]]) -> Callable[[], float]:
        took = learning(work, topic, parts, now_ms)
        return lambda: records / took()

    def each(of: Callable[[bytes], object]) -> Callable[[], float]:
        def through() -> None:
            for value in values:
                of(value)

        return lambda: records / core_seconds(through)

    few = shown[: max(records // 10, 1)]
    played = polls(arrived(plays_of(few, now_ms), now_ms))

    def plays() -> float:
        task = new_viewing_task(work, now_ms)

        def handle() -> None:
            for batch in played:
                task.handle(PLAYS, batch)
                for _ in task.checkpoint():
                    pass

        return len(few) / core_seconds(handle)

    sides = {
        "plays": plays,
        "raw impressions": ours(IMPRESSIONS, batches),
        "raw rewards": ours(REWARDS, of_rewards),
        "orjson.loads": each(orjson.loads),
        "msgspec": each(decode),
    }
    found = alternate(sides, rounds, said)
    size = round(sum(map(len, values)) / len(values))
    mine = found["raw impressions"]
    report.figures |= {"records_per_second": median(mine), "plays_per_second": median(found["plays"])}
    report.rows += [
        Row.of(
            *("raw impressions: decode, checks, hourly limit, sums", mine, "records/s"),
            bar=RECORDS,
            note=f"{size} bytes each, {work.given} features given",
        ),
        Row.of("raw rewards, likewise", found["raw rewards"], "records/s"),
        Row.of(
            *("raw plays: decode, checks, credit, taste, changelog", found["plays"], "records/s"),
            note="a viewing worker, each of another member",
        ),
        *(
            Row.of(f"{name}, the same bytes", found[side], "records/s", ratio=ratio(mine, found[side]))
            for name, side in (
                ("msgspec into a typed, checked record", "msgspec"),
                ("orjson.loads", "orjson.loads"),
            )
        ),
    ]
