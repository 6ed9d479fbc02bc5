"""``keyart evaluate``: what is printed and written, and how it ends."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser

import pytest

from benchmarks.evaluation.lies import outcome_in_context
from benchmarks.evaluation.logs import explored
from consumers import cli


@pytest.fixture
def keyart(tmp_path, monkeypatch, capsys):
    """Runs ``keyart evaluate`` in an empty folder; returns its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["keyart", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """8,000 impressions by uniform choice, in a file."""
    file = tmp_path_factory.mktemp("log") / "log.jsonl"
    explored(1, 8000).write(file)
    return file


class TestCommand:
    """From a file."""

    def test_rows_table_and_sentences(self, keyart, log, tmp_path):
        """A row for each policy, estimator and measure; the table says the same, and sentences what is sure."""
        code, said, complaint = keyart("--log", log, "--set", "exploration=1", "--json", "rows.json", "--strict")
        assert (code, complaint) == (0, "")
        rows = json.loads((tmp_path / "rows.json").read_text())
        assert all(
            {"policy", "estimator", "value", "low", "high", "effective_samples"} <= row.keys() for row in rows
        )
        policies = ["uniform", "best", "thompson", "ours", "ours (exploration=1)"]
        estimators = ["dr", "switch_dr", "snips", "ips", "replay", "dm"]
        measures = ["take rate", "mean reward"]
        assert {(row["policy"], row["estimator"], row["measure"]) for row in rows} == {
            *((policy, by, of) for policy in policies for by in estimators for of in measures),
            *(("logged", "mean", of) for of in measures),
        }
        assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
        value = {(row["policy"], row["estimator"]): row for row in rows if row["measure"] == "mean reward"}
        ours = value["ours", "dr"]
        assert f"{ours['value']:.4f} [{ours['low']:.4f}, {ours['high']:.4f}]" in said
        assert f"ours: more than was logged, {100 * ours['lift']:+.1f} %" in said
        assert "no check found anything against it" in said
        assert "not checked: sample-ratio" in said

    def test_the_same_again(self, keyart, log, tmp_path):
        """Nothing depends on the process: the same log, policies and seed give the same numbers."""
        found = []
        for name in ("one.json", "two.json"):
            keyart("--log", log, "--policy", "uniform", "thompson", "--json", name)
            found.append((tmp_path / name).read_text())
        assert found[0] == found[1]

    def test_policies_are_named(self, keyart, log):
        """Those asked for, and the logged one."""
        _, said, _ = keyart("--log", log, "--policy", "uniform", "test_evaluation_policies.always_first")
        assert re.search(r"^ *test_evaluation_policies\.always_first", said, re.MULTILINE)
        assert "thompson" not in said

    def test_a_log_that_lies(self, keyart, tmp_path):
        """It is said, and with --strict it is a failure."""
        outcome_in_context(explored(1, 3000)).write(tmp_path / "log.jsonl")
        code, said, _ = keyart("--log", "log.jsonl", "--policy", "uniform")
        assert code == 0
        assert "future: feature 'watched' knows what was to come" in said
        code, _, complaint = keyart("--log", "log.jsonl", "--policy", "uniform", "--strict")
        assert (code, complaint) == (1, "keyart: not to be believed as it stands: future\n")

    def test_a_part_of_it(self, keyart, log):
        """A stretch of time; of other policies there is nothing in it."""
        code, said, _ = keyart("--log", log, "--policy", "uniform", "--until", "2025-10-09T12:00")
        assert code == 0
        worth = re.search(r"logged .* ([\d,]+) *$", said, re.MULTILINE)
        assert 0 < int(worth[1].replace(",", "")) < 8000
        code, _, complaint = keyart("--log", log, "--only", "personal")
        assert code == 65
        assert "no impressions in it are of the time and the policies that were asked for" in complaint

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            ([], 2, "--topics"),
            (["--topics", "--log", "x"], 2, "--topics"),
            (["--log", "absent.jsonl"], 65, "absent.jsonl"),
            (["--open-bandit", "absent"], 65, "absent"),
            (["--log", "{log}", "--policy", "linucb"], 65, "'linucb' is no policy"),
            (["--log", "{log}", "--set", "exploration=lots"], 78, "exploration"),
            (["--log", "{log}", "--set", "http_port=1"], 65, "http_port makes no difference"),
            (["--log", "{log}", "--since", "yesterday"], 65, "--since yesterday"),
            (["--log", "{log}", "--only", "everybody"], 65, "everybody"),
            (["--log", "{log}", "--policy", "uniform", "--json", "no/such/folder.json"], 65, "cannot be written"),
        ],
    )
    def test_what_cannot_be_done(self, keyart, log, arguments, code, said):
        """One sentence, and the exit code of its kind."""
        found, _, complaint = keyart(*(argument.format(log=log) for argument in arguments))
        assert found == code
        assert said in complaint
        assert "Traceback" not in complaint


