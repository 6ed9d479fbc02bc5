"""Commands that run for as long as they are let: the workers and the serving node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumers.commands import err, out, settings_in_force, stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.running.job import Job
    from stream.running.worker import Worker

UntilDrained = Annotated[
    bool, typer.Option("--until-drained", help="End when everything on the inputs now is learned and committed.")
]
ReadyFile = Annotated[
    Path | None, typer.Option(help="Create this file once the worker owns its partitions and is restored.")
]


def _run(make_job: Callable[..., Job], *, until_drained: bool, ready_file: Path | None) -> None:
    import threading

    from prometheus_client import CollectorRegistry

    from consumers.catalogue_view import CatalogueView
    from stream import health, metrics
    from stream.running.worker import Worker

    settings = settings_in_force()
    registry = CollectorRegistry()
    counted = metrics.WorkerMetrics(registry)
    worker = Worker(settings, make_job(settings, CatalogueView(), counted), counted)
    if settings.metrics_port:
        metrics.tell_process(registry)
        health.serve(
            *(registry, settings.metrics_host, settings.metrics_port),
            live=lambda: worker.pulse.beats,
            ready=worker.ready.is_set,
        )
    if ready_file is not None:
        threading.Thread(target=_touch_when_ready, args=(worker, ready_file), daemon=True).start()
    with stopping(worker.stop):
        counts = worker.run(until_drained=until_drained)
    err.print(
        f"{counts.records} records read, {counts.checkpoints} checkpoints, {counts.published} snapshots published"
    )


def _touch_when_ready(worker: Worker, ready_file: Path) -> None:
    worker.ready.wait()
    ready_file.touch()


def viewing(until_drained: UntilDrained = False, ready_file: ReadyFile = None) -> None:
    """Run a viewing worker: plays in, rewards and tastes out.

    Start as many as there are partitions at most; Kafka divides the members among them. SIGTERM commits and
    leaves.
    """
    from consumers.viewing import viewing_job

    _run(viewing_job, until_drained=until_drained, ready_file=ready_file)


def learner(until_drained: UntilDrained = False, ready_file: ReadyFile = None) -> None:
    """Run a learner: impressions and rewards in, one model per artwork, snapshots out.

    Start as many as there are partitions at most; Kafka divides the titles among them. SIGTERM commits and
    leaves.
    """
    from consumers.learner import learner_job

    _run(learner_job, until_drained=until_drained, ready_file=ready_file)


def serving() -> None:
    """Run a serving node: choose artwork over HTTP, and take in impressions and plays.

    `POST /choose`, `/impressions`, `/plays`; `GET /livez /readyz /metrics` and a page for people at `/`. A node
    keeps everything it needs in memory: start as many as the traffic asks for.
    """
    from consumers import serving as node

    settings = settings_in_force()
    node.run(settings, announce=lambda url: out.print(f"serving on {url}", highlight=False))
