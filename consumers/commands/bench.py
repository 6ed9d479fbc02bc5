"""Benchmarks: they live in a checkout's folder ``benchmarks``, not in the installed package."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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


class _Lists(TyperCommand):
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


@bench.command("quality", cls=_Lists)
def quality(
    world: Annotated[list[str] | None, typer.Option(help="Worlds to choose in (shared).")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Policies to compare (all that say something in the world).")
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
    with _checkout():
        from benchmarks.quality import roster, run
        from benchmarks.quality.table import lines, recoveries, tables
        from benchmarks.quality.worlds import WORLDS
    worlds = _known(world or ["shared"], WORLDS, "world")
    if plot is not None and roster.missing("matplotlib"):
        raise ConfigurationError("--plot needs matplotlib: pip install 'keyart[bench]'")
    asked = None if policy is None else _known(policy, roster.POLICIES, "policy")
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
    for recovery in recoveries(found):
        out.print(str(recovery), highlight=False)
    if plot is not None:
        from benchmarks.quality.plot import plot as draw

        draw(found, plot)


@contextmanager
def _checkout() -> Iterator[None]:
    """The benchmarks are not part of what is installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in {"benchmarks", "benchmarks.quality"}:
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
