"""``keyart contracts``: what apps and readers in any language may rely on, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consumers.commands import out


def contracts(
    folder: Annotated[Path, typer.Argument(help="Where to; released/ within it holds the last release's.")] = Path(
        "docs/contracts"
    ),
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing: fail if a file is out of date, or a change breaks anybody."),
    ] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Also make the present schemas those that changes are held against.")
    ] = False,
) -> None:
    """Write the contract of the topics: a JSON Schema for each, and an AsyncAPI file.

    They are made from the record types. Changes since the last release that would break a reader or a writer are
    refused by name: a field that goes or becomes required, a type that narrows, a limit that tightens.
    """
    import json
    from importlib.metadata import version

    from stream.contracts import breaks, documents
    from stream.errors import InputError

    made = documents(version("keyart"))
    released = folder / "released"
    schemas = {name: text for name, text in made.items() if name.endswith(".schema.json")}
    try:
        before = {
            path.name: json.loads(path.read_text(encoding="utf-8")) for path in released.glob("*.schema.json")
        }
        stale = [name for name, text in made.items() if not _holds(folder / name, text)]
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: the files there cannot be read ({error})") from error
    found = breaks(_by_topic(before), _by_topic({name: json.loads(text) for name, text in schemas.items()}))
    if found:
        raise InputError("the contract would break: " + "; ".join(found))
    if check:
        if stale:
            raise InputError(f"{folder}: {', '.join(stale)} out of date: run keyart contracts")
        out.print(f"{len(made)} files are as they should be, and nothing is broken", highlight=False)
        return
    for place, texts in ((folder, made), *(((released, schemas),) if release else ())):
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
    out.print(f"{len(made)} files in {folder}", highlight=False, soft_wrap=True)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _by_topic(files: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    return {name.removesuffix(".schema.json"): schema for name, schema in files.items()}
