"""``keyart tune``: settings that are better for sure, and no others."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest

from benchmarks.evaluation.lies import missing
from benchmarks.evaluation.logs import explored
from benchmarks.evaluation.tuning import BAD, InMemory, null, tuned
from consumers import cli
from consumers.evaluation.source import Wanted, open_log
from consumers.evaluation.tuning import TRIALS, toml_of, try_settings
from stream.settings import Settings


class TestRecommendation:
    """By what is known of logs. ``keyart bench evaluation --part tune`` does this a hundred times."""

    @pytest.mark.parametrize("seed", range(5))
    def test_luck_is_refused(self, seed):
        """Where it makes no difference what is shown nothing is recommended, though something looks best."""
        found = tuned(null(seed, 1500), seed)
        assert found.recommended is None
        assert found.toml == ""
        more = [trial.difference.value for trial in found.trials]
        assert more == sorted(more, reverse=True)

    def test_what_is_better_is_found(self):
        """Today's draws are far too wide: the best of the narrower ones is recommended."""
        found = tuned(explored(1, 6000), 1, **BAD)
        assert found.recommended == found.trials[0]
        assert found.recommended.difference.low > 0
        assert found.recommended.value == pytest.approx(found.today + found.recommended.difference.value)
        assert tomllib.loads(found.toml) == {"exploration": float(found.recommended.settings["exploration"])}

    def test_a_log_that_is_not_to_be_believed(self):
        """Nothing is recommended by it, however much better it looks."""
        found = tuned(missing(explored(1, 6000)), 1, **BAD)
        assert found.trials[0].better
        assert found.recommended is None
        assert [finding.check for finding in found.findings] == ["propensities-missing"]

    def test_more_trials_take_more_to_be_sure(self):
        """The interval of one of eight comparisons is wider than that of one alone."""
        log = open_log(InMemory(explored(1, 1000)), Wanted())
        one, two = (try_settings(log, Settings(), [{"exploration": "1"}] * n) for n in (1, 2))
        assert two.trials[0].difference.value == one.trials[0].difference.value
        assert two.trials[0].difference.half == pytest.approx(
            2.2414 / 1.9600 * one.trials[0].difference.half, rel=1e-4
        )


@pytest.mark.parametrize("changes", TRIALS, ids=str)
def test_what_is_printed_is_what_was_tried(changes, tmp_path, monkeypatch):
    """The lines, in a keyart.toml, bring those settings in force and change no others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keyart.toml").write_text(toml_of(changes))
    in_force = Settings().model_dump()
    monkeypatch.setenv("KEYART_CONFIG", "/dev/null")
    assert in_force == Settings(**changes).model_dump()


class TestCommand:
    """From a file."""

    @pytest.fixture
    def keyart(self, tmp_path, monkeypatch, capsys):
        """Runs ``keyart tune`` in an empty folder with a log; returns its exit code and what it said."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "100")
        explored(1, 4000).write(tmp_path / "log.jsonl")

        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["keyart", "tune", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            return int(ended.value.code or 0), *capsys.readouterr()

        return run

    def test_a_change_is_printed_and_not_made(self, keyart, tmp_path, monkeypatch):
        """Settings in force are those of keyart.toml, which stays as it is."""
        (tmp_path / "keyart.toml").write_text("exploration = 5\n")
        code, said, _ = keyart("--log", "log.jsonl", "--try", "exploration=0.1;hold=0")
        assert code == 0
        assert re.search(r"In keyart\.toml, if you agree:\n\nexploration = 0\.1\nhold = 0\.0\n", said)
        assert (tmp_path / "keyart.toml").read_text() == "exploration = 5\n"

    def test_nothing_to_recommend(self, keyart):
        """It says to stay."""
        code, said, _ = keyart("--log", "log.jsonl", "--try", "exploration=0.11")
        assert code == 0
        assert "Stay with today's settings" in said

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            ([], 2, "--topics"),
            (["--log", "log.jsonl", "--try", "partitions=3"], 65, "makes no difference"),
            (["--log", "log.jsonl", "--try", "hold=lots"], 78, "hold"),
        ],
    )
    def test_what_cannot_be_tried(self, keyart, arguments, code, said):
        """One sentence, and the exit code of its kind."""
        found, _, complaint = keyart(*arguments)
        assert found == code
        assert said in complaint
