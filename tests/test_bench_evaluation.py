"""``keyart bench evaluation``: what it prints and writes down."""

from __future__ import annotations

import json
import sys

import pytest

from consumers import cli


@pytest.fixture
def keyart(tmp_path, monkeypatch, capsys):
    """Runs the benchmark in an empty folder; returns its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["keyart", "bench", "evaluation", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_rows_and_tables(keyart, tmp_path):
    """A table for each part that was asked for, and its rows for machines."""
    small = ("--runs", "1", "--repetitions", "2", "--members", "50", "--impressions", "1000", "--rows", "2000")
    code, said, _ = keyart("--part", "coverage", "ranking", "tune", "speed", *small, "--json", "rows.json")
    assert code == 0
    found = json.loads((tmp_path / "rows.json").read_text())
    assert found.keys() == {"coverage", "ranking", "tune", "speed"}
    assert len(found["coverage"]) == 22
    assert [row["policy"] for row in found["ranking"]][-1] == "ours"
    assert found["speed"][0]["rows"] == 2000
    assert found["speed"][0]["peak_bytes"] > 1e8
    assert "2 logs of either kind, 50 members each" in said
    covered = [row["covered"] for row in found["coverage"]]
    assert f"{sum(part < 0.93 or part > 0.97 for part in covered)} of 22 lie outside of 93 to 97 %" in said
    assert "2,000 rows" in said


def test_what_is_no_part(keyart):
    """It says which there are."""
    code, _, complaint = keyart("--part", "everything")
    assert code == 65
    assert "coverage, ranking, lies, tune, speed" in complaint
