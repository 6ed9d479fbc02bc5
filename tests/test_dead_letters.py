"""Bad records are kept as they came, with where from and why; and those that were put back can be told."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from builders import FakeMessage, repeatable
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stream.dead_letters import (
    MAX_KEPT_BYTES,
    REPLAY_HEADER,
    Letter,
    WaitingLetters,
    dead_letter,
    is_replayed,
    put_back,
    read_mark,
    replay_mark,
)
from stream.errors import DecodeError
from stream.metrics import WorkerMetrics
from stream.reasons import REASONS
from stream.topics import DEAD_LETTERS, MAX_MESSAGE_BYTES, PLAYS

SOURCES = [
    path
    for package in ("stream", "consumers", "producers")
    for path in (Path(__file__).parent.parent / package).rglob("*.py")
]


def arrived(output, partition=3, offset=41, timestamp=1_700_000_000_000):
    """A record written, as it is read again."""
    return FakeMessage("d", partition, offset, output.key, output.value, timestamp, output.headers)


@pytest.mark.parametrize("value", [b"\x00\xff not JSON", b"", None, b"{}" * 40_000], ids=lambda v: repr(v)[:12])
@pytest.mark.parametrize("key", [b"film", b"\xff", None, b""], ids=repr)
def test_bytes_are_untouched(key, value):
    """Key and value come out as they went in; only a record that has neither gets an empty key, to be writable."""
    message = FakeMessage("keyart.plays", 3, 41, key, value)
    output = dead_letter(message, DecodeError("invalid", "no"), "viewing-1")
    assert output.topic is DEAD_LETTERS
    assert output.value == value
    assert output.key == (b"" if key is None and value is None else key)
    assert output.partition is None


def test_headers_say_where_from_and_why():
    """Topic, partition, offset and time, the stable code, the sentence, and which worker; all of it is UTF-8."""
    message = FakeMessage("keyart.plays", 3, 41, b"ann", b"{", 1_700_000_000_123)
    output = dead_letter(message, DecodeError("unknown_title", "title 'é\ud800' is not there"), "viewing-1")
    assert dict(output.headers) == {
        "keyart.topic": b"keyart.plays",
        "keyart.partition": b"3",
        "keyart.offset": b"41",
        "keyart.written_ms": b"1700000000123",
        "keyart.code": b"unknown_title",
        "keyart.reason": "title 'é?' is not there".encode(),
        "keyart.worker": b"viewing-1",
    }


# --- what is too large to keep


@pytest.mark.parametrize("size", [MAX_KEPT_BYTES, MAX_KEPT_BYTES + 1, 3 * MAX_KEPT_BYTES])
def test_what_is_over_a_mebibyte_is_cut_off(size):
    """Its first mebibyte is kept byte by byte, with length and SHA-256 of it all; what is less is kept whole."""
    value = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
    message = FakeMessage("keyart.plays", 3, 41, b"ann", value)
    output = dead_letter(message, DecodeError("too_large", "no"), "viewing-1")
    headers = dict(output.headers)
    assert output.value == value[:MAX_KEPT_BYTES]
    if size > MAX_KEPT_BYTES:
        assert headers["keyart.length"] == str(size).encode()
        assert headers["keyart.sha256"] == hashlib.sha256(value).hexdigest().encode()
    else:
        assert not {"keyart.length", "keyart.sha256"} & set(headers)
    assert Letter.read(arrived(output)).is_cut_off == (size > MAX_KEPT_BYTES)


def test_the_largest_letter_can_be_written():
    """Whatever a record's key, value and reason are, a checkpoint with its letter is within what a topic takes."""
    huge = b"x" * (40 * MAX_KEPT_BYTES)
    message = FakeMessage("keyart.plays", 3, 41, huge, huge, headers=((REPLAY_HEADER, huge),))
    output = dead_letter(message, DecodeError("invalid", "\u20ac" * 10_000_000), "viewing-1")
    size = len(output.key) + len(output.value) + sum(len(name) + len(value) for name, value in output.headers)
    assert size < MAX_MESSAGE_BYTES // 2
    letter = Letter.read(arrived(output))
    assert (letter.length, letter.key_length) == (len(huge), len(huge))
    assert letter.sha256 == letter.key_sha256 == hashlib.sha256(huge).hexdigest()


