"""Memory: what a title costs a learner and a serving node, and what a member costs, each in a fresh process.

Each is measured twice: by the pages that the process holds (RSS), and by what Python and NumPy have asked for
(tracemalloc), which knows nothing of what an allocator keeps. Started as a module it is one such process.
"""

from __future__ import annotations

import gc
import json
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import CollectorRegistry

from benchmarks.arrived import Arrived
from benchmarks.speed.learn import new_task
from benchmarks.speed.measure import Bar, Report, Row
from benchmarks.speed.workload import PREFIX, Workload, arrived, settings
from consumers.catalogue_view import CatalogueView
from consumers.chooser.view import ServingView
from consumers.viewing import ViewingTask
from stream.codec import encode, encode_fields
from stream.metrics import WorkerMetrics
from stream.records import Play, Taste
from stream.topics import LEARNER_CHANGELOG, PLAYS, SHARED_PRIOR, SNAPSHOTS, TASTES, VIEWING_CHANGELOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stream.topics import Topic

LEARNER, SERVING = Bar(40_000.0, below=True), Bar(25_000.0, below=True)
#: How far the bytes a title at the most titles may be above those at the fewest.
GROWTH = Bar(1.1, below=True)
_NOW_MS = 1_760_000_000_000
_ROOT = Path(__file__).parents[2]
#: So many titles or members are made; the others are like them under other names.
_MADE = 50
_AT_ONCE = 500
_LOOKS_A_TITLE, _PLAYS_A_MEMBER = 900, 5


