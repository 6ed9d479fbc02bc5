"""The loop on Kafka: how much of the client's speed a learner keeps, and how soon a play tells on choices."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.speed import freshness
from benchmarks.speed.broker import delete, kafka, topics_of_our_own
from benchmarks.speed.freshness import PATIENCE
from benchmarks.speed.measure import Bar, Report, Row, alternate, ratio
from benchmarks.speed.side import Side, SideEnded
from benchmarks.speed.workload import Workload
from producers.catalogue import publish_catalogue
from stream.kafka import Admin
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, SHARED_PRIOR, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.speed.broker import Broker
    from stream.settings import Settings

OF_BARE, RECORDS = Bar(0.6), Bar(100_000.0)


def measure(
    records: int = 300_000,
    rounds: int = 3,
    rate: int = 20_000,
    seconds: float = 20.0,
    titles: int = 200,
    features: int = 16,
    bootstrap: str | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Everything about the loop.

    Parameters
    ----------
    records
        Impressions on the topic that is read.
    rounds
        How often it is read by each side.
    rate, seconds
        Impressions a second of the audience while freshness is measured, and for how long; 0 seconds: not at all.
    titles, features
        How many titles there are with nine artworks each, and how many columns a model has.
    bootstrap
        A cluster to use; None: one is started.
    said
        Told what is measured now.
    """
    said("starting a broker")
    with kafka(bootstrap) as broker:
        report = Report("loop", f"{broker.about}; {titles} titles of 9 artworks, {features} features")
        work = Workload(titles, features=features)
        _throughput(report, broker, work, records, rounds, said)
        if seconds:
            freshness.add_rows(report, broker, work, rate, seconds, said)
    return report


def _throughput(
    report: Report, broker: Broker, work: Workload, records: int, rounds: int, said: Callable[[str], None]
) -> None:
    with topics_of_our_own(broker) as ours:
        publish_catalogue(ours, work.titles)
        said(f"writing {records:,} impressions")
        with Side("write", ours, **freshness.told_of(work), records=records) as writing:
            writing.wait("done", PATIENCE)
        of_core: dict[str, list[float]] = {"bare": [], "learner": []}

        def read(name: str, role: str, **told: object) -> float:
            with Side(role, ours, **told) as side:
                done = side.wait("done", PATIENCE)
            if done["records"] != records:
                raise SideEnded(f"{name} has read {done['records']:,} records of {records:,}")
            of_core[name].append(records / done["core_seconds"])
            return float(records / done["seconds"])

        def learner() -> float:
            found = read("learner", "learn")
            _forget(ours)
            return found

        sides = {"bare": lambda: read("bare", "consume", topic=IMPRESSIONS.name), "learner": learner}
        found = alternate(sides, rounds, said)
    of_bare = ratio(found["learner"], found["bare"])
    report.figures |= {
        "records_per_second": median(found["learner"]),
        "bare_records_per_second": median(found["bare"]),
        "ratio_bare_consume": of_bare,
    }
    report.rows += [
        Row.of("a learner, from its partitions to the last commit", found["learner"], "records/s", bar=RECORDS),
        Row.of("bare kafka-python, the same topic", found["bare"], "records/s", ratio=of_bare, bar=OF_BARE),
        Row.of("a learner, by processor time", of_core["learner"], "records/s", note="all threads of the process"),
        Row.of("bare kafka-python, by processor time", of_core["bare"], "records/s"),
    ]


def _forget(ours: Settings) -> None:
    """As if no learner had ever been there."""
    written = LEARNER_CHANGELOG, SNAPSHOTS, SHARED_PRIOR
    delete(ours, written, groups=("learner",))
    deadline = time.monotonic() + PATIENCE
    with Admin(ours) as admin:
        while time.monotonic() < deadline and {topic.name for topic in written} & set(admin.partition_counts()):
            time.sleep(0.05)  # a topic is deleted a moment after the broker has agreed to it
        admin.create()