# --- read again


def test_a_letter_is_read_as_it_was_written():
    """Everything that is said of the bad record, and the letter's own place and time."""
    message = FakeMessage("keyart.plays", 5, 7, b"ann", b"{", 1_600_000_000_000)
    letter = Letter.read(arrived(dead_letter(message, DecodeError("not_json", "no"), "viewing-1")))
    assert letter == Letter(
        partition=3,
        offset=41,
        dead_ms=1_700_000_000_000,
        key=b"ann",
        value=b"{",
        topic="keyart.plays",
        source_partition=5,
        source_offset=7,
        written_ms=1_600_000_000_000,
        code="not_json",
        reason="no",
        worker="viewing-1",
        length=None,
        sha256="",
        key_length=None,
        key_sha256="",
        replay_of="",
    )
    assert letter.place == "3:41"


@repeatable
@given(st.lists(st.tuples(st.sampled_from(["keyart.topic", "keyart.offset", "keyart.length", "x"]), st.binary())))
def test_nothing_is_taken_for_granted_of_headers(headers):
    """A letter that no worker of ours has written is read all the same."""
    letter = Letter.read(FakeMessage("d", 0, 0, None, None, headers=tuple(headers)))
    assert letter.source_offset >= -1
    assert isinstance(letter.topic, str)


# --- put back


def test_a_record_that_is_put_back_says_so():
    """Same key and value, its letter's place in a header; should it die again, the new letter names the first."""
    bad = FakeMessage("keyart.plays", 5, 7, b"ann", b"{")
    letter = Letter.read(arrived(dead_letter(bad, DecodeError("not_json", "no"), "viewing-1")))
    output = put_back(letter, PLAYS, letter.key, letter.value)
    assert (output.topic, output.key, output.value, output.partition) == (PLAYS, b"ann", b"{", None)
    assert dict(output.headers) == {REPLAY_HEADER: b"3:41"}
    again = arrived(output, 5, 8)
    assert is_replayed(again)
    assert not is_replayed(bad)
    second = Letter.read(arrived(dead_letter(again, DecodeError("not_json", "no"), "viewing-1"), 3, 42))
    assert (second.place, second.replay_of) == ("3:42", "3:41")


def test_a_mark_is_no_letter():
    """It lies in its letters' partition and names their offsets; a letter is no mark, whatever its value says."""
    output = replay_mark(3, [44, 41])
    assert (output.topic, output.partition) == (DEAD_LETTERS, 3)
    assert read_mark(arrived(output)) == [41, 44]
    letter = dead_letter(FakeMessage("t", 0, 0, b"k", output.value), DecodeError("invalid", "no"), "w")
    assert read_mark(arrived(letter)) is None
    assert read_mark(replace(arrived(output), value=b'{"replayed": "all"}')) == []


# --- between checkpoints


def test_waiting_letters_know_what_they_hold():
    """They are taken once, counted by code, and their memory is known while they wait."""
    metrics = WorkerMetrics(CollectorRegistry())
    waiting = WaitingLetters("tester", metrics)
    for size in (0, 10_000, 2 * MAX_KEPT_BYTES):
        waiting.add(FakeMessage("t", 0, 0, b"k", b"x" * size), DecodeError("not_json", "no"))
    assert MAX_KEPT_BYTES + 10_000 < waiting.held_bytes < MAX_KEPT_BYTES + 20_000
    assert len(waiting.take()) == 3
    assert (waiting.take(), waiting.held_bytes) == ([], 0)
    assert metrics.dead_letters.labels("not_json")._value.get() == 3


# --- the table of reasons


def test_every_code_that_is_raised_is_in_the_table():
    """And the table has no code that nothing raises; each is given as it stands, so that this test can see it."""
    raised = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "DecodeError":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: give the code as it stands"
                raised.add(node.args[0].value)
    assert raised == set(REASONS)


@pytest.mark.parametrize("reason", REASONS.values(), ids=lambda reason: reason.code)
def test_a_reason_is_a_code_and_two_sentences(reason):
    """The code is one word for machines, and a person is told what is wrong and what to do."""
    assert reason.code.replace("_", "").isalnum()
    assert reason.code == reason.code.lower()
    for sentence in (reason.meaning, reason.advice):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