class Page(HTMLParser):
    """What a browser would ask for, and the tags there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note it."""
        self.tags.append(tag)
        self.asked += [
            value for name, value in attrs if name in {"src", "href", "srcset", "action", "data"} and value
        ]


class TestReport:
    """One HTML file."""

    def test_it_needs_nothing_else(self, keyart, log, tmp_path):
        """No script, no address but data, and a policy that forbids them."""
        keyart("--log", log, "--report", "report.html")
        text = (tmp_path / "report.html").read_text()
        page = Page(text)
        assert "script" not in page.tags
        assert "link" not in page.tags
        assert all(address.startswith("data:image/svg+xml;base64,") for address in page.asked)
        assert not re.search(r"@import|url\(", text)
        assert "default-src 'none'" in text
        assert "prefers-color-scheme: dark" in text

    def test_it_shows_what_was_found(self, keyart, log, tmp_path):
        """Policies, intervals, curves, titles with their posters, and what the checks say."""
        keyart("--log", log, "--report", "report.html", "--json", "rows.json")
        text = (tmp_path / "report.html").read_text()
        page = Page(text)
        rows = json.loads((tmp_path / "rows.json").read_text())
        for row in rows:
            if row["measure"] == "mean reward" and row["estimator"] != "replay":
                assert f"{row['value'] + 0.0:.4f}" in text
        assert "Replay says nothing of this log" in text  # choices were not uniform
        assert page.tags.count("svg") == 3
        assert page.tags.count("img") >= 8
        assert text.count('<path class="i c') == 5
        assert "No check found anything against it" in text
        assert "$" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)

    def test_names_are_shown_and_not_run(self, keyart, tmp_path):
        """A title or artwork whose name is markup is text."""
        evil = "<img src=x onerror=alert(1)>"
        rows = [
            {
                "topic": "impressions",
                "record": {
                    "impression_id": str(i),
                    "shown_ms": i,
                    "member_id": f"m{i}",
                    "title_id": evil,
                    "context": {},
                    "artwork_id": f"{evil}{i % 2}",
                    "policy": "explore",
                    "propensity": 0.5,
                },
            }
            for i in range(600)
        ]
        rows += [
            {"topic": "rewards", "record": {"impression_id": str(i), "reward": 1, "credited_ms": i}}
            for i in range(0, 600, 6)
        ]
        (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
        code, _, _ = keyart("--log", "log.jsonl", "--policy", "best", "--report", "report.html")
        assert code == 0
        text = (tmp_path / "report.html").read_text()
        assert "&lt;img src=x" in text
        assert evil not in text
        assert "Replay says nothing of this log" not in text

    def test_a_log_that_says_nothing(self, keyart, tmp_path):
        """One impression without a propensity: the report says so, and is whole."""
        record = {"impression_id": "i", "shown_ms": 1, "member_id": "m", "title_id": "t", "artwork_id": "a"}
        (tmp_path / "log.jsonl").write_text(
            json.dumps({"topic": "impressions", "record": record | {"context": {}}})
        )
        code, said, _ = keyart("--log", "log.jsonl", "--report", "report.html")
        assert code == 0
        assert "propensities-missing" in said
        assert "propensities-missing" in (tmp_path / "report.html").read_text()


class TestOpenBandit:
    """A real log."""

    def test_uniform_choice_from_the_other_log(self, keyart, tmp_path, open_bandit_sample):
        """What uniform choice earned in its own log lies within what Thompson sampling's log says of it."""
        for behaviour in ("random", "bts"):
            code, _, _ = keyart(
                *("--open-bandit", open_bandit_sample, "--behaviour", behaviour, "--campaign", "men"),
                *("--policy", "uniform", "--json", f"{behaviour}.json"),
            )
            assert code == 0
        found = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("random", "bts")}
        said = {(name, row["policy"], row["estimator"]): row for name, rows in found.items() for row in rows}
        truth, estimate = said["random", "logged", "mean"], said["bts", "uniform", "dr"]
        assert truth["value"] > 0
        assert max(truth["low"], estimate["low"]) < min(truth["high"], estimate["high"])
