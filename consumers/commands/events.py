"""Commands that make events: an audience, a replayed log, and the demo around both."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from consumers.commands import err, out, settings_in_force, stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from producers.audience_report import SimulationReport

JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the summary to a file, for machines.")]


def simulate(
    impressions: Annotated[int | None, typer.Option(min=1, help="End after so many impressions.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long.")] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Impressions a second; 0: as many as this machine can choose.")
    ] = 200.0,
    members: Annotated[int, typer.Option(min=1, help="How many people there are.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed and catalogue make the same people.")] = 1,
    speed: Annotated[float, typer.Option(min=1, help="Event time runs so much faster than the clock.")] = 60.0,
    json_file: JsonFile = None,
) -> None:
    """Let a made-up audience with known tastes look and watch, through the same calls that an app makes.

    It needs the catalogue on its topic, and a viewing worker and a learner to be of any use. Plays come minutes
    after their impressions in event time, out of order, some twice, some malformed, some without an impression.
    At the end it says what it sent, and how much of what choosing can gain was gained. Without --impressions or
    --seconds it goes on until Ctrl-C.
    """
    import json

    from consumers.chooser import ArtworkChooser
    from consumers.serving.metrics import serve_metrics
    from producers.audience import Audience
    from producers.audience_world import World, WorldRules
    from producers.event_clock import EventClock, room_ms
    from producers.events import EventProducer
    from producers.simulate import simulate as run

    settings = settings_in_force()
    stop = threading.Event()
    with ArtworkChooser(settings) as looking:
        looking.wait_ready()
        titles = [looking.titles[title_id] for title_id in sorted(looking.titles)]
    audience = Audience(World(titles, seed, WorldRules(members=members)))
    clock = EventClock.ending_now(
        seconds, speed, audience.longest_ms, most_ms=room_ms(settings.max_behind_days, audience)
    )
    with (
        ArtworkChooser(settings, now_ms=clock.now_ms) as chooser,
        EventProducer(settings, now_ms=clock.now_ms) as events,
        stopping(stop.set),
        progress("impressions", impressions) as watch,
    ):
        chooser.wait_ready()
        if settings.metrics_port:
            serve_metrics(settings, chooser, events)

        def seen(report: SimulationReport) -> None:
            watch(report.impressions, None)

        report = run(
            *(settings, audience, chooser, events, clock),
            impressions=impressions,
            seconds=seconds,
            rate=rate or None,
            stop=stop,
            watch=seen,
        )
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_dict(), indent=2) + "\n")
    out.print(_told(report))


def _told(report: SimulationReport) -> str:
    unasked, repeated = report.organic + report.history, report.repeated_impressions + report.repeated_plays
    lines = [
        f"{report.impressions} impressions, {report.plays} plays of them, {unasked} others",
        f"{report.rewards_expected} rewards to come",
        f"{repeated} records sent twice, {report.malformed} malformed, {report.unqueued} not queued",
    ]
    for policy, tally in report.policies.items():
        if tally.take_rate is not None:
            gain = tally.share_of_gain
            of_gain = "" if gain is None else f", {gain:.2f} of the possible gain"
            lines.append(f"{policy}: {tally.take_rate:.3f} of {tally.impressions} impressions were taken{of_gain}")
    return "\n".join(lines)


def replay(
    file: Annotated[Path | None, typer.Argument(help="JSON lines, may be .gz; - is standard input.")] = None,
    open_bandit: Annotated[
        Path | None, typer.Option(help="A folder of the Open Bandit Dataset: it holds random/ and bts/.")
    ] = None,
    campaign: Annotated[Literal["all", "men", "women"], typer.Option(help="Which of its campaigns.")] = "all",
    behaviour: Annotated[Literal["random", "bts"], typer.Option(help="The policy that was logged.")] = "random",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows of it.")] = None,
    keep_times: Annotated[
        bool, typer.Option("--keep-times", help="Leave times as they are; else the log's last event is now.")
    ] = False,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Put back what died for want of a title that there is by now.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --dead-letters: only say what would be put back.")
    ] = False,
) -> None:
    """Replay a log as events: JSON lines, the Open Bandit Dataset, or dead letters of titles that were unknown.

    A line of JSON is `{"topic": "impressions", "record": {…}}`, likewise for plays and catalogue. Times are moved,
    all by as much, so that the log ends now: workers refuse what is more than max_behind_days old.

    A row of the Open Bandit Dataset becomes an impression (position = title, item = artwork, user features =
    context) and a click a full play; the catalogue it needs is published first. Its learner must be told the
    features: they are printed.
    """
    from consumers.commands.dead_letters import put_back
    from consumers.dead_letters import Selection
    from producers.openbandit import Behaviour, Campaign, replay_open_bandit, survey
    from producers.replay import replay_lines

    if [file is None, open_bandit is None, not dead_letters].count(False) != 1:
        raise typer.BadParameter("give a file of JSON lines, or --open-bandit with a folder, or --dead-letters")
    if dry_run and not dead_letters:
        raise typer.BadParameter("--dry-run is for --dead-letters")
    settings = settings_in_force()
    if dead_letters:
        unknown = Selection(codes=frozenset({"unknown_title", "unknown_artwork"}))
        put_back(settings, unknown, dry_run=dry_run, ask=False)
        return
    if open_bandit is not None:
        log = survey(open_bandit, Campaign(campaign), Behaviour(behaviour), limit)
        if not set(log.features) <= set(settings.features):
            err.print(f"a learner learns from this log only with: {log.feature_setting}", markup=False)
        with progress("records", log.records) as watch:
            delivered = replay_open_bandit(settings, log, keep_times=keep_times, progress=watch)
    elif file is not None:
        with progress("records", None) as watch:
            delivered = replay_lines(settings, file, keep_times=keep_times, progress=watch)
    out.print(
        f"{delivered.catalogue} titles, {delivered.impressions} impressions, {delivered.plays} plays delivered"
    )


def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End after so long; else at Ctrl-C.")] = None,
    json_file: JsonFile = None,
    catalogue: Annotated[Path | None, typer.Option(help="Other titles than deploy/catalogue.json.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed is another audience.")] = 1,
) -> None:
    """Show the whole loop on this machine: a broker, the workers, a serving node, and an audience to learn from.

    Everything runs as it would be deployed, in processes of its own, and is gone at the end.
    """
    from consumers import demo as whole_loop

    stop = threading.Event()
    rules = whole_loop.DemoRules(seed=seed)
    with stopping(stop.set):
        whole_loop.run_demo(
            seconds, json_file, catalogue=catalogue or whole_loop.CATALOGUE, rules=rules, stop=stop
        )


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def watch(done: int, of: int | None) -> None:
            bar.update(task, completed=done, total=total if of is None else of)

        yield watch
