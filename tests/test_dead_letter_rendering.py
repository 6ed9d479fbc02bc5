"""What a person sees of dead letters: everything, and nothing that a terminal would obey."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from builders import FakeMessage, repeatable
from hypothesis import given
from hypothesis import strategies as st

from consumers.dead_letters.rendering import (
    describe,
    describe_group,
    describe_line,
    group_fields,
    letter_fields,
    printable,
    shown,
    when,
)
from consumers.dead_letters.since import since_ms
from consumers.dead_letters.survey import Group
from stream.dead_letters import Letter, dead_letter
from stream.errors import DecodeError
from stream.reasons import REASONS

HOSTILE = "\x1b]0;pwned\x07\x1b[2J\r\n\u202egnp.exe\u200b\x9b31m\U000e0041\ud83d"


def a_letter(key=b"ann", value=b'{"a": 1}', code="not_json", reason="no", **changes):
    """A letter as it is read from its topic."""
    output = dead_letter(FakeMessage("keyart.plays", 5, 7, key, value, 5), DecodeError(code, reason), "w")
    read = Letter.read(FakeMessage("d", 3, 41, output.key, output.value, 1_700_000_000_000, output.headers))
    return replace(read, **changes)


def is_harmless(text):
    """Whether a terminal shows every character and obeys none."""
    return all(line.isprintable() for line in text.split("\n"))


@repeatable
@given(st.text(st.characters(), max_size=50))
def test_every_character_can_be_seen(text):
    """Whatever the text; and what could be seen before is left as it is."""
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "value",
    [HOSTILE.encode(errors="ignore") * 200, b"\xff\x1b[2J" * 9000, b"\x1b\x9b", None, b""],
    ids=lambda v: repr(v)[:20],
)
def test_no_control_characters_come_through(value, whole):
    """Neither from a key, nor from a value, nor from any header; and no line is forged."""
    hostile = dict.fromkeys(("worker", "topic", "replay_of", "code", "reason"), HOSTILE)
    letter = replace(a_letter(value, value), **hostile)
    cut_off = replace(letter, length=7, sha256=HOSTILE, key_length=7, key_sha256=HOSTILE)
    told = describe(cut_off, replayed=False, whole=whole)
    assert is_harmless(told)
    assert len(told.split("\n")) == 11
    assert is_harmless(describe_line(letter, replayed=True))
    group = Group(HOSTILE, HOSTILE)
    group.add(letter, replayed=False)
    assert is_harmless(describe_group(group))
    for fields in (letter_fields(letter, replayed=False), group_fields([group])):
        assert json.dumps(fields).isascii()
        assert is_harmless(json.dumps(fields))


def test_long_values_are_shown_in_part():
    """With how much is left, and all of it if asked for."""
    assert shown(b"x" * 5000).endswith("x … and 3000 characters more (--whole shows them)")
    assert shown(b"x" * 5000, whole=True) == "x" * 5000
    assert shown(b"\xff" * 5000).endswith("ff … and 4488 bytes more (--whole shows them)")


def test_a_letter_is_told_in_full():
    """Place, origin, times, reason, what it means, what to do, key and value."""
    told = describe(a_letter(), replayed=True, whole=False)
    for part in (
        *("3:41", "keyart.plays, partition 5, offset 7", "2023-11-14T22:13:20Z", "put back     yes"),
        *("not_json", REASONS["not_json"].meaning, REASONS["not_json"].advice, "ann", '{"a": 1}'),
    ):
        assert part in told
    assert "whole value" not in told
    assert "put back" in describe_line(a_letter(), replayed=True)


def test_a_letter_for_machines_has_every_byte():
    """Bytes in base64, and as text where they are text."""
    fields = letter_fields(a_letter(b"\xff", b"caf\xc3\xa9"), replayed=False)
    assert (fields["key"], fields["value"]) == (None, "café")
    assert (base64.b64decode(fields["key_base64"]), base64.b64decode(fields["value_base64"])) == (
        b"\xff",
        b"caf\xc3\xa9",
    )
    assert fields["meaning"] == REASONS["not_json"].meaning
    assert letter_fields(a_letter(code="of another version"), replayed=False)["meaning"] is None


def test_a_group_counts_and_has_an_example():
    """How many, how many put back, from when to when, and the latest as an example."""
    group = Group("not_json", "keyart.plays")
    for offset, dead_ms in enumerate([3000, 1000, 9000, 2000]):
        group.add(a_letter(offset=offset, dead_ms=dead_ms, reason=f"r{offset}"), replayed=offset == 0)
    assert (group.count, group.replayed, group.first_ms, group.last_ms) == (4, 1, 1000, 9000)
    told = describe_group(group)
    assert "not_json  4 from keyart.plays, 1 of them put back" in told
    assert "for example 3:2: r2" in told
    assert group_fields([group])["groups"][0]["example"] == "3:2"


@pytest.mark.parametrize("ms", [-1, 10**18, 253_402_300_800_000 * 10])
def test_times_that_are_none(ms):
    """A header can say anything."""
    assert when(ms) == "unknown"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 999_910_000),
        ("30m", 998_200_000),
        ("2h", 992_800_000),
        ("1d", 913_600_000),
        ("1w", 395_200_000),
        ("9w", 0),
        ("1970-01-02", 86_400_000),
        ("1970-01-01T01:00+01:00", 0),
    ],
)
def test_since(text, expected):
    """So long ago, or a moment."""
    assert since_ms(text, 1_000_000_000) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3h", "1.5h", "99999999d"])
def test_since_when(text):
    """Anything else is no time."""
    with pytest.raises((ValueError, OverflowError)):
        since_ms(text, 0)
