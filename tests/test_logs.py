"""Log lines: where they go, what they look like, and what is left out.

Logging is set up once for a process, so each test looks at a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

PROGRAM = """
import logging, sys
import structlog
from consumers import logs
from stream.settings import Settings

early = structlog.get_logger("keyart")
early.info("before")
logs.configure(Settings(log_format=sys.argv[1], log_level=sys.argv[2]))
for name in ("debug", "info", "warning", "error"):
    getattr(early, name)(f"a {name}", topic="plays", title="Zoë")
member = "member-to-be-kept-quiet"
try:
    raise ValueError("what went wrong")
except ValueError:
    early.error("failed", exc_info=True)
logging.getLogger("kafka.client").info("client info")
logging.getLogger("kafka.client").error("client error")
logging.getLogger("some.library").warning("library warning")
logging.getLogger("some.library").error("library error")
print("the answer")
"""


def run(log_format: str, log_level: str = "info") -> list[str]:
    """The lines on standard error after logging was set up; standard output must hold the answer alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYART_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, log_format, log_level],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
        env=environment | {"PYTHONUTF8": "1", "KEYART_CONFIG": os.devnull},
    )
    before, _, answer = done.stdout.rpartition("the answer")
    assert "before" in before  # structlog's own way, which is standard output, until it is set up
    assert len(before.splitlines()) == 1
    assert answer == "\n"
    return done.stderr.splitlines()


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """The lines of one process, as JSON, at the default level."""
    return [json.loads(line) for line in run("json")]


def test_every_line_is_json_with_a_level_and_a_time(lines: list[dict[str, Any]]) -> None:
    """A log shipper needs no pattern to read them, libraries' lines included."""
    now = datetime.now(tz=UTC)
    for line in lines:
        assert line["level"] in {"info", "warning", "error"}
        assert line["event"]
        assert abs(now - datetime.fromisoformat(line["timestamp"])) < timedelta(minutes=5)


def test_fields_are_kept_as_they_are(lines: list[dict[str, Any]]) -> None:
    """What a line knows is a field of its own, in its own letters; so is an exception, in one line."""
    warning = next(line for line in lines if line["event"] == "a warning")
    assert (warning["topic"], warning["title"]) == ("plays", "Zoë")
    failed = next(line for line in lines if line["event"] == "failed")
    assert "ValueError: what went wrong" in failed["exception"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_least_severe_line_is_chosen(level: str, shown: list[str]) -> None:
    """log_level holds for a logger that was there before it was read, too."""
    events = [json.loads(line)["event"] for line in run("json", level)]
    assert [event.removeprefix("a ") for event in events if event.startswith("a ")] == shown


@pytest.mark.parametrize(
    ("level", "shown"),
    [("info", ["library error"]), ("debug", ["client info", "client error", "library error"])],
)
def test_libraries_speak_up_only_when_it_matters(level: str, shown: list[str]) -> None:
    """Of libraries errors alone are shown, of the Kafka client nothing unless one is debugging."""
    events = [json.loads(line)["event"] for line in run("json", level)]
    assert [event for event in events if event.startswith(("client", "library"))] == shown


@pytest.mark.parametrize(("log_format", "readable"), [("auto", False), ("console", True), ("json", False)])
def test_the_format_follows_the_setting_and_the_terminal(log_format: str, readable: bool) -> None:
    """By itself it is JSON where standard error is no terminal; a person's format has no control codes there."""
    first = run(log_format)[0]
    assert first.startswith("{") is not readable
    assert "a info" in first
    assert "\x1b" not in first


def test_a_readable_traceback_does_not_print_variables() -> None:
    """Local variables hold member ids, and those never appear in a log."""
    text = "\n".join(run("console"))
    assert "ValueError: what went wrong" in text
    assert "member-to-be-kept-quiet" not in text.replace('member = "member-to-be-kept-quiet"', "")
