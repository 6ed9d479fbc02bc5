"""Commands about members: forgetting them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from consumers.commands import out, settings_in_force


def forget(
    member_ids: Annotated[
        list[str], typer.Argument(metavar="MEMBER...", help="Their ids; - reads them from standard input.")
    ],
) -> None:
    """Forget members: their taste, and what their plays have earned.

    The viewing worker that has them drops them, and every serving node forgets their taste within seconds. What
    learners have learned holds no member, and stays. Impressions, plays and dead letters keep their ids until
    retention takes them. Send nothing more of a member before you ask: a play that comes, or is repeated, after
    that begins a new one, and is credited anew.
    """
    from producers.members import forget
    from stream.errors import InputError
    from stream.topics import DEAD_LETTERS, IMPRESSIONS, PLAYS

    if member_ids == ["-"]:
        member_ids = [line for line in sys.stdin.read().splitlines() if line]
        if not member_ids:
            raise InputError("there are no ids on standard input")
    settings = settings_in_force()
    forget(settings, member_ids)
    day_ms = 24 * 60 * 60 * 1000
    days = {topic.name: (topic.retention_ms or 0) // day_ms for topic in (IMPRESSIONS, PLAYS, DEAD_LETTERS)}
    out.print(
        f"asked for {len(member_ids)} to be forgotten; a viewing worker does so as it reads on. Ids stay on "
        + ", ".join(f"{name} for {count} days" for name, count in days.items())
        + ", unless your topics are set otherwise",
        soft_wrap=True,
        highlight=False,
    )
