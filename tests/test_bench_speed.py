"""Benchmarks of speed that need no broker: what is measured is right, and so are the ratios."""

from __future__ import annotations

import json
import sys
from statistics import median

import pytest
from rich.console import Console

from benchmarks.speed import choose, filled, growth, learn, memory, publish, raw, vw
from benchmarks.speed.measure import Bar, Report, Row, alternate, ratio
from benchmarks.speed.workload import Workload
from consumers import cli


def printed(report: Report) -> str:
    """What the table looks like."""
    console = Console(width=200)
    with console.capture() as said:
        console.print(report.table())
    return said.get()


def row_of(report: Report, begins: str) -> Row:
    """The only row whose name begins so."""
    (found,) = [row for row in report.rows if row.what.startswith(begins)]
    return found


@pytest.fixture(scope="module")
def learned() -> Report:
    """A small ``keyart bench learn``."""
    return learn.measure(records=2000, rounds=1, titles=5)


@pytest.fixture(scope="module")
def chosen() -> Report:
    """A small ``keyart bench choose``."""
    return choose.measure(pages=20, rounds=1, titles=3, artworks=4)


class TestMeasuring:
    """What all of them share."""

    def test_sides_take_turns(self):
        """Every other round begins at the other end, so that neither side always has the machine first."""
        turns = []

        def side(name):
            return lambda: turns.append(name) or float(len(turns))

        found = alternate({"a": side("a"), "b": side("b"), "c": side("c")}, 3)
        assert "".join(turns) == "abccbaabc"
        assert found == {"a": [1.0, 6.0, 7.0], "b": [2.0, 5.0, 8.0], "c": [3.0, 4.0, 9.0]}

    def test_a_ratio_is_taken_round_by_round(self):
        """A machine that is slow for a round is slow for both: the ratio stays, though the medians move apart."""
        ours, theirs = [10.0, 1.0, 10.0, 1.0], [1.0, 0.1, 1.0, 0.1]
        assert ratio(ours, theirs) == 10.0
        assert ratio([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == 3.0

    @pytest.mark.parametrize(
        ("bar", "good", "bad"), [(Bar(20.0), (20.0, 21.0), (19.9,)), (Bar(0.6, below=True), (0.5,), (0.6, 1.0))]
    )
    def test_bars(self, bar, good, bad):
        """A bar is at least so much, or below so much."""
        assert all(bar.holds(value) for value in good)
        assert not any(bar.holds(value) for value in bad)

    def test_a_bar_is_for_the_ratio_where_there_is_one(self):
        """And for the value otherwise; what could not be measured meets nothing and misses nothing."""
        assert Row("ours", 5.0, "s", bar=Bar(4.0)).met
        assert not Row("theirs", 5.0, "s", ratio=3.0, bar=Bar(4.0)).met
        assert Row("theirs", None, "s", bar=Bar(4.0)).met is None
        assert Row("ours", 5.0, "s").met is None

    def test_report(self, tmp_path):
        """For people a table with bars and notes; for machines the figures by name, and every row."""
        rows = [
            Row.of("ours", [3.0, 1.0, 2.0], "ms", bar=Bar(2.5, below=True)),
            Row("theirs", None, "ms", note="not installed: pip install 'keyart[bench]'"),
            Row.of("another's", [1.0, 1.0, 1.0], "ms", ratio=0.5, bar=Bar(5.0)),
        ]
        report = Report("choose", "a page", rows, {"ratio_other": 0.5})
        said = printed(report)
        assert "< 2.5 ✓" in said
        assert "≥ 5 ✗" in said
        assert "keyart[bench]" in said
        assert "2 ms" in said
        assert "50 %" in said  # from 1 to 3 about 2
        assert "0.5 x" in said
        report.write(tmp_path / "found.json")
        found = json.loads((tmp_path / "found.json").read_text())
        assert (found["bench"], found["ratio_other"]) == ("choose", 0.5)
        assert [(row["value"], row["met"], row["bar"]) for row in found["rows"]] == [
            (2.0, True, "< 2.5"),
            (None, None, None),
            (1.0, False, "≥ 5"),
        ]
        assert (found["rows"][0]["lowest"], found["rows"][0]["highest"]) == (1.0, 3.0)


class TestLearn:
    """``keyart bench learn``."""

    def test_ratios_are_those_of_the_rows(self, learned):
        """How many times as fast we are as the line's library."""
        ours = row_of(learned, "columns in memory").value
        river = row_of(learned, "River, BayesianLinearRegression")
        assert learned.figures["ratio_river"] == river.ratio == ours / river.value
        assert learned.figures["updates_per_second"] == ours
        assert learned.figures["records_per_second"] == row_of(learned, "raw impressions").value
        if vw.installed():
            peer = row_of(learned, "Vowpal Wabbit")
            assert learned.figures["ratio_vw"] == peer.ratio == ours / peer.value

    def test_what_is_learned_is_what_river_learns(self, learned):
        """The batch path's mean rewards are those of River's models, taught one by one."""
        assert 0.0 <= learned.figures["difference_from_river"] < 1e-9
        assert row_of(learned, "the same means").met

    def test_columns_learn_all_of_it(self):
        """Every impression and reward is in the sums, whatever the batches."""
        work = Workload(titles=4, artworks=3, features=5)
        looks = work.looks(1000)
        columns = learn.Columns(work, looks, batch=300)
        columns.learn()
        assert columns.sums.impressions.sum() == 1000
        assert columns.sums.reward.sum() == pytest.approx(looks.reward.sum())
        assert columns.sums.plays.sum() == (looks.reward > 0).sum() > 0

    def test_raw_records_are_learned(self, monkeypatch):
        """What is timed learns every record: none is refused, none left out as a repetition."""
        tasks = []
        make = raw.new_task
        monkeypatch.setattr(raw, "new_task", lambda *given: tasks.append(make(*given)) or tasks[-1])
        learn.measure(records=500, rounds=1, titles=5)
        of_impressions, of_rewards = tasks
        before = 5 * 9 * 5
        assert of_impressions._book.sums.impressions.sum() == before + 500
        assert of_rewards._book.sums.plays.sum() == 500
        assert of_impressions.held_bytes == of_rewards.held_bytes == 0

    def test_without_the_peer(self, monkeypatch):
        """Its row says what to install, and its ratio is left out."""
        monkeypatch.setattr(vw, "installed", lambda: False)
        report = learn.measure(records=200, rounds=1, titles=2)
        assert "ratio_vw" not in report.figures
        assert "pip install 'keyart[bench]'" in row_of(report, "Vowpal Wabbit").note
        assert row_of(report, "Vowpal Wabbit").value is None


class TestChoose:
    """``keyart bench choose``."""

    def test_ratios_are_those_of_the_rows(self, chosen):
        """How many times as long the line's library takes."""
        ours, river = row_of(chosen, "a page with propensities, p50"), row_of(chosen, "River")
        assert chosen.figures["ratio_river"] == river.ratio == river.value / ours.value
        assert chosen.figures["milliseconds"]["p50"] == ours.value <= chosen.figures["milliseconds"]["p99"]
        if vw.installed():
            peer = row_of(chosen, "Vowpal Wabbit")
            assert chosen.figures["ratio_vw"] == peer.ratio == peer.value / ours.value

    def test_a_page_is_its_titles(self, chosen):
        """The same choices and propensities as title by title."""
        assert 0.0 <= chosen.figures["difference_from_one_by_one"] < 1e-9


class TestPublish:
    """``keyart bench publish``."""

    def test_small(self):
        """Posteriors are the loop's; the ratio is that of the rows; snapshots are smaller on the topic."""
        report = publish.measure(titles=5, rounds=1, artworks=3)
        solved, loop = row_of(report, "of that: solved"), row_of(report, "solved artwork by artwork")
        assert report.figures["ratio_loop"] == loop.ratio == loop.value / solved.value
        assert 0.0 <= report.figures["difference_from_loop"] < 1e-9
        sizes = report.figures["bytes_per_snapshot"]
        assert 0 < sizes["lz4"] < sizes["json"]


class TestGrowth:
    """``keyart bench growth``."""

    def test_one_at_a_time(self):
        """Each point differs from the middle in one number, and has its costs."""
        report = growth.measure(features=(4,), artworks=(2,), titles=(5,), partitions=(3,), records=300, rounds=1)
        points = report.figures["points"]
        varied = [(p["features"], p["artworks"], p["titles"], p["partitions"]) for p in points]
        assert varied == [(4, 9, 200, 1), (16, 2, 200, 1), (16, 9, 5, 1), (16, 9, 200, 3)]
        assert all(min(p["learned"], p["published"], p["chosen"], p["snapshot"]) > 0 for p in points)
        assert points[1]["snapshot"] < points[2]["snapshot"] / 3


class TestMemory:
    """``keyart bench memory``."""

    def test_bytes_are_those_of_all_there_is_by_their_number(self, monkeypatch):
        """Bytes a title at the most titles, growth beside the fewest, and members apart."""

        def held(kind, way, size, features, artworks):
            a_title = {"learner": 30_000, "serving": 20_000, "tastes": 2000, "viewing": 9000}[kind]
            return size * a_title * (1.0 if size == 100 or kind != "serving" else 1.5)

        monkeypatch.setattr(memory, "_in_a_process", held)
        report = memory.measure(sizes=(200, 100))
        assert report.figures["bytes_per_title"] == {"learner": 30_000, "serving": 30_000}
        assert report.figures["bytes_per_member"] == {"tastes": 2000, "viewing": 9000}
        assert (report.figures["growth_learner"], report.figures["growth_serving"]) == (1.0, 1.5)
        assert row_of(report, "a learner's titles, 200").met
        assert not row_of(report, "a serving node's titles, 200").met

    def test_a_fresh_process_measures(self):
        """A title holds at least the sums of its artworks, and its process says so."""
        held = memory._in_a_process("learner", "traced", 100, features=9, artworks=4)
        assert 100 * 4 * 8 * 9 * 5 < held < 100 * 50_000

    @pytest.mark.parametrize("kind", filled.KINDS)
    def test_every_kind_is_filled(self, kind):
        """So many titles or members, and not the few that they are copies of."""
        held = filled.KINDS[kind][2](Workload(filled.MADE, artworks=2, features=4), 120)()
        there = {
            "learner": lambda: held._book.titles,
            "serving": lambda: [one for one in held.served.values() if one.snapshot is not None],
            "tastes": lambda: held.tastes,
            "viewing": lambda: held._members,
        }[kind]()
        assert len(there) == 120


class TestCommands:
    """The commands that need no broker."""

    @pytest.mark.parametrize(
        ("arguments", "keys"),
        [
            (("learn", "--records", "200", "--titles", "2"), {"ratio_river", "records_per_second"}),
            (("choose", "--pages", "10", "--titles", "2"), {"ratio_river", "milliseconds"}),
            (("publish", "--titles", "2"), {"ratio_loop", "bytes_per_snapshot", "microseconds_per_artwork"}),
        ],
        ids=["learn", "choose", "publish"],
    )
    def test_table_and_figures(self, arguments, keys, monkeypatch, capsys, tmp_path):
        """A table for people on standard output, the figures in the file, and nothing said beside."""
        file = tmp_path / "found.json"
        monkeypatch.setenv("COLUMNS", "160")
        monkeypatch.setattr(sys, "argv", ["keyart", "bench", *arguments, "--rounds", "2", "--json", str(file)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert (ended.value.code or 0, said.err) == (0, "")
        assert f"keyart bench {arguments[0]}" in said.out
        found = json.loads(file.read_text())
        assert keys <= found.keys()
        assert all(row["lowest"] <= row["value"] <= row["highest"] for row in found["rows"] if row["lowest"])

    def test_without_a_checkout(self, monkeypatch, capsys):
        """The benchmarks are not installed: one sentence says what to do."""
        monkeypatch.setitem(sys.modules, "benchmarks.speed", None)
        monkeypatch.setattr(sys, "argv", ["keyart", "bench", "learn"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 78
        assert "needs a checkout" in capsys.readouterr().err


def test_median_of_rounds():
    """A row shows the median of its rounds, and how far they lie apart."""
    row = Row.of("ours", [5.0, 1.0, 3.0], "s")
    assert (row.value, row.lowest, row.highest) == (median([5.0, 1.0, 3.0]), 1.0, 5.0)
