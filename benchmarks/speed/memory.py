"""Memory: what a title costs a learner and a serving node, and what a member costs, each in a fresh process.

They are measured by the pages that the process holds (RSS). The fewest are measured by what Python and NumPy have
asked for, too (tracemalloc): it is slow, and knows nothing of what an allocator keeps or has not touched yet.
Started as a module it is one such process.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.speed.filled import KINDS, MADE, stored_bytes
from benchmarks.speed.measure import Bar, Report, Row
from benchmarks.speed.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEARNER, SERVING = Bar(40_000.0, below=True), Bar(25_000.0, below=True)
#: How far the bytes a title at the most titles may be above those at the fewest.
GROWTH = Bar(1.1, below=True)
#: So many are filled in beforehand: they fit into what is free, and would seem to take nothing.
_FEW = 500
_ROOT = Path(__file__).parents[2]


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
            for way in ("rss", "traced") if size == min(sizes) else ("rss",):
                said(f"{what}, {size:,}, {way}")
                took[way] = _in_a_process(kind, way, size, features, artworks) / size
            per[kind][size] = took["rss"]
            note = f"tracemalloc: {took['traced']:,.0f}" if "traced" in took else ""
            row = Row(f"{what}, {size:,}", took["rss"], f"bytes a {unit}", bar=bars.get(kind), note=note)
            report.rows.append(row)
    for kind in bars:
        grown = _last(per[kind]) / _first(per[kind])
        report.rows.append(Row(f"{KINDS[kind][0]}: bytes a title, most titles ÷ fewest", grown, "", bar=GROWTH))
        report.figures[f"growth_{kind}"] = grown
    stored = stored_bytes(features, artworks)
    for name, length in stored.items():
        report.rows.append(Row(f"a record: {name}", length, "bytes", note="JSON, before compression"))
    report.figures |= {
        "bytes_stored": stored,
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


def held_bytes(kind: str, way: str, size: int, features: int, artworks: int) -> float:
    """What filling it adds to what this process holds."""
    prepare = KINDS[kind][2]
    few, fill = (prepare(Workload(MADE, artworks, features), many) for many in (_FEW, size))
    kept = few()  # modules, caches, and whatever memory the process has free already
    if way == "traced":
        tracemalloc.start()
    _give_back()
    before = _now(way)
    held = fill()
    found = _now(way) - before
    del held, kept
    return found


def _give_back() -> None:
    """Return to the system what was freed while preparing: filling would use it again, and seem to take less."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


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
