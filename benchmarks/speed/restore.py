"""Restoring: how soon a learner has the state of all titles back, beside reading the same changelog barely."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from benchmarks.speed.broker import kafka, topics_of_our_own
from benchmarks.speed.measure import Bar, Report, Row, alternate, ratio
from benchmarks.speed.side import Side
from benchmarks.speed.workload import Workload
from producers.catalogue import publish_catalogue
from stream.codec import encode_fields
from stream.kafka.client import producer_options
from stream.running.restore import FORMAT, Position
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, REWARDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.settings import Settings

SECONDS = Bar(5.0, below=True)
_LOOKS_A_TITLE = 90
_A_TRANSACTION = 500
_PATIENCE = 300.0


def measure(
    titles: int = 10_000,
    rounds: int = 3,
    features: int = 16,
    artworks: int = 9,
    bootstrap: str | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Everything about restoring.

    Parameters
    ----------
    titles, artworks, features
        How many titles are restored, artworks of each, and how many columns a model has.
    rounds
        How often each side is measured.
    bootstrap
        A cluster to use; None: one is started.
    said
        Told what is measured now.
    """
    said("starting a broker")
    with kafka(bootstrap) as broker, topics_of_our_own(broker) as ours:
        said(f"writing the state of {titles:,} titles")
        fill(ours, Workload(titles, artworks, features))
        size: list[float] = []
        ready: list[float] = []

        def bare() -> float:
            with Side("consume", ours, topic=LEARNER_CHANGELOG.name, pinned=False) as side:
                done = side.wait("done", _PATIENCE)
            size.append(done["bytes"])
            return float(done["seconds"])

        def restored() -> float:
            with Side("restore", ours) as side:
                done = side.wait("done", _PATIENCE)
            ready.append(done["ready_seconds"])
            return float(done["seconds"])

        found = alternate({"restore": restored, "bare": bare}, rounds, said)
    report = Report(
        "restore",
        f"{broker.about}; {titles:,} titles of {artworks} artworks, {features} features, {rounds} rounds",
    )
    over_bare = ratio(found["restore"], found["bare"])
    bar = SECONDS if titles >= 10_000 else None
    report.rows += [
        Row.of("a learner gets its state back", found["restore"], "s", bar=bar),
        Row.of("bare kafka-python reads the same changelog", found["bare"], "s", ratio=over_bare),
        Row.of(
            "from a learner's start until it goes on", ready, "s", note="with the catalogue, and joining its group"
        ),
        Row("the changelog", median(size) / 1e6, "MB", note=f"{median(size) / titles:,.0f} bytes a title, JSON"),
    ]
    report.figures |= {
        "seconds": median(found["restore"]),
        "seconds_bare_consume": median(found["bare"]),
        "seconds_ready": median(ready),
        "ratio_bare_consume": over_bare,
        "bytes_per_title": median(size) / titles,
    }
    return report


def fill(ours: Settings, work: Workload) -> None:
    """Write the catalogue, and the changelog and offsets as a learner that has learned nothing since has them."""
    publish_catalogue(ours, work.titles)
    book = work.taught(_LOOKS_A_TITLE)
    topic = LEARNER_CHANGELOG.full_name(ours.topic_prefix)
    options = producer_options(ours, "fill") | {"transactional_id": f"{ours.topic_prefix}fill"}
    producer = KafkaProducer(**options)
    producer.init_transactions()
    for start in range(0, len(work.titles), _A_TRANSACTION):
        producer.begin_transaction()
        for title in work.titles[start : start + _A_TRANSACTION]:
            value = encode_fields(book.store(title.title_id))
            producer.send(topic, key=title.title_id.encode(), value=value)
        producer.commit_transaction()
    producer.begin_transaction()
    for partition in range(ours.partitions):
        position = Position(FORMAT, {IMPRESSIONS.name: 0, REWARDS.name: 0}).output(LEARNER_CHANGELOG, partition)
        producer.send(topic, key=position.key, value=position.value, partition=partition)
    producer.commit_transaction()
    producer.close()
    group = KafkaConsumer(
        bootstrap_servers=ours.bootstrap_servers, group_id=f"{ours.topic_prefix}learner", enable_auto_commit=False
    )
    inputs = [
        TopicPartition(topic.full_name(ours.topic_prefix), partition)
        for topic in (IMPRESSIONS, REWARDS)
        for partition in range(ours.partitions)
    ]
    group.assign(inputs)
    group.commit({place: OffsetAndMetadata(0, "", -1) for place in inputs})
    group.close()
