"""``keyart bench``: what it prints and writes down, and what several seeds say together."""

import json
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import pytest
from rich.console import Console

from benchmarks.quality import roster
from benchmarks.quality.run import Row
from benchmarks.quality.table import Estimate, lines, recoveries, recovery_table, tables
from consumers import cli


def printed(table):
    """What a table looks like."""
    console = Console(width=120)
    with console.capture() as said:
        console.print(table)
    return said.get()


class TestCommand:
    """``keyart bench``."""

    @pytest.fixture
    def keyart_bench(self, monkeypatch, capsys):
        """Runs a benchmark; what it printed, and what it complained of."""
        monkeypatch.setenv("COLUMNS", "100")

        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["keyart", "bench", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            return int(ended.value.code or 0), *capsys.readouterr()

        return run

    @pytest.fixture
    def keyart(self, keyart_bench):
        """Likewise ``keyart bench quality``."""
        return partial(keyart_bench, "quality")

    def test_rows_and_curves(self, keyart, tmp_path):
        """Options take several values; the file holds a row for each world, seed, policy and mark."""
        rows_file, curves = tmp_path / "rows.json", tmp_path / "curves.png"
        code, table, _ = keyart(
            *("--world", "shared", "null", "--seed", "1", "2", "--policy", "oracle", "--policy", "thompson"),
            *("--impressions", "2000", "--json", str(rows_file)),
            *(("--plot", str(curves)) if find_spec("matplotlib") else ()),
        )
        assert code == 0
        rows = json.loads(rows_file.read_text())
        assert {(row["world"], row["seed"], row["policy"], row["impressions"]) for row in rows} == {
            (world, seed, policy, mark)
            for world in ("shared", "null")
            for seed in (1, 2)
            for policy in ("oracle", "thompson")
            for mark in (1000, 2000)
        }
        assert all({"take_rate", "share", "share_now"} <= row.keys() for row in rows)
        assert "shared, 2,000 impressions, 2 seeds" in table
        assert "1.000 ± 0.000" in table
        if find_spec("matplotlib"):
            assert curves.read_bytes().startswith(b"\x89PNG")

    def test_values_from_logs(self, keyart_bench, tmp_path):
        """``keyart bench ips``: a row for each log and policy."""
        rows_file = tmp_path / "rows.json"
        code, table, _ = keyart_bench(
            *("ips", "--seed", "1", "--learn", "1000", "--keep", "1000", "--json", str(rows_file))
        )
        assert code == 0
        assert "seeds 1: 1,000 impressions each, after 1,000" in table
        assert len(json.loads(rows_file.read_text())) == 12

    def test_flicker(self, keyart_bench, monkeypatch, tmp_path):
        """``keyart bench flicker``: a row for each seed, kind of week and number of looks a day."""
        monkeypatch.setattr("benchmarks.flicker.PANEL", 5)
        rows_file = tmp_path / "rows.json"
        small = ("--weeks", "2", "--old", "1", "--new", "1", "--a-day", "10")
        code, table, _ = keyart_bench("flicker", "--seed", "1", "2", *small, "--json", str(rows_file))
        assert code == 0
        assert "seed 2: 1 + 1 titles" in table
        found = json.loads(rows_file.read_text())
        assert len(found) == 16
        assert {(row["seed"], row["looks_a_day"]) for row in found} == {(1, 1), (1, 4), (2, 1), (2, 4)}
        assert all(row["changed_again"] == 0 for row in found if row["week"] == "fixed evidence")

    def test_live(self, keyart_bench, tmp_path):
        """``keyart bench live``: a row for each audience, target and sequence, and how often there is an alarm."""
        rows_file = tmp_path / "rows.json"
        code, printed, _ = keyart_bench(
            *("live", "--repetitions", "2", "--impressions", "2000", "--json", str(rows_file))
        )
        assert code == 0
        assert "2 times 2,000 impressions" in printed
        assert "30% of popular's members lost: an alarm in" in printed
        found = json.loads(rows_file.read_text())
        assert len(found) == 4 * 3 * 4
        assert {row["sequence"] for row in found} == {"naive", "asymptotic", "independent", "keyart"}
        assert all(0 <= row["failed"] <= 1 for row in found)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [(["--world", "flat"], "'flat' is no world: shared, "), (["--policy", "best"], "'best' is no policy: ")],
    )
    def test_what_there_is_not(self, arguments, said, keyart):
        """One sentence that names what there is."""
        code, _, complaint = keyart(*arguments)
        assert (code, complaint.count("\n")) == (65, 1)
        assert said in complaint

    def test_a_peer_that_is_not_installed_is_left_out_aloud(self, keyart, monkeypatch):
        """A line names it and the extra that brings it."""
        monkeypatch.setattr(roster, "missing", lambda library: library == "mabwiser")
        code, table, said = keyart("--policy", "uniform", "mabwiser-lints", "--seed", "1", "--impressions", "1000")
        assert code == 0
        assert "left out without mabwiser (pip install 'keyart[bench]'): mabwiser-lints" in said
        assert "uniform" in table
        assert "lints" not in table

    def test_curves_without_the_library(self, keyart, monkeypatch):
        """It says so before it works for minutes."""
        monkeypatch.setattr(roster, "missing", lambda library: True)
        code, _, complaint = keyart("--plot", "curves.png")
        assert code == 78
        assert "keyart[bench]" in complaint

    def test_without_a_checkout(self, keyart, monkeypatch):
        """The benchmarks are not installed: one sentence says what to do."""
        monkeypatch.setitem(sys.modules, "benchmarks", None)
        monkeypatch.setitem(sys.modules, "benchmarks.quality", None)
        code, _, complaint = keyart()
        assert code == 78
        assert "needs a checkout" in complaint
        assert "Traceback" not in complaint


