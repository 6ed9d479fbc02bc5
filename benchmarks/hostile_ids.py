"""What a flood of ids that nobody knows leaves behind in a worker: memory, and series of its metrics.

Records go through a worker's task as its loop would hand them over, with a checkpoint whenever much waits for one.
Each names a title, an artwork or a feature that no other names::

    python -m benchmarks.hostile_ids [--ids N] [--json FILE]

Memory is what Python allocates for it (``tracemalloc``), beyond what the worker held after its first batch.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.arrived import Arrived
from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask
from consumers.viewing import ViewingTask
from stream.codec import encode
from stream.metrics import WorkerMetrics
from stream.records import Artwork, Impression, Play, Title
from stream.running.session import MOST_HELD_BYTES
from stream.settings import Settings
from stream.topics import CATALOGUE, DEAD_LETTERS, IMPRESSIONS, PLAYS, Topic

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 2_000
MEBIBYTE = 1024 * 1024
START_MS = 1_760_000_000_000
#: What is attacked, and with which ids.
KINDS: dict[str, Topic] = {
    "titles of impressions": IMPRESSIONS,
    "artworks of impressions": IMPRESSIONS,
    "features of impressions": IMPRESSIONS,
    "titles of plays": PLAYS,
}
_SHOWN = Impression("hostile-i", START_MS, "m", "film", "face", {"hostile-f": 1.0}, "explore", 0.5, None)
_PLAYED = Play("p", START_MS, "m", "film", 900.0, None)


class Measured(NamedTuple):
    """What a flood left behind.

    ``peak`` and ``left`` are bytes; ``series_before`` and ``series`` what a scrape has.
    """

    kind: str
    ids: int
    dead_letters: int
    peak: int
    left: int
    series_before: int
    series: int
    seconds: float


def measure(kind: str, ids: int) -> Measured:
    """Send so many records, each with an id of its own; see :data:`KINDS`."""
    topic, catalogue, registry = KINDS[kind], CatalogueView(), CollectorRegistry()
    title = Title("film", "Film", 6000.0, {"drama": 1.0}, (Artwork("face", {}), Artwork("kiss", {})))
    catalogue.apply([Arrived(CATALOGUE.name, 0, 0, START_MS, b"film", encode(title))])
    settings: Any = Settings.model_construct(None, worker_id="flooded", max_behind_days=0, impressions_per_hour=0)
    make: Any = ViewingTask if topic is PLAYS else LearnerTask
    task = make(0, settings, catalogue, WorkerMetrics(registry), lambda: None)
    task.handle(topic, list(_flood(kind, -BATCH, 0)))  # what is made once is made now
    task.checkpoint()
    before, dead, began = _series(registry), 0, time.perf_counter()
    gc.collect()
    tracemalloc.start()
    try:
        for first in range(0, ids, BATCH):
            task.handle(topic, list(_flood(kind, first, min(first + BATCH, ids))))
            if task.held_bytes > MOST_HELD_BYTES or first + BATCH >= ids:
                dead += sum(output.topic is DEAD_LETTERS for output in task.checkpoint())
        gc.collect()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    seconds = time.perf_counter() - began
    return Measured(kind, ids, dead, peak, left, before, _series(registry), round(seconds, 1))


def _flood(kind: str, first: int, last: int) -> Iterator[Arrived]:
    topic = KINDS[kind]
    value = encode(_PLAYED if topic is PLAYS else _SHOWN)
    for number in range(first, last):
        hostile = b"hostile-%d" % (number % 10**9)
        if kind.startswith("titles"):
            mine, key = value.replace(b'"film"', b'"%s"' % hostile), b"m" if topic is PLAYS else hostile
        elif kind.startswith("artworks"):
            mine, key = value.replace(b'"face"', b'"%s"' % hostile), b"film"
        else:  # learned, so each is another impression
            mine, key = value.replace(b"hostile-f", hostile).replace(b"hostile-i", hostile), b"film"
        at_ms = START_MS + number * 100  # ten a second
        mine = mine.replace(b"%d" % START_MS, b"%d" % at_ms)
        yield Arrived(topic.name, 0, number + BATCH, at_ms, key, mine)


def _series(registry: CollectorRegistry) -> int:
    return sum(not line.startswith(b"#") for line in generate_latest(registry).splitlines())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What a flood of unknown ids leaves behind in a worker.")
    parser.add_argument("--ids", type=int, default=1_000_000, help="how many of each kind")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    asked = parser.parse_args()
    rows = [measure(kind, asked.ids) for kind in KINDS]
    shown = Table(title=f"{asked.ids:,} ids of each kind", title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("ids", "dead letters", "peak memory", "left", "series before", "after", "seconds"):
        shown.add_column(name, justify="left" if name == "ids" else "right", no_wrap=name == "ids")
    for row in rows:
        shown.add_row(
            *(
                row.kind,
                f"{row.dead_letters:,}",
                f"{row.peak / MEBIBYTE:.1f} MiB",
                f"{row.left / MEBIBYTE:.2f} MiB",
            ),
            *(str(row.series_before), str(row.series), f"{row.seconds:.1f}"),
        )
    Console(width=max(Console().width, 100)).print(shown)
    if asked.json is not None:
        asked.json.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
