"""``keyart explain``: why an artwork is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consumers.commands import out, settings_in_force


def explain(
    title_id: Annotated[str, typer.Argument(metavar="TITLE", help="Its id.")],
    member: Annotated[str | None, typer.Option(help="Explain what this member gets.")] = None,
    canvas: Annotated[str | None, typer.Option(help="Leave out artwork that is made for another canvas.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Hold the others against this artwork, not against each other.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write everything to a file, for machines.")
    ] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", help="Also draw it.")] = None,
) -> None:
    """Say which artwork of a title is chosen, why, how sure that is, and since when.

    For a member: what each theme of the member's taste, and the people whom artwork shows, do for the artwork of
    which most is expected, against the others; and the same by the catalogue's tags alone, before anything was
    learned of the title. Without one: which artwork each theme speaks for. Everything is read from the topics.
    """
    import time

    import msgspec

    from consumers.chooser.contexts import check_id
    from consumers.explaining import ask, picture, report, told
    from stream.errors import InputError

    if against is not None and member is None:
        raise typer.BadParameter("--against is for --member")
    try:
        for name, value in (("TITLE", title_id), ("--member", member), ("--canvas", canvas)):
            if value is not None:
                check_id(name, value)
    except ValueError as error:
        raise InputError(str(error)) from None
    settings = settings_in_force()
    question = ask(settings, title_id, member)
    found = report(question, settings, time.time_ns() // 1_000_000, canvas=canvas, against=against)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    if svg_file is not None:
        svg_file.write_text(picture(found), encoding="utf-8")
    out.print(told(found), highlight=False)
