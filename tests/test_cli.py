"""The command line: help that teaches, errors of one sentence with the right exit code, and settings as a file.

Commands run as the script ``keyart`` runs them, in this process: anything but a clean exit fails the test.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from command_tree import commands

from consumers import cli
from stream.settings import Settings

CATALOGUE = Path(__file__).parent.parent / "deploy" / "catalogue.json"
COMMANDS = dict(commands())
KEY = "a-key-for-tests-0123456789"
CONNECT_SECONDS = 0.5
#: What a busy machine may add to it.
SLACK_SECONDS = 20.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """What a failed command said: its last line on standard error."""
        assert "Traceback" not in self.stderr + self.stdout
        said = self.stderr.splitlines()[-1]
        assert said.startswith("keyart: ")
        return said.removeprefix("keyart: ")


Run = Callable[..., Done]


@pytest.fixture
def keyart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a command in an empty folder, with these settings in its environment and no others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, **settings: object) -> Done:
        for name in [name for name in os.environ if name.startswith("KEYART_")]:
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(f"KEYART_{name.upper()}", str(value))
        monkeypatch.setattr(sys, "argv", ["keyart", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    yield run
    structlog.reset_defaults()
    logging.getLogger("kafka").setLevel(logging.NOTSET)


# --- help


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does(words: tuple[str, ...]) -> None:
    """Every command and group begins with a sentence; every option and argument has one."""
    command = COMMANDS[words]
    assert re.match(r"[A-Z][^\n]{10,}[.:]", command.help)
    for parameter in command.params:
        assert re.match(r"\S+ \S+", parameter.help or ""), f"keyart {' '.join(words)}: {parameter.name}"
        assert parameter.help.endswith((".", ")"))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_printed(words: tuple[str, ...], keyart: Run) -> None:
    """``--help`` works for each, needs no settings, and names what one can add."""
    done = keyart(*words, "--help", metrics_port="nonsense")
    assert done.code == 0
    text = re.sub(r"\W+", " ", done.stdout)
    assert re.sub(r"\W+", " ", COMMANDS[words].help.splitlines()[0]).strip() in text
    for parameter in COMMANDS[words].params:
        assert all(option in done.stdout for option in parameter.opts if option.startswith("--"))


def test_no_command_shows_the_commands(keyart: Run) -> None:
    """A newcomer who types the name alone is shown what there is."""
    done = keyart()
    told = done.stdout + done.stderr
    assert all(words[0] in told for words in COMMANDS if words)
    assert "keyart.toml" in told


@pytest.mark.parametrize(
    "arguments",
    [["lerner"], ["topics", "--chek"], ["catalogue", "load"], ["simulate", "--rate", "many"], ["replay"]],
)
def test_wrong_usage_is_said_as_such(arguments: list[str], keyart: Run) -> None:
    """Exit code 2, with the usage, for a command, an option or an argument that is not one."""
    done = keyart(*arguments)
    assert done.code == 2
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.stderr


# --- settings


@pytest.mark.parametrize("command", [["config"], ["topics"], ["learner"], ["simulate"]])
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("checkpoint_seconds", "soon", "checkpoint_seconds: .*'soon'"),
        ("partitions", "0", "partitions: .*'0'"),
        ("explore_share", "nan", "explore_share: "),
        ("bootstrap_servers", "kafka", "bootstrap_servers: 'kafka' is not host:port"),
        ("checkpoint_second", "5", "KEYART_CHECKPOINT_SECOND is not a setting"),
    ],
)
def test_a_wrong_setting_is_named(command: list[str], setting: str, value: str, said: str, keyart: Run) -> None:
    """Exit code 78 and the setting's name, before anything else is tried."""
    done = keyart(*command, **{setting: value})
    assert done.code == 78
    assert re.match(said, done.complaint)


def test_a_secret_that_is_refused_is_not_repeated(keyart: Run) -> None:
    """An error message ends up in logs."""
    done = keyart("config", token_secrets="too-short")
    assert done.code == 78
    assert done.complaint.startswith("token_secrets: ")
    assert "too-short" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [("partitions = = 3", "keyart.toml: "), ("partition = 3", "partition is not a setting")],
    ids=["not TOML", "misspelt"],
)
def test_a_wrong_file_is_named(text: str, said: str, keyart: Run, tmp_path: Path) -> None:
    """keyart.toml is held to the same."""
    (tmp_path / "keyart.toml").write_text(text)
    done = keyart("config")
    assert done.code == 78
    assert done.complaint.startswith(said)