class TestTable:
    """What several seeds say together."""

    def test_interval(self):
        """Student's t: of 1, 2, 3 the mean is 2, and half the 95 % interval 4.303 / sqrt(3)."""
        estimate = Estimate.of([1.0, 2.0, 3.0])
        assert estimate.mean == 2.0
        assert estimate.half == pytest.approx(4.302653 / 3**0.5)
        assert Estimate.of([1.0, None]) is None

    def test_best_peer(self):
        """Shares are relative to the best peer that is not told the tags, and to the best one that is."""
        shares = {"ours": 0.8, "thompson": 0.1, "river-linucb": 0.2, "vw-bag-tags": 0.4}
        found = lines(Row("shared", 1, policy, 1000, 0.1, share, share) for policy, share in shares.items())
        by_policy = {line.policy: line for line in found}
        assert by_policy["ours"].of_peers.mean == pytest.approx(4.0)
        assert by_policy["ours"].of_tagged.mean == pytest.approx(2.0)
        assert len(tables(found)) == 1

    def test_ratios_are_taken_seed_by_seed(self):
        """One world holds twice as much to be had as the other; to get half more in both is certain."""
        got = {"ours": (0.3, 0.6), "vw-bag-tags": (0.2, 0.4), "vw-regcb-tags": (0.1, 0.1)}
        found = lines(
            Row("shared", seed, policy, 1000, 0.1, share, share)
            for policy, shares in got.items()
            for seed, share in enumerate(shares)
        )
        assert str(found[0].share) == "0.450 ± 1.906"
        assert found[0].of_tagged.short == "1.50 ± 0.00"
        assert found[0].of_peers is None

    def test_recovery(self):
        """Before the turn, right after it, and one half-life later."""
        now = [0.1] * 9 + [0.8, 0.3, 0.5, 0.6, 0.72] + [0.9] * 6
        rows = [Row("drift", 1, "ours", 10 * i, 0.1, 0.5, share) for i, share in enumerate(now, 1)]
        other = [replace(row, seed=2, share_now=row.share_now / 2) for row in rows]
        (found,) = recoveries(rows + other)
        assert [str(part) for part in (found.before, found.after, found.later)] == [
            "0.600 ± 2.541",
            "0.225 ± 0.953",
            "0.540 ± 2.287",
        ]
        assert found.recovered.mean == pytest.approx(0.9)
        assert found.recovered.half == pytest.approx(0.0, abs=1e-9)
        assert recoveries(rows[:19]) == []
        assert "0.540" in printed(recovery_table([found]))
