"""Asking for members to be forgotten: what is refused before anything is asked for."""

from __future__ import annotations

import pytest
from builders import some_settings
from typer.testing import CliRunner

from consumers.cli import app
from producers.members import forget
from stream.errors import InputError


@pytest.mark.parametrize("bad", ["", "x" * 129, "\x00position", "new\nline"])
def test_what_is_no_id_is_refused_by_its_place(bad: str) -> None:
    """A control character could name a key of the worker's own; no id is repeated, and nothing is written."""
    with pytest.raises(InputError, match=r"^number 2 is no member's id") as caught:
        forget(some_settings(bootstrap_servers="127.0.0.1:1"), ["ann", bad])
    assert not bad or bad not in str(caught.value)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_ids_come_from_standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """One a line, empty lines aside; none at all is a mistake."""
    asked: list[list[str]] = []
    monkeypatch.setattr("producers.members.forget", lambda _, ids: asked.append(list(ids)))
    said = CliRunner().invoke(app, ["forget", "-"], input=f"ann\n{text}a member\n")
    assert (said.exit_code, asked) == (0, [["ann", "a member"]])
    assert "asked for 2 to be forgotten" in said.output
    assert "ann" not in said.output
    assert isinstance(CliRunner().invoke(app, ["forget", "-"], input=text).exception, InputError)
