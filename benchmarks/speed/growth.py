"""How costs grow: with features, artworks, titles and partitions, one at a time about a middle."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import lz4.frame

from benchmarks.speed.choose import page_calls
from benchmarks.speed.measure import Report, Row, core_seconds, short
from benchmarks.speed.publish import publishing
from benchmarks.speed.raw import learning
from benchmarks.speed.workload import Workload, arrived, settings
from stream.choosing.servable import ServableTitle
from stream.topics import IMPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

_GIVEN = 5
_ON_A_PAGE, _PAGES = 40, 200
_PUBLISHED = 200
_LOOKS_AN_ARTWORK = 10


@dataclass(frozen=True)
class Point:
    """What there is."""

    features: int = 16
    artworks: int = 9
    titles: int = 200
    partitions: int = 1


@dataclass(frozen=True)
class Cost:
    """What it takes there.

    Attributes
    ----------
    learned
        Microseconds a raw impression.
    published, snapshot
        Microseconds an artwork, and bytes a title as on the topic (LZ4).
    chosen
        Milliseconds a page of 40 titles.
    """

    learned: float
    published: float
    snapshot: float
    chosen: float


class Growth(Report):
    """A line for each point."""

    def table(self) -> Table:
        """For people."""
        from rich.table import Table

        made = Table(title=f"keyart bench {self.bench}", caption=self.about)
        made.add_column("")
        for name in ("learned, µs an impression", "published, µs an artwork", "snapshot, LZ4", "page of 40, ms"):
            made.add_column(name, justify="right")
        for start in range(0, len(self.rows), 4):
            some = self.rows[start : start + 4]
            what = some[0].what.partition(":")[0]
            made.add_row(what, *(short(row.value) for row in some))
        return made


def points(
    features: Sequence[int], artworks: Sequence[int], titles: Sequence[int], partitions: Sequence[int]
) -> Iterator[tuple[str, Point]]:
    """What varies, and the points at which it is measured."""
    middle = Point()
    for name, values in (
        ("features", features),
        ("artworks", artworks),
        ("titles", titles),
        ("partitions", partitions),
    ):
        for value in values:
            yield f"{value:,} {name}", replace(middle, **{name: value})


def measure(
    features: Sequence[int] = (8, 16, 32, 64),
    artworks: Sequence[int] = (3, 9, 27),
    titles: Sequence[int] = (200, 2000, 20_000),
    partitions: Sequence[int] = (1, 9, 36),
    records: int = 50_000,
    rounds: int = 3,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """All points, one after the other.

    Parameters
    ----------
    features, artworks, titles, partitions
        Their numbers; the others stay at those of :class:`Point`.
    records
        Raw impressions a round, in as many polls whatever the number of partitions.
    rounds
        How often each point is measured.
    said
        Told what is measured now.
    """
    middle = Point()
    report = Growth(
        "growth",
        f"otherwise {middle.features} features, {middle.artworks} artworks a title, {middle.titles} titles and "
        f"{middle.partitions} partition; {rounds} rounds",
        figures={"points": []},
    )
    for what, point in points(features, artworks, titles, partitions):
        said(what)
        cost = cost_at(point, records, rounds)
        report.rows += [
            Row(f"{what}: learned", cost.learned, "µs an impression"),
            Row(f"{what}: published", cost.published, "µs an artwork"),
            Row(f"{what}: a snapshot", cost.snapshot, "bytes, LZ4"),
            Row(f"{what}: a page of {_ON_A_PAGE} titles", cost.chosen, "ms"),
        ]
        report.figures["points"].append(asdict(point) | asdict(cost))
    return report


def cost_at(point: Point, records: int, rounds: int) -> Cost:
    """Everything at one point."""
    work = Workload(point.titles, point.artworks, point.features, given=_GIVEN)
    now_ms = time.time_ns() // 1_000_000
    messages = arrived(work.impressions(records, now_ms - 60_000), now_ms)
    # A poll brings so many records of all partitions together: the more partitions, the smaller a task's batches.
    batch = max(settings().max_poll_records // point.partitions, 1)
    parts = [messages[start : start + batch] for start in range(0, records, batch)]
    learn = learning(work, IMPRESSIONS, parts, now_ms, point.partitions)
    learned = median(learn() for _ in range(rounds))
    del messages, parts, learn
    book = work.taught(_LOOKS_AN_ARTWORK * point.artworks)
    publish = publishing(work, book, _PUBLISHED)
    count = min(_PUBLISHED, point.titles) * point.artworks
    published = median(core_seconds(publish) for _ in range(rounds))
    values = [output.value or b"" for output in publish()]
    size = sum(len(lz4.frame.compress(value)) for value in values) / len(values)
    return Cost(1e6 * learned / records, 1e6 * published / count, size, _page(point, rounds))


def _page(point: Point, rounds: int) -> float:
    work = Workload(_ON_A_PAGE, point.artworks, point.features)
    served = [ServableTitle(one) for one in work.snapshots(work.taught(100 * point.artworks))]
    calls = page_calls(served, [f"member-{number}" for number in range(_PAGES)], work.contexts(_PAGES))
    took = []
    for _ in range(rounds):
        for call in calls:
            begun = time.perf_counter()
            call()
            took.append(1000.0 * (time.perf_counter() - begun))
    return median(took)
