"""Benchmarks of speed: ``keyart bench learn``, ``choose``, ``loop``, ``restore``, ``memory``, ``growth`` …."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumers.commands import err, out
from consumers.commands.bench import checkout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.speed.measure import Report

Rounds = Annotated[int, typer.Option(min=1, help="How often each side is measured, in turn.")]
Features = Annotated[int, typer.Option(min=2, max=64, help="Columns of a model: the bias and a theme each.")]
Artworks = Annotated[int, typer.Option(min=1, max=256, help="Artworks of a title.")]
Titles = Annotated[int, typer.Option(min=1, help="How many there are.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write what was found here, for machines.")]
Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        help="A Kafka cluster to use, open to anybody; its topics are deleted afterwards (one is started: Apache "
        "Kafka where there are Java and Maven, the embedded broker elsewhere).",
    ),
]


def learn(
    records: Annotated[int, typer.Option(min=100, help="How many a round.")] = 100_000,
    rounds: Rounds = 5,
    titles: Titles = 200,
    features: Features = 16,
    json_file: Json = None,
) -> None:
    """Measure how fast it learns: columns beside River and Vowpal Wabbit, raw records beside their decoders.

    A ratio says how many times as fast Keyart is as the line's library. Rates are by processor time of one core,
    so that other work on the machine counts little.
    """
    with checkout():
        from benchmarks.speed import learn as measured
    with _saying() as said:
        report = measured.measure(records, rounds, features, titles, said)
    _show(report, json_file)


def choose(
    pages: Annotated[int, typer.Option(min=10, help="How many a round, each for another member.")] = 2000,
    rounds: Rounds = 5,
    titles: Annotated[int, typer.Option(min=1, help="Titles on a page.")] = 40,
    artworks: Artworks = 9,
    features: Features = 16,
    json_file: Json = None,
) -> None:
    """Measure how long a page of choices takes, propensities included, beside Vowpal Wabbit and River.

    A ratio says how many times as long the line's library takes.
    """
    with checkout():
        from benchmarks.speed import choose as measured
    with _saying() as said:
        report = measured.measure(pages, rounds, titles, artworks, features, said)
    _show(report, json_file)


def loop(
    records: Annotated[int, typer.Option(min=1000, help="Impressions on the topic that is read.")] = 300_000,
    rounds: Rounds = 3,
    rate: Annotated[int, typer.Option(min=10, help="Impressions a second while freshness is measured.")] = 20_000,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long freshness is measured, after 5 s to warm up; 0: not at all.")
    ] = 20.0,
    titles: Titles = 200,
    features: Features = 16,
    bootstrap: Bootstrap = None,
    json_file: Json = None,
) -> None:
    """Measure the loop on Kafka: a learner beside bare kafka-python, and how soon a play tells on choices.

    One learner on one core reads a topic to its end, then the plain client does, in turn: the ratio is the
    learner's part of the client's speed. Then an audience looks and plays at a steady rate, and plays of titles
    that nobody else looks at are timed: from sending each until a choice is made from a snapshot that holds it.
    """
    with checkout():
        from benchmarks.speed import loop as measured
    with _saying() as said:
        report = measured.measure(records, rounds, rate, seconds, titles, features, bootstrap, said)
    _show(report, json_file)


def restore(
    titles: Titles = 10_000,
    rounds: Rounds = 3,
    artworks: Artworks = 9,
    features: Features = 16,
    bootstrap: Bootstrap = None,
    json_file: Json = None,
) -> None:
    """Measure how soon a learner has all its titles back, beside bare kafka-python on the same changelog.

    A ratio says how many times as long the learner takes as reading alone.
    """
    with checkout():
        from benchmarks.speed import restore as measured
    with _saying() as said:
        report = measured.measure(titles, rounds, features, artworks, bootstrap, said)
    _show(report, json_file)


def memory(
    titles: Annotated[
        list[int] | None, typer.Option(min=100, help="How many titles, and members (1000 5000 20000).")
    ] = None,
    artworks: Artworks = 9,
    features: Features = 16,
    json_file: Json = None,
) -> None:
    """Measure what a title costs a learner and a serving node, and what a member costs, in bytes of memory.

    Each number of titles is measured in a fresh process, by the pages that it holds; the smallest also by what was
    asked for.
    """
    with checkout():
        from benchmarks.speed import memory as measured
    with _saying() as said:
        report = measured.measure(titles or (1000, 5000, 20_000), features, artworks, said)
    _show(report, json_file)


def publish(
    titles: Annotated[int, typer.Option(min=1, help="How many have changed.")] = 200,
    rounds: Rounds = 5,
    artworks: Artworks = 9,
    features: Features = 16,
    json_file: Json = None,
) -> None:
    """Measure what it takes to publish all titles, beside a loop that solves artwork after artwork.

    The ratio says how many times as long the loop takes as solving all together. Sizes of snapshots are told too.
    """
    with checkout():
        from benchmarks.speed import publish as measured
    with _saying() as said:
        report = measured.measure(titles, rounds, features, artworks, said)
    _show(report, json_file)


def growth(
    features: Annotated[list[int] | None, typer.Option(min=2, max=64, help="Columns (8 16 32 64).")] = None,
    artworks: Annotated[list[int] | None, typer.Option(min=1, max=256, help="Of a title (3 9 27).")] = None,
    titles: Annotated[list[int] | None, typer.Option(min=1, help="How many (200 2000 20000).")] = None,
    partitions: Annotated[list[int] | None, typer.Option(min=1, help="Of a learner (1 9 36).")] = None,
    records: Annotated[int, typer.Option(min=100, help="Impressions a round.")] = 50_000,
    rounds: Rounds = 3,
    json_file: Json = None,
) -> None:
    """Measure how costs grow with features, artworks, titles and partitions, one at a time.

    Partitions are those of one learner, among which a poll's records are divided.
    """
    with checkout():
        from benchmarks.speed import growth as measured
    with _saying() as said:
        sizes = features or (8, 16, 32, 64), artworks or (3, 9, 27), titles or (200, 2000, 20_000)
        report = measured.measure(*sizes, partitions or (1, 9, 36), records, rounds, said)
    _show(report, json_file)


@contextmanager
def _saying() -> Iterator[Callable[[str], None]]:
    """A line on a terminal that says what is measured now; nothing elsewhere. Only warnings are logged."""
    from benchmarks.speed.workload import settings
    from consumers import logs

    logs.configure(settings(log_level="warning"))
    if not err.is_terminal:
        yield lambda _: None
        return
    with err.status("measuring") as status:
        yield status.update


def _show(report: Report, json_file: Path | None) -> None:
    if json_file is not None:
        report.write(json_file)
    out.print(report.table())


#: In the order of ``keyart bench --help``.
COMMANDS = learn, choose, loop, restore, memory, publish, growth
