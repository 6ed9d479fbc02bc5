"""The ``keyart`` command: parse, build, run, stop. What it runs lives elsewhere.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 65 wrong input (a file, an argument); 69 no Kafka broker;
70 state and offsets contradict each other; 75 a worker gave up; 78 wrong settings or topics.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.errors import KeyartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.job import Job
    from stream.settings import Settings
    from stream.worker import Worker

app = typer.Typer(
    name="keyart",
    help="Learn, in real time, which artwork of a title to show to which member.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
catalogue_app = typer.Typer(no_args_is_help=True, help="The titles and their artworks.")
app.add_typer(catalogue_app, name="catalogue")

out = Console()
err = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command; a :class:`KeyartError` is one sentence and an exit code, never a traceback."""
    try:
        app()
    except KeyartError as error:
        err.print(f"keyart: {error}", style="red" if err.is_terminal else None, markup=False)
        sys.exit(error.exit_code)


def _settings() -> Settings:
    from consumers import logs
    from stream.settings import load

    settings = load()
    logs.configure(settings)
    return settings


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask for a clean end."""

    def asked(_signal: int, _frame: object) -> None:
        stop()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- the cluster


@app.command()
def topics(
    check: Annotated[bool, typer.Option(help="Only verify; create nothing.")] = False,
    repair: Annotated[bool, typer.Option(help="Also give existing topics the settings they need.")] = False,
) -> None:
    """Create the topics that are missing, and verify the settings of all.

    Topics of one key share one partition count (setting `partitions`); tables are compacted, streams keep records
    for days. Run it before the first worker; running it again does no harm.
    """
    from stream import topics as graph
    from stream.kafka import Admin

    settings = _settings()
    with Admin(settings) as admin:
        created = [] if check else admin.create()
        if repair:
            admin.repair()
        counts = admin.verify()
    table = Table("topic", "key", "kind", "partitions", "written by", "read by", "", box=None)
    for topic in graph.ALL:
        table.add_row(
            topic.full_name(settings.topic_prefix),
            topic.key.value,
            topic.kind.name.lower(),
            str(counts[topic.name]),
            ", ".join(topic.written_by),
            ", ".join(topic.read_by),
            "created" if topic in created else "",
        )
    out.print(table)


# --- workers


def _run_worker(make_job: Callable[..., Job], *, until_drained: bool, ready_file: Path | None) -> None:
    import threading

    from prometheus_client import CollectorRegistry

    from consumers.catalogue_view import CatalogueView
    from stream import metrics
    from stream.worker import Worker

    settings = _settings()
    registry = CollectorRegistry()
    counted = metrics.WorkerMetrics(registry)
    if settings.metrics_port:
        metrics.serve(registry, settings.metrics_host, settings.metrics_port)
    worker = Worker(settings, make_job(settings, CatalogueView(), counted), counted)
    if ready_file is not None:
        threading.Thread(target=_touch_when_ready, args=(worker, ready_file), daemon=True).start()
    with _stopping(worker.stop):
        counts = worker.run(until_drained=until_drained)
    err.print(
        f"{counts.records} records read, {counts.checkpoints} checkpoints, {counts.published} snapshots published"
    )


def _touch_when_ready(worker: Worker, ready_file: Path) -> None:
    worker.ready.wait()
    ready_file.touch()


UntilDrained = Annotated[
    bool, typer.Option("--until-drained", help="End when everything on the inputs now is learned and committed.")
]
ReadyFile = Annotated[
    Path | None, typer.Option(help="Create this file once the worker owns its partitions and is restored.")
]


@app.command()
def viewing(until_drained: UntilDrained = False, ready_file: ReadyFile = None) -> None:
    """Run a viewing worker: plays in, rewards and tastes out.

    Start as many as there are partitions at most; Kafka divides the members among them. SIGTERM commits and
    leaves.
    """
    from consumers.viewing import viewing_job

    _run_worker(viewing_job, until_drained=until_drained, ready_file=ready_file)


@app.command()
def learner(until_drained: UntilDrained = False, ready_file: ReadyFile = None) -> None:
    """Run a learner: impressions and rewards in, one model per artwork, snapshots out.

    Start as many as there are partitions at most; Kafka divides the titles among them. SIGTERM commits and
    leaves.
    """
    from consumers.learner import learner_job

    _run_worker(learner_job, until_drained=until_drained, ready_file=ready_file)


@app.command()
def serving() -> None:
    """Run a serving node: choose artwork over HTTP, and take in impressions and plays.

    `POST /choose`, `/impressions`, `/plays`; `GET /livez /readyz /metrics` and a page for people at `/`. A node
    keeps everything it needs in memory: start as many as the traffic asks for.
    """
    from consumers import serving as node

    settings = _settings()
    node.run(settings, announce=lambda url: out.print(f"serving on {url}", highlight=False))


# --- the catalogue


@catalogue_app.command("load")
def catalogue_load(
    file: Annotated[Path, typer.Argument(help="A JSON array of titles; deploy/catalogue.json is an example.")],
) -> None:
    """Publish a catalogue file. Titles that it does not name stay as they are."""
    from producers.catalogue import load_catalogue, publish_catalogue

    settings = _settings()
    titles = load_catalogue(file)
    publish_catalogue(settings, titles)
    out.print(f"{len(titles)} titles, {sum(len(title.artworks) for title in titles)} artworks published")


@catalogue_app.command("withdraw")
def catalogue_withdraw(title_ids: Annotated[list[str], typer.Argument(help="Titles to withdraw.")]) -> None:
    """Withdraw titles: serving nodes stop showing them; what was learned of them is kept."""
    from producers.catalogue import withdraw

    withdraw(_settings(), title_ids)
    out.print(f"{len(title_ids)} titles withdrawn")


# --- settings


@app.command()
def config() -> None:
    """Print the settings in force, secrets masked, as a keyart.toml."""
    from stream.settings import describe

    out.print(describe(_settings()), markup=False, highlight=False, soft_wrap=True)
