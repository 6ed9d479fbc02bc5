"""The command that says what policies would have earned."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from consumers.commands import err, out, settings_in_force
from stream.errors import InputError, KeyartError

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.evaluation.source import Progress as Watch
    from consumers.evaluation.source import Source, Wanted
    from stream.settings import Settings


class NotToBeBelieved(KeyartError):
    """A check has found something, and ``--strict`` was given."""


def evaluate(
    topics: Annotated[bool, typer.Option("--topics", help="Read the topics: impressions and rewards.")] = False,
    log: Annotated[
        list[Path] | None, typer.Option(help="Read files of JSON lines: impressions, rewards, the catalogue.")
    ] = None,
    open_bandit: Annotated[
        Path | None, typer.Option(help="Read the Open Bandit Dataset: the folder that holds random/ and bts/.")
    ] = None,
    behaviour: Annotated[
        Literal["random", "bts"], typer.Option(help="Of it: the policy that was logged.")
    ] = "random",
    campaign: Annotated[Literal["all", "men", "women"], typer.Option(help="Of it: which campaign.")] = "all",
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="Policies to value: logged, uniform, best, thompson, ours (all), or your.module.function."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Also value ours with a setting changed: exploration=0.1.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only impressions of these policies: explore, popular, personal (these three), app."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only impressions shown since: 12h or 7d ago, or a time as 2026-01-31T18:00."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only impressions shown before that time.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws and resamples: the same gives the same.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a row for each estimate, for machines.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report: one HTML file to send round.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if any check finds anything.")] = False,
) -> None:
    """Say what policies would have earned, from a log of what was shown, with confidence intervals.

    Every impression is judged by what a policy had learned before it. Estimates are doubly robust, switch-DR,
    SNIPS, IPS, replay and the direct method; `worth` is the effective sample size. Checks say when not to believe
    them: propensities that are missing or another artwork's, too little overlap, rewards still to come, bots, a
    split that is off, duplicates, the future in the contexts. `docs/evaluation.md` has the details.
    """
    import json

    from consumers.evaluation.lineup import parse_changes
    from consumers.evaluation.run import evaluate as run
    from consumers.evaluation.table import findings, summary, table

    if [topics, log is not None, open_bandit is not None].count(True) != 1:
        raise typer.BadParameter("give one of --topics, --log with files, --open-bandit with a folder")
    changes = parse_changes(set_ or [])
    settings = settings_in_force()
    wanted = wanted_of(since, until, only)
    with ExitStack() as stack:
        source = source_of(
            stack, settings, topics=topics, files=log, open_bandit=(open_bandit, campaign, behaviour)
        )
        found = run(
            *(source, settings, policy or (), changes),
            wanted=wanted,
            seed=seed,
            progress=bars(stack),
        )
    out.print(table(found))
    for line in summary(found):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print()
    for text in findings(found):
        out.print(text, soft_wrap=True)
    if json_file is not None:
        _write(json_file, json.dumps(found.as_rows(), indent=2) + "\n")
    if report is not None:
        from consumers.evaluation.report import page

        _write(report, page(found, source.name))
    if strict and found.findings:
        names = ", ".join(dict.fromkeys(finding.check for finding in found.findings))
        raise NotToBeBelieved(f"not to be believed as it stands: {names}")


def wanted_of(since: str | None, until: str | None, only: list[str] | None) -> Wanted:
    """Which impressions are meant.

    Raises
    ------
    InputError
        A time or a policy is none.
    """
    from consumers.dead_letters.since import since_ms
    from consumers.evaluation.source import Wanted
    from stream.evaluation.log import POLICIES
    from stream.reading.event_time import wall_clock_ms

    for name in only or ():
        if name not in POLICIES:
            raise InputError(f"--only {name}: no policy of a log: {', '.join(POLICIES)}")
    times = {"since": 0, "until": 1 << 62}
    for option, given in (("since", since), ("until", until)):
        if given is not None:
            try:
                times[option] = since_ms(given, wall_clock_ms())
            except ValueError:
                raise InputError(f"--{option} {given}: no time; give 12h, 7d or 2026-01-31T18:00") from None
    # What the app chooses by itself has no chances that anybody knows.
    return Wanted(times["since"], times["until"], tuple(only or [name for name in POLICIES if name != "app"]))


def source_of(
    stack: ExitStack,
    settings: Settings,
    *,
    topics: bool,
    files: list[Path] | None,
    open_bandit: tuple[Path | None, str, str],
) -> Source:
    """The log that was asked for."""
    from consumers.evaluation.files import Files
    from consumers.evaluation.openbandit import OpenBandit
    from producers.openbandit import Behaviour, Campaign, survey

    if topics:
        from consumers.evaluation.topics import Topics

        return stack.enter_context(Topics(settings))
    if files is not None:
        return Files(files, settings)
    folder, campaign, behaviour = open_bandit
    return OpenBandit(survey(folder or Path(), Campaign(campaign), Behaviour(behaviour)), settings)


def bars(stack: ExitStack) -> Callable[[str], Watch]:
    """A bar on a terminal for each pass through the log, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = stack.enter_context(Progress(*columns, console=err, transient=True, disable=not err.is_terminal))

    def begin(what: str) -> Watch:
        task = shown.add_task(what, total=None)
        return lambda done, total: shown.update(task, completed=done, total=total)

    return begin


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