def test_a_metrics_port_that_is_taken_is_named(keyart: Run) -> None:
    """The second worker on a machine is told to take another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = keyart("viewing", metrics_port=taken.getsockname()[1])
    assert done.code == 78
    assert "KEYART_METRICS_PORT" in done.complaint


CHANGED: dict[str, Any] = {
    "bootstrap_servers": "one:9092,two:9093",
    "features": "drama,science fiction,mystère,🎬,:smile:,[bold]",
    "prior_precision": 1e-9,
    "checkpoint_seconds": 2.5,
    "metrics_port": 9100,
    "log_format": "json",
    "topic_prefix": "",
}


@pytest.mark.parametrize("given", [{}, CHANGED], ids=["defaults", "changed"])
def test_the_settings_in_force_are_a_file_that_brings_them_in_force(
    given: dict[str, Any], keyart: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``keyart config > keyart.toml`` writes every setting, and the file alone gives the same ones."""
    first = keyart("config", **given)
    assert first.code == 0
    written = tomllib.loads(first.stdout)
    assert set(written) == set(Settings.model_fields)
    for name in os.environ:
        if name.startswith("KEYART_"):
            monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(f"KEYART_{name.upper()}", str(value))
    meant = Settings().model_dump(mode="json")
    assert written == meant
    (tmp_path / "keyart.toml").write_text(first.stdout)
    assert keyart("config").stdout == first.stdout


def test_secrets_are_masked_and_the_mask_is_never_in_force(keyart: Run, tmp_path: Path) -> None:
    """A file made from the output has no secret, rather than one that everybody knows."""
    done = keyart("config", token_secrets=f"{KEY},{KEY[::-1]}")
    assert KEY not in done.stdout
    assert KEY[::-1] not in done.stdout
    assert re.search(r"^# token_secrets = .*\*", done.stdout, re.MULTILINE)
    assert "token_secrets" not in tomllib.loads(done.stdout)
    (tmp_path / "keyart.toml").write_text(done.stdout)
    assert tomllib.loads(keyart("config").stdout)["token_secrets"] == []


def test_the_environment_overrides_the_file(keyart: Run, tmp_path: Path) -> None:
    """A file for all, a variable for one."""
    (tmp_path / "keyart.toml").write_text("partitions = 3\nmetrics_port = 9100\n")
    found = tomllib.loads(keyart("config", partitions=5).stdout)
    assert (found["partitions"], found["metrics_port"]) == (5, 9100)


def test_output_that_nobody_reads_is_no_traceback(tmp_path: Path) -> None:
    """``keyart config | head -n 0`` ends quietly; so does a reader that goes away in between."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from consumers.cli import main; main()", "config"],
            cwd=tmp_path,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == ""


# --- files


@pytest.mark.parametrize(
    "text",
    [None, "", "[", "{}", '[{"title_id": "t"}]', "\xff", json.dumps([json.loads(CATALOGUE.read_text())[0]] * 2)],
    ids=["missing", "empty", "not JSON", "no array", "incomplete", "not UTF-8", "twice the same"],
)
def test_a_catalogue_that_cannot_be_used_is_wrong_input(text: str | None, keyart: Run, tmp_path: Path) -> None:
    """Exit code 65 and the file's name, before any broker is asked."""
    if text is not None:
        (tmp_path / "titles.json").write_bytes(text.encode("latin-1"))
    done = keyart("catalogue", "load", "titles.json", bootstrap_servers="127.0.0.1:1")
    assert done.code == 65
    assert done.complaint.startswith("titles.json")


# --- the cluster


@pytest.fixture(params=["closed", "silent"])
def nobody(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address where nobody listens, or where somebody does and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if request.param == "closed":
            server.close()
        yield address


@pytest.mark.parametrize(
    "arguments",
    [
        ["topics"],
        ["topics", "--check"],
        ["catalogue", "load", str(CATALOGUE)],
        ["catalogue", "withdraw", "title"],
        ["viewing"],
        ["learner", "--until-drained"],
        ["serving"],
        ["simulate", "--seconds", "1"],
    ],
    ids=" ".join,
)
def test_a_broker_that_is_away_is_given_up_in_time(arguments: list[str], nobody: str, keyart: Run) -> None:
    """Exit code 69 after connect_seconds, and a sentence a person can act on."""
    began = time.monotonic()
    done = keyart(
        *arguments,
        bootstrap_servers=nobody,
        connect_seconds=CONNECT_SECONDS,
        token_secrets=KEY,
        http_port=0,
        log_level="error",
    )
    took = time.monotonic() - began
    assert done.code == 69
    assert nobody in done.complaint or "KEYART_BOOTSTRAP_SERVERS" in done.complaint
    assert took < CONNECT_SECONDS + SLACK_SECONDS
