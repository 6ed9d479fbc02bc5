"""The loop on Kafka: how much of the client's speed a learner keeps, and how soon a play tells on choices."""

from __future__ import annotations

import random
import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.speed.broker import delete, kafka, topics_of_our_own
from benchmarks.speed.measure import Bar, Report, Row, alternate, ratio
from benchmarks.speed.sides import WATCHED_SECONDS, Side, SideEnded
from benchmarks.speed.workload import Workload
from consumers import ArtworkChooser
from producers import EventProducer
from producers.catalogue import publish_catalogue
from stream.kafka import Admin
from stream.records import Artwork, Title
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, SHARED_PRIOR, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.speed.broker import Broker
    from stream.choice import Choice
    from stream.settings import Settings

OF_BARE, RECORDS = Bar(0.6), Bar(100_000.0)
P50, P99 = Bar(0.8, below=True), Bar(1.5, below=True)
_GIVEN = 5
_PLAY_SHARE = 0.05
_LOOK_SECONDS = 0.005
#: A side may take so long: it only keeps what is broken from hanging.
_PATIENCE = 300.0


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
            _freshness(report, broker, work, rate, seconds, said)
    return report


def _throughput(
    report: Report, broker: Broker, work: Workload, records: int, rounds: int, said: Callable[[str], None]
) -> None:
    with topics_of_our_own(broker) as ours:
        publish_catalogue(ours, work.titles)
        said(f"writing {records:,} impressions")
        with Side("write", ours, **_audience(work), records=records) as writing:
            writing.wait("done", _PATIENCE)
        of_core: dict[str, list[float]] = {"bare": [], "learner": []}

        def read(name: str, role: str, **told: object) -> float:
            with Side(role, ours, **told) as side:
                done = side.wait("done", _PATIENCE)
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


def _audience(work: Workload) -> dict[str, int]:
    return {"titles": len(work.titles), "features": len(work.columns), "given": _GIVEN}


def _forget(ours: Settings) -> None:
    """As if no learner had ever been there."""
    written = LEARNER_CHANGELOG, SNAPSHOTS, SHARED_PRIOR
    delete(ours, written, groups=("learner",))
    with Admin(ours) as admin:
        while {topic.name for topic in written} & set(admin.partition_counts()):
            time.sleep(0.05)  # a topic is deleted a moment after the broker has agreed to it
        admin.create()


# --- freshness


class Probes:
    """Plays of titles that nobody else looks at, one at a time of each: versions say when one is held.

    All impressions are sent and learned before the first play. From then on a title's version grows by one with
    each of its plays.

    Parameters
    ----------
    titles
        Theirs.
    each
        The most plays of one.
    """

    def __init__(self, titles: list[Title], each: int, chooser: ArtworkChooser, events: EventProducer) -> None:
        self._chooser, self._events, self._each = chooser, events, each
        self._rng = random.Random(1)  # noqa: S311 - it keeps plays out of step with the workers' cadences
        self._of = {title.title_id: self._look_at(title) for title in titles}
        events.flush(30)

    def _look_at(self, title: Title) -> list[Choice]:
        made = []
        for number in range(self._each):
            choice = self._chooser.choose(f"prober-{title.title_id}-{number}", title.title_id)
            self._events.impression(choice)
            made.append(choice)
        return made

    def wait_learned(self, seconds: float) -> None:
        """Until every impression is in a snapshot that is served here."""
        deadline = time.monotonic() + seconds
        while any(self._version(title_id) < self._each for title_id in self._of):
            if time.monotonic() > deadline:
                raise SideEnded("the probes' impressions are not learned: does the loop keep up?")
            time.sleep(_LOOK_SECONDS)

    def _version(self, title_id: str) -> int:
        held = self._chooser.snapshot(title_id)
        return 0 if held is None else held.version

    def run(self, seconds: float) -> list[float]:
        """From each play's send to the first choice from a snapshot that holds it, in seconds."""
        found: list[float] = []
        played = dict.fromkeys(self._of, 0)
        sent: dict[str, float] = {}
        end = time.monotonic() + seconds
        due = {title_id: time.monotonic() + self._rng.random() for title_id in self._of}
        while sent or time.monotonic() < end:
            now = time.monotonic()
            for title_id in list(sent):
                if self._version(title_id) >= self._each + played[title_id]:
                    choice = self._chooser.choose("the next member", title_id)
                    if (choice.snapshot_version or 0) >= self._each + played[title_id]:
                        found.append(time.monotonic() - sent.pop(title_id))
                        due[title_id] = time.monotonic() + self._rng.uniform(0.2, 1.2)
            for title_id, at in list(due.items()):
                if now >= at and now < end and played[title_id] < self._each:
                    del due[title_id]
                    sent[title_id] = time.monotonic()
                    self._events.play(self._of[title_id][played[title_id]].token, WATCHED_SECONDS)
                    played[title_id] += 1
            if now > end + 30:
                raise SideEnded(f"{len(sent)} plays are in no snapshot 30 s after the last was sent")
            time.sleep(_LOOK_SECONDS)
        return found


def _probe_titles(count: int, like: Title) -> list[Title]:
    return [
        Title(
            f"probe-{number:03}",
            f"Probe {number}",
            6000.0,
            like.themes,
            tuple(Artwork(*_of(a)) for a in like.artworks),
        )
        for number in range(count)
    ]


def _of(artwork: Artwork) -> tuple[str, dict[str, float]]:
    return artwork.artwork_id, artwork.themes


def _freshness(
    report: Report, broker: Broker, work: Workload, rate: int, seconds: float, said: Callable[[str], None]
) -> None:
    probes, warm = _probe_titles(30, work.titles[0]), min(5.0, seconds)
    with topics_of_our_own(broker) as ours:
        publish_catalogue(ours, [*work.titles, *probes])
        said("starting workers")
        with (
            Side("work", ours, kind="viewing") as viewing,
            Side("work", ours, kind="learner") as learner,
            ArtworkChooser(ours) as chooser,
            EventProducer(ours) as events,
        ):
            viewing.wait("ready", _PATIENCE)
            learner.wait("ready", _PATIENCE)
            chooser.wait_ready(_PATIENCE)
            probing = Probes(probes, max(round(2 * seconds), 4), chooser, events)
            probing.wait_learned(60)
            told = _audience(work) | {"rate": rate, "seconds": warm + seconds, "play_share": _PLAY_SHARE}
            said("the audience prepares")
            with Side("audience", ours, **told) as audience:
                audience.wait("ready", _PATIENCE)
                said(f"{rate:,} impressions a second, for {warm + seconds:g} s")
                time.sleep(warm)
                took = probing.run(seconds)
                sent = audience.wait("done", _PATIENCE)
    if not took:
        raise SideEnded("no play was sent: measure for longer")
    p50, p99 = (float(np.quantile(took, share)) for share in (0.5, 0.99))
    reached = sent["records"] / sent["seconds"]
    report.figures |= {"freshness_seconds": {"p50": p50, "p99": p99}, "impressions_per_second": reached}
    note = f"{len(took):,} plays, at {reached:,.0f} impressions/s"
    report.rows += [
        Row("from a play to choices that know of it, p50", p50, "s", min(took), max(took), bar=P50, note=note),
        Row("from a play to choices that know of it, p99", p99, "s", bar=P99),
    ]
