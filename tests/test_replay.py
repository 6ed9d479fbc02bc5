"""Files of JSON lines as records to send."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import DAY_MS, some_settings

from producers.replay import MAX_LINE_BYTES, read_lines, survey_lines
from producers.times import Span, moved, shift_of
from stream.codec import decode
from stream.errors import ConfigurationError, InputError
from stream.records import Impression, Play
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS

TITLE = {
    "title_id": "t",
    "name": "A title",
    "runtime_seconds": 6000,
    "themes": {},
    "artworks": [{"artwork_id": "a", "themes": {}}],
}
IMPRESSION = {
    "impression_id": "i",
    "shown_ms": 1574553634762,
    "member_id": "m",
    "title_id": "t",
    "artwork_id": "a",
    "context": {"comedy": 0.5},
    "policy": "explore",
    "propensity": 1,
    "snapshot_version": None,
}
PLAY = {
    "play_id": "p",
    "played_ms": 1574553634762,
    "member_id": "m",
    "title_id": "t",
    "watched_seconds": 900,
    "impression": IMPRESSION,
}


def line(topic: str, record: Any) -> bytes:
    """One line of a log."""
    return json.dumps({"topic": topic, "record": record}).encode() + b"\n"


GOOD = line("catalogue", TITLE) + line("impressions", IMPRESSION) + line("plays", PLAY)


def written(folder: Path, content: bytes, name: str = "log.jsonl") -> Path:
    """A file that holds this."""
    file = folder / name
    file.write_bytes(content)
    return file


def test_each_record_goes_to_its_topic_by_its_key(tmp_path: Path) -> None:
    """A title and an impression are keyed by title, a play by member; order, bytes and times stay as they are."""
    outputs = list(read_lines(written(tmp_path, GOOD)))
    assert [(output.topic, output.key) for output in outputs] == [
        (CATALOGUE, b"t"),
        (IMPRESSIONS, b"t"),
        (PLAYS, b"m"),
    ]
    assert [json.loads(output.value or b"") for output in outputs] == [TITLE, IMPRESSION, PLAY]


def test_fields_that_are_not_known_yet_are_kept(tmp_path: Path) -> None:
    """A log of a later version is replayed in full, not cut down to what this one knows."""
    (output,) = read_lines(written(tmp_path, line("impressions", IMPRESSION | {"page": "home"})))
    assert json.loads(output.value or b"")["page"] == "home"


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n  \n"])
def test_empty_lines_are_passed_over(tmp_path: Path, ending: bytes) -> None:
    """A last line may lack its end, and what holds nothing is nothing."""
    assert survey_lines(written(tmp_path, b"\n" + GOOD.rstrip(b"\n") + ending))[0] == 3


def test_a_compressed_file_is_the_same(tmp_path: Path) -> None:
    """The name says whether a file is compressed."""
    plain, packed = written(tmp_path, GOOD), written(tmp_path, gzip.compress(GOOD), "log.jsonl.gz")
    assert list(read_lines(packed)) == list(read_lines(plain))


def test_a_dash_is_the_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its faults are named so."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD + b"{\n")))
    lines = read_lines(Path("-"))
    assert [next(lines), next(lines), next(lines)] == list(read_lines(written(tmp_path, GOOD)))
    with pytest.raises(InputError, match=r"^standard input:4: "):
        next(lines)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{\n", "not a line of a log"),
        (b"[]\n", "not a line of a log"),
        (b"\xff\n", "not a line of a log"),
        (b"[" * 100_000 + b"\n", "not a line of a log"),
        (line("snapshots", IMPRESSION), "topic"),
        (line("impressions", IMPRESSION)[:-2] + b',"key":"t"}\n', "key"),
        (b'{"topic":"impressions"}\n', "record"),
        (line("impressions", None), "Impression"),
        (line("impressions", IMPRESSION | {"propensity": 0}), "propensity"),
        (line("impressions", IMPRESSION | {"shown_ms": "now"}), "shown_ms"),
        (line("impressions", {**IMPRESSION, "title_id": ""}), "title_id"),
        (line("plays", PLAY | {"impression": {}}), "impression"),
        (line("catalogue", TITLE | {"artworks": []}), "artworks"),
        (line("impressions", IMPRESSION | {"note": "x" * 65536}), "bytes, the limit is 65536"),
        (b" " * MAX_LINE_BYTES + GOOD, f"longer than {MAX_LINE_BYTES} bytes"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: bytes, reason: str) -> None:
    """The message names the file, the line's number and the fault."""
    file = written(tmp_path, GOOD + bad + GOOD)
    with pytest.raises(InputError, match=reason) as caught:
        survey_lines(file)
    assert str(caught.value).startswith(f"{file}:4: ")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.jsonl", None, "cannot be read: No such file"),
        ("log.jsonl.gz", GOOD, "cannot be read: Not a gzipped file"),
        ("log.jsonl.gz", gzip.compress(GOOD * 1000)[:200], "cannot be read"),
        ("log.jsonl.gz", gzip.compress(GOOD)[:-9] + b"\xff" * 9, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    """A file that is missing, cut off or damaged is an error, not the end of the log."""
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        survey_lines(file)
    assert str(caught.value).startswith(str(file))


# --- times


NOW_MS = 1_800_000_000_000


def test_a_whole_log_is_moved_by_as_much(tmp_path: Path) -> None:
    """Impressions, plays and the impressions inside them; titles have no times. The spacing stays."""
    later = PLAY | {"played_ms": PLAY["played_ms"] + 5000}
    file = written(tmp_path, GOOD + line("plays", later))
    records, span = survey_lines(file)
    assert (records, span) == (4, Span(1574553634762, 1574553639762))
    shift_ms = shift_of(some_settings(max_behind_days=7), span, NOW_MS, keep_times=False)
    _, impression, play, last = (json.loads(output.value or b"") for output in read_lines(file, shift_ms=shift_ms))
    assert last["played_ms"] == NOW_MS
    assert play["played_ms"] == impression["shown_ms"] == play["impression"]["shown_ms"] == NOW_MS - 5000


def test_only_times_are_touched() -> None:
    """Every other byte of a record's values stays as it was written: numbers, unknown fields, their order."""
    value = (
        b'{"x":[1.50, {"shown_ms":3}],"shown_ms":7,"impression_id":"i","member_id":"m","title_id":"t",'
        b'"artwork_id":"a","context":{"c":0.10},"policy":"explore","propensity":1,"snapshot_version":null,'
        b'"big":123456789012345678901}'
    )
    found = moved(value, decode(Impression, value), 10)
    assert found == value.replace(b'"shown_ms":7', b'"shown_ms":17')


def test_a_time_before_all_time() -> None:
    """An old impression inside a play cannot be moved to before 1970."""
    value = json.dumps(PLAY | {"impression": IMPRESSION | {"shown_ms": 5}}).encode()
    play = decode(Play, moved(value, decode(Play, value), -10))
    assert play.impression is not None
    assert play.impression.shown_ms == 0


@pytest.mark.parametrize(
    "span", [Span(), Span(NOW_MS - 6 * DAY_MS, NOW_MS - DAY_MS)], ids=["no events", "last week"]
)
def test_times_that_can_be_kept(span: Span) -> None:
    """A log that workers take in as it is."""
    assert shift_of(some_settings(max_behind_days=7), span, NOW_MS, keep_times=True) == 0


@pytest.mark.parametrize(
    ("span", "keep_times", "setting"),
    [
        (Span(NOW_MS - 8 * DAY_MS, NOW_MS), True, "max_behind_days"),
        (Span(NOW_MS, NOW_MS + DAY_MS), True, "max_ahead_seconds"),
        (Span(0, 8 * DAY_MS), False, "max_behind_days"),
    ],
    ids=["old", "of the future", "too long"],
)
def test_what_workers_would_refuse_is_not_sent(span: Span, keep_times: bool, setting: str) -> None:
    """The setting is named; lifted, there is nothing to refuse."""
    with pytest.raises(ConfigurationError, match=f"^{setting}: .* set it to 0"):
        shift_of(some_settings(max_behind_days=7), span, NOW_MS, keep_times=keep_times)
    lifted = some_settings(max_behind_days=0, max_ahead_seconds=0)
    assert shift_of(lifted, span, NOW_MS, keep_times=keep_times) == (0 if keep_times else NOW_MS - 8 * DAY_MS)
