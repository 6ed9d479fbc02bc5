"""How long it takes to value every policy by millions of logged rows, and how much memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from benchmarks.evaluation.logs import CATALOGUE, START_MS
from producers.audience import Audience
from producers.audience_world import World, WorldRules
from producers.catalogue import load_catalogue
from stream.evaluation.log import Logged

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

_AT_ONCE = 10_240
_SPACING_MS, _DELAY_MS = 200, 40 * 60_000
_IMPRESSION = b'{"topic":"impressions","record":%b}\n'
_REWARD = b'{"topic":"rewards","record":{"impression_id":"%b","reward":1.0,"credited_ms":%d}}\n'


class Row(NamedTuple):
    """What it took: rows, bytes of the file, seconds of the clock and of the processor, peak memory."""

    rows: int
    file_bytes: int
    seconds: float
    processor_seconds: float
    rows_per_second: float
    peak_bytes: int


def measure(rows: int, watch: Callable[[int, int], None] = lambda _done, _of: None) -> Row:
    """Write a log of the demo's audience, and have ``keyart evaluate`` value every policy by it, on one core."""
    with tempfile.TemporaryDirectory(prefix="keyart-") as folder:
        file = Path(folder) / "log.jsonl"
        with file.open("wb") as lines:
            _write(lines, rows, watch)
        command = [sys.executable, "-c", "from consumers.cli import main; main()", "evaluate", "--log", str(file)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        subprocess.run(  # noqa: S603 - ourselves
            [*command, "--json", str(Path(folder) / "rows.json"), "--report", str(Path(folder) / "report.html")],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = file.stat().st_size
    return Row(rows, size, seconds, processor, rows / seconds, after.ru_maxrss * 1024)


def _write(lines: IO[bytes], rows: int, watch: Callable[[int, int], None]) -> None:
    """The catalogue, then impressions and the rewards that some of them earn."""
    catalogue = load_catalogue(CATALOGUE)
    for title in catalogue:
        lines.write(b'{"topic":"catalogue","record":%b}\n' % msgspec.json.encode(title))
    world = World(catalogue, 1, WorldRules())
    audience = Audience(world)
    encode = msgspec.json.Encoder().encode
    contexts = [
        {theme: round(float(part), 3) for theme, part in zip(world.themes, row, strict=True) if part > 0.02}
        for row in world.taste
    ]
    for first in range(0, rows, _AT_ONCE):
        count = min(_AT_ONCE, rows - first)
        visits = audience.visits(first, count)
        counts = world.artwork_counts[visits.titles]
        place = (np.random.default_rng([5, first]).random(count) * counts).astype(np.intp)
        taken, _ = audience.react(visits, place)
        columns = visits.members.tolist(), visits.titles.tolist(), place.tolist(), taken.tolist()
        for i, (member, title, shown, took) in enumerate(zip(*columns, strict=True)):
            number = first + i
            at_ms = START_MS + number * _SPACING_MS
            impression = Logged(
                *(f"impression-{number}", at_ms, world.member_ids[member], world.titles[title].title_id),
                *(world.artwork_ids[title][shown], contexts[member], "explore", 1.0 / int(counts[i])),
            )
            lines.write(_IMPRESSION % encode(impression))
            if took:
                lines.write(_REWARD % (impression.impression_id.encode(), at_ms + _DELAY_MS))
        watch(first + count, rows)
