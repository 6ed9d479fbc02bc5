"""The ``keyart`` command: parse, build, run, stop. What it runs lives elsewhere.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 65 wrong input (a file, an argument); 69 no Kafka broker;
70 state and offsets contradict each other; 75 a worker gave up; 78 wrong settings or topics.
"""

from __future__ import annotations

import sys

import typer

from consumers.commands import (
    bench,
    bench_evaluation,
    cluster,
    contracts,
    dead_letters,
    doctor,
    err,
    evaluate,
    events,
    explain,
    members,
    speed,
    tune,
    workers,
)
from stream.errors import KeyartError

app = typer.Typer(
    name="keyart",
    help="Learn, in real time, which artwork of a title to show to which member.",
    epilog="Settings come from keyart.toml and from KEYART_ variables: see keyart config.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (
    cluster.topics,
    workers.viewing,
    workers.learner,
    workers.serving,
    events.simulate,
    events.replay,
    events.demo,
    members.forget,
    explain.explain,
    doctor.doctor,
    contracts.contracts,
    cluster.config,
    cluster.metrics,
):
    app.command()(command)
app.command(cls=bench.Lists)(evaluate.evaluate)
app.command(cls=bench.Lists)(tune.tune)
app.add_typer(cluster.catalogue, name="catalogue")
app.add_typer(dead_letters.dead_letters, name="dead-letters")
for command in (*speed.COMMANDS, bench_evaluation.evaluation):
    bench.bench.command(cls=bench.Lists)(command)
app.add_typer(bench.bench, name="bench")


def main() -> None:
    """Run the command; a :class:`KeyartError` is one sentence and an exit code, never a traceback."""
    try:
        app()
    except KeyartError as error:
        err.print(f"keyart: {error}", style="red" if err.is_terminal else None, markup=False)
        sys.exit(error.exit_code)