def measure(
    sizes: Sequence[int] = (1000, 5000, 20_000),
    features: int = 16,
    artworks: int = 9,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Everything about memory.

    Parameters
    ----------
    sizes
        How many titles, and how many members.
    features, artworks
        How many columns a model has, and artworks of each title.
    said
        Told what is measured now.
    """
    report = Report(
        "memory",
        f"{artworks} artworks a title, {features} features; each in its own process, less what that holds empty",
    )
    bars = {"learner": LEARNER, "serving": SERVING}
    per: dict[str, dict[int, float]] = {}
    for kind, (what, unit, _) in KINDS.items():
        per[kind] = {}
        for size in sorted(sizes):
            took = {}
            for way in ("rss", "traced"):
                said(f"{what}, {size:,}, {way}")
                took[way] = _in_a_process(kind, way, size, features, artworks) / size
            per[kind][size] = took["rss"]
            report.rows.append(
                Row(
                    *(f"{what}, {size:,}", took["rss"], f"bytes a {unit}"),
                    bar=bars.get(kind),
                    note=f"tracemalloc: {took['traced']:,.0f}",
                )
            )
    for kind in bars:
        grown = _last(per[kind]) / _first(per[kind])
        report.rows.append(Row(f"{KINDS[kind][0]}: bytes a title, most titles ÷ fewest", grown, "", bar=GROWTH))
        report.figures[f"growth_{kind}"] = grown
    report.figures |= {
        "bytes_per_title": {kind: _last(per[kind]) for kind in bars},
        "bytes_per_member": {kind: _last(of) for kind, of in per.items() if kind not in bars},
        "bytes_by_size": {kind: {str(size): value for size, value in of.items()} for kind, of in per.items()},
    }
    return report


def _first(by_size: dict[int, float]) -> float:
    return next(iter(by_size.values()))


def _last(by_size: dict[int, float]) -> float:
    return list(by_size.values())[-1]


def _in_a_process(kind: str, way: str, size: int, features: int, artworks: int) -> float:
    arguments = [kind, way, str(size), str(features), str(artworks)]
    done = subprocess.run(  # noqa: S603 - this module
        [sys.executable, "-m", "benchmarks.speed.memory", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    found: float = json.loads(done.stdout.splitlines()[-1])
    return found


# --- within a process


def _catalogue(work: Workload, size: int) -> Iterator[list[Arrived]]:
    """The catalogue's records, as a worker reads them."""
    for part in _parts(size):
        titles = [msgspec.structs.replace(work.titles[i % _MADE], title_id=_title_id(i)) for i in part]
        yield arrived(titles, _NOW_MS, part.start)


def _parts(size: int) -> Iterator[range]:
    for start in range(0, size, _AT_ONCE):
        yield range(start, min(start + _AT_ONCE, size))


def _title_id(number: int) -> str:
    return f"title-{number:07}"


def _member_id(number: int) -> str:
    return f"member-{number:010}"


def _records(topic: Topic, rows: Sequence[tuple[str, bytes]]) -> list[Arrived]:
    return [
        Arrived(topic.full_name(PREFIX), 0, offset, _NOW_MS, key.encode(), value)
        for offset, (key, value) in enumerate(rows)
    ]


def learner(work: Workload, size: int) -> Callable[[], object]:
    """Fills a learner as a restart does: from its changelog; then everything is published and taught once."""
    book = work.taught(_LOOKS_A_TITLE)
    made: list[dict[str, Any]] = [book.store(title.title_id) for title in work.titles]
    task = new_task(Workload(0, work.artworks, len(work.columns)), _NOW_MS)
    catalogue = task._catalogue  # noqa: SLF001 - what the worker's loop hands it

    def fill() -> object:
        for messages in _catalogue(work, size):
            catalogue.apply(messages)
        for part in _parts(size):
            rows = [(_title_id(i), encode_fields(made[i % _MADE] | {"title_id": _title_id(i)})) for i in part]
            task.restore(_records(LEARNER_CHANGELOG, rows))
        for _ in task.publish(_NOW_MS, math.inf):
            pass
        while not any(output.topic is SHARED_PRIOR for output in task.checkpoint()):
            pass
        return task

    return fill


def serving(work: Workload, size: int) -> Callable[[], object]:
    """Fills a serving node's view, and asks for what competes for each title."""
    made = work.snapshots(work.taught(_LOOKS_A_TITLE))

    def fill() -> object:
        view = ServingView()
        for messages in _catalogue(work, size):
            view.apply_catalogue(messages)
        for part in _parts(size):
            rows = [
                (_title_id(i), encode(msgspec.structs.replace(made[i % _MADE], title_id=_title_id(i))))
                for i in part
            ]
            view.apply_snapshots(_records(SNAPSHOTS, rows))
        for served in view.served.values():
            served.candidates(None)
        return view

    return fill


def tastes(work: Workload, size: int) -> Callable[[], object]:
    """Fills a serving node's view with members' tastes."""
    made = work.contexts(_MADE)

    def fill() -> object:
        view = ServingView()
        for part in _parts(size):
            rows = [(_member_id(i), encode(Taste(_member_id(i), _NOW_MS, 9, made[i % _MADE]))) for i in part]
            view.apply_tastes(_records(TASTES, rows))
        return view

    return fill


def viewing(work: Workload, size: int) -> Callable[[], object]:
    """Fills a viewing worker from its changelog, with members who have played some titles today."""
    catalogue = CatalogueView()
    catalogue.apply(arrived(work.titles, _NOW_MS))
    parts = settings(), catalogue, WorkerMetrics(CollectorRegistry()), lambda: None
    first = ViewingTask(0, *parts, now_ms=lambda: _NOW_MS)
    shown = work.impressions(_MADE * _PLAYS_A_MEMBER, _NOW_MS - 3_600_000)
    plays = [
        Play(
            play_id=one.impression_id,
            played_ms=_NOW_MS,
            member_id=_member_id(i % _MADE),
            title_id=one.title_id,
            watched_seconds=900.0,
            impression=msgspec.structs.replace(one, member_id=_member_id(i % _MADE)),
        )
        for i, one in enumerate(shown)
    ]
    first.handle(PLAYS, _records(PLAYS, [(play.member_id, encode(play)) for play in plays]))
    made = [output.value or b"" for output in first.checkpoint() if output.topic is VIEWING_CHANGELOG]

    def fill() -> object:
        task = ViewingTask(0, *parts, now_ms=lambda: _NOW_MS)
        for part in _parts(size):
            task.restore(_records(VIEWING_CHANGELOG, [(_member_id(i), made[i % _MADE]) for i in part]))
        return task

    return fill


#: By name: what it is, of what there are so many, and what prepares to fill it.
KINDS: dict[str, tuple[str, str, Callable[[Workload, int], Callable[[], object]]]] = {
    "learner": ("a learner's titles", "title", learner),
    "serving": ("a serving node's titles", "title", serving),
    "tastes": ("a serving node's members", "member", tastes),
    "viewing": ("a viewing worker's members", "member", viewing),
}


def held_bytes(kind: str, way: str, size: int, features: int, artworks: int) -> float:
    """What filling it adds to what this process holds."""
    prepare = KINDS[kind][2]
    prepare(Workload(_MADE, artworks, features), 1)()  # modules, caches, arenas
    fill = prepare(Workload(_MADE, artworks, features), size)
    if way == "traced":
        tracemalloc.start()
    before = _now(way)
    held = fill()
    found = _now(way) - before
    del held
    return found


def _now(way: str) -> float:
    gc.collect()
    if way == "traced":
        return tracemalloc.get_traced_memory()[0]
    return float(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Print what one kind holds."""
    kind, way, *numbers = sys.argv[1:]
    print(json.dumps(held_bytes(kind, way, *map(int, numbers))))


if __name__ == "__main__":
    main()
