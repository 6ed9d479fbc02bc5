"""Commands about what is on the cluster, and about the settings: topics, catalogue, config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consumers.commands import out, settings_in_force

catalogue = typer.Typer(no_args_is_help=True, help="The titles and their artworks.")


def topics(
    check: Annotated[bool, typer.Option(help="Only verify; create nothing.")] = False,
    repair: Annotated[bool, typer.Option(help="Also give existing topics the settings they need.")] = False,
    acls: Annotated[
        bool, typer.Option("--acls", help="Only print the kafka-acls commands for what each process needs.")
    ] = False,
) -> None:
    """Create the topics that are missing, and verify the settings of all.

    Topics of one key share one partition count (setting `partitions`); tables are compacted, streams keep records
    for days. Run it before the first worker; running it again does no harm.
    """
    from stream import access
    from stream import topics as graph
    from stream.kafka import Admin

    settings = settings_in_force()
    if acls:
        for command in access.commands(settings):
            out.print(command, markup=False, highlight=False, soft_wrap=True)
        return
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


@catalogue.command("load")
def load(
    file: Annotated[Path, typer.Argument(help="A JSON array of titles; deploy/catalogue.json is an example.")],
) -> None:
    """Publish a catalogue file. Titles that it does not name stay as they are."""
    from producers.catalogue import load_catalogue, publish_catalogue

    settings = settings_in_force()
    titles = load_catalogue(file)
    publish_catalogue(settings, titles)
    out.print(f"{len(titles)} titles, {sum(len(title.artworks) for title in titles)} artworks published")


@catalogue.command("withdraw")
def withdraw(title_ids: Annotated[list[str], typer.Argument(help="Titles to withdraw.")]) -> None:
    """Withdraw titles: serving nodes stop showing them; what was learned of them is kept."""
    from producers.catalogue import withdraw

    withdraw(settings_in_force(), title_ids)
    out.print(f"{len(title_ids)} titles withdrawn")


def config(
    page: Annotated[
        bool, typer.Option("--page", help="Print every setting with its default and bounds, as Markdown.")
    ] = False,
) -> None:
    """Print the settings in force, secrets masked, as a keyart.toml."""
    from consumers import settings_page
    from stream.settings import describe

    if page:
        out.print(settings_page.page(), markup=False, highlight=False, soft_wrap=True, end="")
        return
    out.print(describe(settings_in_force()), markup=False, highlight=False, soft_wrap=True)


def metrics() -> None:
    """Print every metric that a process can tell, with its labels and what it means, as Markdown."""
    from consumers.metrics_page import page

    out.print(page(), markup=False, highlight=False, soft_wrap=True, end="")
