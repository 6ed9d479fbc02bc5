"""Benchmarks: they live in a checkout's folder ``benchmarks``, not in the installed package."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from typer.core import TyperCommand

from consumers.commands import err, out
from stream.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

bench = typer.Typer(help="Measure how well and how fast it works; needs a checkout.", no_args_is_help=True)


@bench.callback()
def _group() -> None:
    """Measure how well and how fast it works; needs a checkout."""


class Lists(TyperCommand):
    """An option may be followed by several values: ``--seed 1 2 3`` is ``--seed 1 --seed 2 --seed 3``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the option again before each further value."""
        several = {option for one in self.params if one.multiple for option in one.opts}
        spread: list[str] = []
        option = ""
        for arg in args:
            if arg.startswith("-"):
                option = arg
            elif option in several and spread[-1] != option:
                spread.append(option)
            spread.append(arg)
        return super().parse_args(ctx, spread)


@bench.command("quality", cls=Lists)
def quality(
    world: Annotated[list[str] | None, typer.Option(help="Worlds to choose in (shared).")] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="Policies to compare (all that say something in the world); also: references, peers, parts (ours "
            "without each)."
        ),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Each makes another world (1 2 3).")] = None,
    impressions: Annotated[
        int, typer.Option(min=1000, help="How many, for each policy; in launch and late: before the launch.")
    ] = 100_000,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a row for each mark, for machines.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves into this PNG file.")] = None,
) -> None:
    """Measure how well artwork is chosen, beside other libraries, in made-up worlds whose truth is known.

    All policies meet the same members, titles and draws, and learn 1,000 impressions late. `share` is the share of
    what choosing can gain: (policy - uniform) / (oracle - uniform), in true expected reward, the oracle knowing
    every member; `share now` is the same since the mark before. `benchmarks/quality/worlds.py` describes the
    worlds, `roster.py` the policies.
    """
    with checkout():
        from benchmarks.quality import roster, run
        from benchmarks.quality.table import lines, recoveries, recovery_table, tables
        from benchmarks.quality.worlds import WORLDS
    worlds = _known(world or ["shared"], WORLDS, "world")
    if plot is not None and roster.missing("matplotlib"):
        raise ConfigurationError("--plot needs matplotlib: pip install 'keyart[bench]'")
    asked = None if policy is None else _known(roster.several(policy), roster.POLICIES, "policy")
    plays = run.plan(worlds, seed or [1, 2, 3], asked, impressions)
    for library in sorted({lack for one in plays if (lack := roster.lacking(one.policy))}):
        without = sorted({one.policy for one in plays if roster.lacking(one.policy) == library})
        err.print(f"left out without {library} (pip install 'keyart[bench]'): {', '.join(without)}", markup=False)
    plays = [one for one in plays if not roster.lacking(one.policy)]
    rows = []
    with _watching(len(plays)) as watch:
        for one in plays:
            rows += one.run(watch(str(one)))
    if json_file is not None:
        run.write_rows(rows, json_file)
    found = lines(rows)
    for table in tables(found):
        out.print(table)
    if recovered := recoveries(rows):
        out.print(recovery_table(recovered))
    if plot is not None:
        from benchmarks.quality.plot import plot as draw

        draw(found, plot)


@bench.command("ips", cls=Lists)
def ips(
    world: Annotated[str, typer.Option(help="The world to choose in.")] = "shared",
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Each makes another world (1 2 3).")] = None,
    learn: Annotated[int, typer.Option(min=1000, help="Impressions that each policy learns from.")] = 10_000,
    keep: Annotated[int, typer.Option(min=1000, help="Impressions that each then logs.")] = 10_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows here, for machines.")] = None,
) -> None:
    """Measure whether logged propensities are right: policies' values from others' logs, against the truth.

    Inverse propensity scoring should find a policy's true value within 2 standard errors, nineteen times in
    twenty; and weights, 1 / propensity where what was shown is what the policy wants, should have mean 1.
    """
    with checkout():
        from benchmarks.quality import logs
        from benchmarks.quality.worlds import WORLDS
    _known([world], WORLDS, "world")
    seeds = seed or [1, 2, 3]
    kept = []
    with _watching(len(seeds)) as watch:
        for one in seeds:
            watch(f"{world}, seed {one}")
            kept.append(logs.Logs.keep(world, one, learn, keep))
    found = logs.rows(kept)
    if json_file is not None:
        _write_rows([asdict(row) for row in found], json_file)
    numbers = ", ".join(map(str, seeds))
    out.print(logs.table(found, f"{world}, seeds {numbers}: {keep:,} impressions each, after {learn:,}"))


@bench.command("flicker", cls=Lists)
def flicker(
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Each makes another world (1).")] = None,
    weeks: Annotated[int, typer.Option(min=2, help="How long it runs: launches are in the last.")] = 8,
    old: Annotated[int, typer.Option(min=1, help="Titles that run from the first day.")] = 24,
    new: Annotated[int, typer.Option(min=1, help="Titles that are launched.")] = 6,
    a_day: Annotated[int, typer.Option(min=1, help="Impressions of each title.")] = 300,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows here, for machines.")] = None,
) -> None:
    """Measure how often the artwork that a member sees of a title changes, while the learner goes on learning.

    Of a panel's choices, the shares that change within a week at all, and a second time: `looks a day` says how
    often each is looked at.
    """
    with checkout():
        from benchmarks import flicker as measured
    seeds = seed or [1]
    found = []
    with _watching(len(seeds)) as watch:
        for one in seeds:
            watch(f"seed {one}")
            found.append((one, measured.measure(one, old, new, weeks, a_day)))
    if json_file is not None:
        _write_rows([{"seed": one} | row._asdict() for one, rows in found for row in rows], json_file)
    for one, rows in found:
        out.print(measured.table(rows, f"seed {one}: {old} + {new} titles, {a_day} impressions of each a day"))


def _write_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


@bench.command("poisoning", cls=Lists)
def poisoning(
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Each makes another audience (1).")] = None,
    members: Annotated[int, typer.Option(min=100, help="How many there are; a tenth are bots.")] = 1000,
    titles: Annotated[int, typer.Option(min=2, help="How many, of the example catalogue.")] = 40,
    days: Annotated[int, typer.Option(min=2, help="How many; the bots turn on the last.")] = 8,
    attack: Annotated[
        list[str] | None, typer.Option(help="What bots do: flood, look, once, honest (each).")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows here, for machines.")] = None,
) -> None:
    """Measure what bots can make honest members see, with the limits on what one member can teach, and without.

    A tenth of all members push an artwork each: with nine tenths of a day's plays (`flood`), with looks alone
    (`look`), or with one look and one play, which no limit can tell from a member's (`once`). `choices the same`
    is the share of honest members' choices that bots have not changed. `benchmarks/poisoning` describes it all.
    """
    with checkout():
        from benchmarks.poisoning import run
    attacks = [known for known in run.ATTACKS if known in _known(attack or run.ATTACKS, run.ATTACKS, "attack")]
    rows, seeds = [], seed or [1]
    with _watching(len(seeds)) as watch:
        for number in seeds:
            scale = run.Scale(members=members, titles=titles, days=days)
            experiment = run.Experiment(number, scale, watch(f"seed {number}"))
            for limits, settings in run.LIMITS.items():
                rows += experiment.rows(limits, attacks, **settings)
    if json_file is not None:
        run.write_rows(rows, json_file)
    out.print(run.table(rows))


@bench.command("live")
def live(
    seed: Annotated[int, typer.Option(min=0, help="Another one makes other members.")] = 1,
    repetitions: Annotated[int, typer.Option(min=1, help="How often each audience comes.")] = 400,
    impressions: Annotated[int, typer.Option(min=1000, help="How many, each time.")] = 40_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows here, for machines.")] = None,
) -> None:
    """Measure how often live intervals fail while somebody looks at them all the time.

    The share of repetitions in which the truth was outside of an interval at any time (at most 5 % is what is
    promised), and in brackets how wide it was at the end, relative to the textbook's. And how often the split
    among policies is said to be another one. `benchmarks/live.py` describes the audiences and the sequences.
    """
    with checkout():
        from benchmarks import live as measured
    rows = []
    with _watching(len(measured.AUDIENCES)) as watch:
        for audience in measured.AUDIENCES:
            rows += measured.measure(audience, repetitions, impressions, seed, watch(audience.name))
    if json_file is not None:
        _write_rows([row._asdict() for row in rows], json_file)
    out.print(measured.table(rows, f"{repetitions} times {impressions:,} impressions: failed (width)"))
    for lost in measured.LOST:
        share = measured.alarms(repetitions, impressions // 2, seed, lost)
        out.print(
            f"{lost:.0%} of popular's members lost: an alarm in {share:.1%} of the repetitions, "
            f"of {impressions // 2:,} members each",
            highlight=False,
        )


@contextmanager
def checkout() -> Iterator[None]:
    """The benchmarks are not part of what is installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in {"benchmarks", "benchmarks.quality", "benchmarks.poisoning", "benchmarks.speed"}:
            raise
        raise ConfigurationError(
            "keyart bench needs a checkout of Keyart, with its folder benchmarks: install that (pip install -e .)"
        ) from None


def _known(names: Sequence[str], there: Iterable[str], what: str) -> list[str]:
    """These names, each once.

    Raises
    ------
    InputError
        One of them is not there.
    """
    known = list(there)
    for name in names:
        if name not in known:
            raise InputError(f"{name!r} is no {what}: {', '.join(known)}")
    return list(dict.fromkeys(names))


@contextmanager
def _watching(total: int) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Two bars on a terminal, a line each elsewhere: a benchmark takes minutes."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        plays, visits = bars.add_task("policies played", total=total), bars.add_task("", total=None)
        begun = 0

        def begin(label: str) -> Callable[[int, int], None]:
            nonlocal begun
            begun += 1
            bars.update(plays, completed=begun - 1)
            bars.reset(visits, description=label, total=None)
            if not err.is_terminal:
                err.print(f"{begun} of {total}: {label}", markup=False)
            return lambda done, of: bars.update(visits, completed=done, total=of)

        yield begin
