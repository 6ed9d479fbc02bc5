"""The commands of ``keyart`` as data, for the tests that hold help texts and the compose file against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from consumers.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group, with the words that name it: ``()`` is ``keyart`` itself."""
    todo: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(app))]
    while todo:
        words, command = todo.pop()
        yield words, command
        todo += [((*words, name), child) for name, child in getattr(command, "commands", {}).items()]


def parse(arguments: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The command that these words run, and what its parameters become.

    Raises
    ------
    typer's own error
        There is no such command, option or argument, or a value does not fit.
    """
    rest, words, known = list(arguments), (), dict(commands())
    while rest and (*words, rest[0]) in known:
        words = (*words, rest.pop(0))
    command = known[words]
    assert not hasattr(command, "commands"), f"keyart {' '.join(arguments)}: no such command"
    return words, command.make_context(" ".join(words), rest).params
