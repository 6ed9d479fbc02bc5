"""``keyart bench evaluation``: whether evaluation tells the truth, and how long it takes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consumers.commands import err, out
from consumers.commands.bench import checkout
from stream.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTS = ("coverage", "ranking", "lies", "tune", "speed")


def evaluation(
    part: Annotated[
        list[str] | None, typer.Option(help="What to measure: coverage, ranking, lies, tune, speed (all).")
    ] = None,
    repetitions: Annotated[int, typer.Option(min=2, help="Coverage: logs of each kind.")] = 1000,
    members: Annotated[
        int, typer.Option(min=50, help="Coverage: members of each log, who look three times.")
    ] = 1500,
    impressions: Annotated[int, typer.Option(min=1000, help="Ranking: of the log of uniform choice.")] = 60_000,
    runs: Annotated[int, typer.Option(min=1, help="Tune: logs in which no settings are better.")] = 100,
    rows: Annotated[int, typer.Option(min=1000, help="Speed: of the file that is read.")] = 5_000_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows here, for machines.")] = None,
) -> None:
    """Measure whether evaluation tells the truth where that is known, and how long it takes.

    `coverage`: how often 95 % intervals hold the truth, and whether estimates are off. `ranking`: uniform, best
    single and contextual choice from a log of uniform choice. `lies`: logs that lie and what finds them. `tune`:
    how often settings are recommended that are no better, and whether better ones are found. `speed`: millions of
    rows, on one core.
    """
    import orjson

    with checkout():
        from benchmarks.evaluation import coverage, lies, ranking, speed, tuning
    unknown = [name for name in part or () if name not in PARTS]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no part: {', '.join(PARTS)}")
    asked, found = part or PARTS, dict[str, Any]()
    with _bar() as watch:
        if "coverage" in asked:
            measured = coverage.measure(repetitions, members, watch("coverage"))
            found["coverage"] = [row._asdict() for row in measured]
            out.print(coverage.table(measured, f"{repetitions} logs of either kind, {members:,} members each"))
            out.print(coverage.outside(measured), highlight=False, soft_wrap=True)
        if "ranking" in asked:
            ranked, _ = ranking.measure(1, impressions)
            found["ranking"] = [row._asdict() for row in ranked]
            out.print(ranking.table(ranked, f"{impressions:,} impressions by uniform choice"))
        if "lies" in asked:
            told = lies.measure(watch("lies"))
            found["lies"] = [row._asdict() for row in told]
            out.print(lies.table(told))
        if "tune" in asked:
            tried = tuning.measure(runs, 2000, watch("tune"))
            found["tune"] = [row._asdict() for row in tried]
            for row in tried:
                out.print(f"where {row.logs}: {row.recommended} of {row.runs} logs saw settings recommended")
        if "speed" in asked:
            took = speed.measure(rows, watch("writing the log"))
            found["speed"] = [took._asdict()]
            out.print(
                f"{took.rows:,} rows ({took.file_bytes / 1e9:.2f} GB): {took.seconds:.0f} s, of the processor "
                f"{took.processor_seconds:.0f} s; {took.rows_per_second:,.0f} rows a second; peak memory "
                f"{took.peak_bytes / 1e6:.0f} MB"
            )
    if json_file is not None:
        json_file.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


@contextmanager
def _bar() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:

        def begin(what: str) -> Callable[[int, int], None]:
            task = bars.add_task(what, total=None)
            return lambda done, of: bars.update(task, completed=done, total=of)

        yield begin
