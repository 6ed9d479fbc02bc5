"""The command that tries other settings on what was logged."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from consumers.commands import out, settings_in_force
from consumers.commands.evaluate import bars, source_of, wanted_of


def tune(
    topics: Annotated[bool, typer.Option("--topics", help="Read the topics: impressions and rewards.")] = False,
    log: Annotated[
        list[Path] | None, typer.Option(help="Read files of JSON lines: impressions, rewards, the catalogue.")
    ] = None,
    trial: Annotated[
        list[str] | None,
        typer.Option(
            "--try", help="Settings to try, each by itself: exploration=0.3, or a=1;b=2 for two at once."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only impressions of these policies: explore, popular, personal (these three), app."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only impressions shown since: 12h or 7d ago, or 2026-01-31T18:00.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only impressions shown before that time.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples: the same gives the same.")] = 0,
) -> None:
    """Try other settings on what was logged, and recommend one only if it is better for sure.

    Today's settings and every trial are valued as `keyart evaluate` does, doubly robust, on the same impressions.
    A trial is recommended if both its mean and the lower end of its interval beat today's, with 95 % confidence in
    all trials at once. The change to keyart.toml is printed, and never made.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    from consumers.evaluation.lineup import parse_changes
    from consumers.evaluation.table import findings
    from consumers.evaluation.tuning import TRIALS
    from consumers.evaluation.tuning import tune as run

    if topics == (log is not None):
        raise typer.BadParameter("give one of --topics, --log with files")
    trials = [parse_changes(one.split(";")) for one in trial or ()] or TRIALS
    settings = settings_in_force()
    with ExitStack() as stack:
        source = source_of(stack, settings, topics=topics, files=log, open_bandit=(None, "all", "random"))
        found = run(
            *(source, settings, trials), wanted=wanted_of(since, until, only), seed=seed, progress=bars(stack)
        )
    shown = Table(box=SIMPLE, pad_edge=False)
    shown.add_column("settings", no_wrap=True)
    for name in ("mean reward", "more than today", "worth"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_row("today's", f"{found.today:.4f}", "", "")
    for one in found.trials:
        more = one.difference
        shown.add_row(
            ", ".join(f"{name}={value}" for name, value in one.settings.items()),
            f"{one.value:.4f}",
            f"{more.value:+.4f} [{more.low:+.4f}, {more.high:+.4f}]",
            f"{one.effective_samples:,.0f}",
            style="green" if one.better else "",
        )
    out.print(shown)
    for text in findings(found):
        out.print(text, soft_wrap=True)
    out.print()
    if found.recommended is None:
        out.print("Stay with today's settings: none of these is better for sure.")
        return
    out.print("Better for sure. In keyart.toml, if you agree:\n")
    out.print(found.toml, markup=False, highlight=False, soft_wrap=True)
