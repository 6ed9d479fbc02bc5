"""Log lines: where they go, what they look like, and what is left out.

Logging is set up once for a process, so each test looks at a process of its own.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import FakeMessage
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from stream.dead_letters import WaitingLetters
from stream.errors import DecodeError
from stream.metrics import WorkerMetrics

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


# --- what the code says

ROOT = Path(__file__).parent.parent
#: What a line may tell: where something is, how much of it, why, in words of Keyart's own, and how many members.
#: No key, no value and no member can be among them; a title is public.
FIELDS = {
    "topic",
    "partition",
    "offset",
    "last_offset",
    "offsets",
    "code",
    "reason",
    "count",
    "records",
    "refused",
    "seconds",
    "title",
    "titles",
    "members",
    "shares",
    "owned",
    "restored",
    "client",
    "brokers",
    "route",
    "error",
    "where",
    "advice",
}


def _calls() -> list[Any]:
    """Every call of a logger in the packages."""
    return [
        pytest.param(node, id=f"{path.relative_to(ROOT)}:{node.lineno}")
        for package in ("stream", "consumers", "producers")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "log"
        and node.func.attr in {"debug", "info", "warning", "error", "exception", "critical"}
    ]


@pytest.mark.parametrize("call", _calls())
def test_a_line_has_a_fixed_event_and_known_fields(call: ast.Call) -> None:
    """An event is the same words each time, so that it can be counted; what varies is in harmless fields."""
    (event,) = call.args
    assert isinstance(event, ast.Constant)
    assert re.fullmatch(r"[a-z][a-z,:' ]+[a-z]", event.value)
    assert {keyword.arg for keyword in call.keywords} <= FIELDS


@pytest.mark.parametrize("call", _calls())
def test_a_line_about_records_says_where_they_are(call: ast.Call) -> None:
    """Who reads of a record's offset is told its topic and partition too."""
    named = {keyword.arg for keyword in call.keywords}
    if {"offset", "code"} & named:
        assert {"topic", "partition", "offset"} <= named


def test_bad_records_are_told_by_their_place_alone() -> None:
    """One line a fault and checkpoint, with offsets; nothing of what the records held."""
    letters = WaitingLetters("viewing-1", WorkerMetrics(CollectorRegistry()))
    for offset in (3, 4, 9):
        message = FakeMessage("keyart.plays", 2, offset, b"member-to-be-kept-quiet", b"payload-to-be-kept-quiet")
        letters.add(message, DecodeError("not_json", "payload-to-be-kept-quiet is not JSON"))
    with capture_logs() as lines:
        letters.take()
        letters.take()
    (line,) = lines
    assert "quiet" not in str(line)
    assert (line["offset"], line["last_offset"], line["count"], line["code"]) == (3, 9, 3, "not_json")
    assert (line["topic"], line["partition"]) == ("keyart.plays", 2)
