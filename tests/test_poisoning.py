"""Bots among the members: honest choices stay with the limits on what one member can teach, and not without."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from benchmarks.poisoning.run import LIMITS, Experiment, Scale, table, write_rows


@pytest.fixture(scope="module")
def rows():
    """A small audience's last day with a flood of plays; ``keyart bench poisoning`` has a large one."""
    experiment = Experiment(1, Scale(members=150, titles=6, looks=24, days=4))
    return {name: experiment.rows(name, ["flood"], **LIMITS[name])[0] for name in ("none", "default")}


def test_with_the_limits_honest_choices_stay(rows):
    """A tenth of the members send nine tenths of the plays: 95 % of honest members' choices are the same."""
    row = rows["default"]
    assert row.share_of_plays == pytest.approx(0.9, abs=0.01)
    assert row.same >= 0.95
    assert row.pushed < row.pushed_before + 0.01
    assert row.reward < 1


def test_without_them_they_do_not(rows):
    """The same bots have what they push shown to twice as many."""
    row = rows["none"]
    assert row.share_of_plays == rows["default"].share_of_plays
    assert row.same < 0.8
    assert row.pushed > 2 * row.pushed_before
    assert row.impressions >= row.reward > 100


def test_rows_are_written_and_shown(rows, tmp_path):
    """For machines as they are, for people as shares."""
    file = tmp_path / "rows.json"
    write_rows(list(rows.values()), file)
    written = json.loads(file.read_text())
    assert [row["limits"] for row in written] == ["none", "default"]
    assert written[1]["same"] == rows["default"].same
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table(list(rows.values())))
    assert f"{rows['default'].same:.1%}" in capture.get()
