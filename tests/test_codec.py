"""Bytes of any kind become a record or a DecodeError, and nothing else."""

from __future__ import annotations

import json
import math
import string

import numpy as np
import pytest
from builders import repeatable, some_impression, some_play, some_reward, some_title
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.codec import decode, decode_key, encode, encode_fields
from stream.errors import DecodeError
from stream.records import (
    MAX_NESTING,
    MAX_RECORD_BYTES,
    Artwork,
    Impression,
    Play,
    Record,
    RewardChange,
    Snapshot,
    Taste,
    Title,
)

KINDS = [Impression, Play, RewardChange, Taste, Title, Snapshot]
CODES = {"empty", "too_large", "too_deep", "not_utf8", "not_json", "invalid"}
GOOD = {
    Impression: encode(some_impression(canvas="wide")),
    Play: encode(some_play(impression=some_impression())),
    RewardChange: encode(some_reward(some_impression(), 0.5)),
    Taste: encode(Taste("ann", 5, 1, {"drama": 1.0})),
    Title: encode(some_title()),
    Snapshot: b'{"title_id":"film","version":0}',
}
many = settings(repeatable, max_examples=120)


def read(kind, value, limit=MAX_RECORD_BYTES):
    """The record; or the code and reason of the error, having checked that a person could read it."""
    error = None
    try:
        record = decode(kind, value, limit=limit)
    except DecodeError as found:
        error = found
    if error is not None:
        assert error.code in CODES
        assert error.reason.startswith(kind.__name__ + ": ")
        assert str(error) == error.reason
        assert len(error.reason) < 500
        return error.code, error.reason
    assert isinstance(record, kind)
    again = encode(record)
    assert decode(kind, again, limit=None) == record
    assert encode(decode(kind, again, limit=None)) == again
    return record


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestAnyBytes:
    """Nothing escapes but a DecodeError."""

    @many
    @given(value=st.binary(max_size=200))
    def test_random_bytes(self, kind, value):
        """Bytes of no meaning."""
        read(kind, value)

    @many
    @given(data=st.data())
    def test_bytes_gone_wrong(self, kind, data):
        """A good record with a few bytes altered, cut out, repeated or put in."""
        value = bytearray(GOOD[kind])
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(value)))
            upto = data.draw(st.integers(at, min(at + 20, len(value))))
            value[at:upto] = data.draw(st.binary(max_size=5) | st.just(bytes(value[at:upto] * 2)))
        read(kind, bytes(value))

    @repeatable
    @given(data=st.data())
    def test_wrong_shapes(self, kind, data):
        """A good record with a field of any JSON at all."""
        fields = json.loads(GOOD[kind])
        name = data.draw(st.sampled_from([*fields, "unknown"]))
        numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), math.inf, math.nan])
        leaves = st.none() | st.booleans() | numbers | st.text(st.characters(codec=None), max_size=5)
        anything = st.recursive(
            leaves, lambda s: st.lists(s) | st.dictionaries(st.text(max_size=5), s), max_leaves=4
        )
        fields[name] = data.draw(anything)
        read(kind, json.dumps(fields, ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass"))

    @pytest.mark.parametrize(
        ("value", "code"),
        [
            (None, "empty"),
            (b"", "empty"),
            (b" ", "not_json"),
            (b"null", "invalid"),
            (b"[]", "invalid"),
            (b"{}", "invalid"),
            (b"7", "invalid"),
            (b"\x00", "not_json"),
            (b"\xff\xfe{\x00}\x00", "not_json"),
            (b"\xef\xbb\xbf{}", "not_json"),
            (b"{'member_id': 1}", "not_json"),
            (b"{" * 100_000, "too_large"),
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_what_is_no_record(self, kind, value, code):
        """Each kind of nothing has its code."""
        assert read(kind, value)[0] == code

    @pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"":'], ids=repr)
    @pytest.mark.parametrize("within", [b"", b'{"unknown":'], ids=["bare", "in an unknown field"])
    def test_deep_nesting(self, kind, opening, within):
        """A hundred thousand brackets are refused as text, also where unknown fields are skipped."""
        code, _ = read(kind, within + opening * 100_000, limit=None)
        assert code in {"not_json", "invalid"}
        assert read(kind, within + opening * 100_000)[0] == "too_large"

    def test_trailing_text(self, kind):
        """Two records in one are none."""
        if kind is not Snapshot:
            assert read(kind, GOOD[kind] + b"{}")[0] == "not_json"
            assert isinstance(read(kind, b" " + GOOD[kind] + b" \n"), kind)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\xff", "not_utf8"),
        (b"\xc3(", "not_utf8"),
        (b"\xed\xa0\x80", "not_utf8"),
        (b"\xf5\x80\x80\x80", "not_utf8"),
        (b"\\ud800", "not_json"),
        (b"\\udc00\\ud800", "not_json"),
        (b"\\u1g", "not_json"),
        (b"\\x41", "not_json"),
        (b"\n", "not_json"),
        (b"\\u0000", "invalid"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("field", ["member_id", "context"])
def test_text_that_is_none(field, bad, code):
    """Bytes that are no UTF-8, half a surrogate pair, and broken escapes: in values and in names."""
    piece = b'"member_id":"ann"' if field == "member_id" else b'"comedy":'
    place = b'"member_id":"an' + bad + b'n"' if field == "member_id" else b'"com' + bad + b'edy":'
    value = GOOD[Impression].replace(piece, place)
    assert value != GOOD[Impression]
    if field == "context" and code == "invalid":
        return  # a theme may hold what an id may not
    found, reason = read(Impression, value)
    assert found == code
    if code == "not_utf8":
        assert reason == f"Impression: not UTF-8 at byte {value.index(bad)}"


def test_a_surrogate_pair_is_one_character():
    """What two escapes say together is read as the character it is."""
    value = GOOD[Impression].replace(b'"ann"', b'"\\ud83c\\udfad"')
    assert read(Impression, value).member_id == "\U0001f3ad"


names = st.text(min_size=1, max_size=8)
ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8)
themes = st.dictionaries(names, st.floats(0, 1), max_size=4)
times = st.integers(0, 253_402_300_799_999)
shown = st.builds(
    Impression,
    ids,
    times,
    ids,
    ids,
    ids,
    st.dictionaries(names, st.floats(-1e6, 1e6), max_size=4),
    st.sampled_from(["personal", "popular", "explore", "app"]),
    st.floats(0, 1, exclude_min=True),
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | ids,
    st.none() | ids,
)
played = st.builds(Play, ids, times, ids, ids, st.floats(0, 1e7), st.none() | shown)
listed = st.builds(
    Title, ids, names, st.floats(0, 1e7, exclude_min=True), themes, st.tuples(st.builds(Artwork, ids, themes))
)


@many
@given(shown | played | listed)
@example(some_impression(context={"x": -0.0, "y": 5e-324, "z": 1e6}))
def test_records_come_back(record: Record):
    """Any record within the limits is written and read back equal, to the last bit of its numbers."""
    value = encode(record)
    found = decode(type(record), value)
    assert found == record
    assert encode(found) == value
    assert repr(found) == repr(record)  # tells -0.0 from 0.0


@repeatable
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_arrays_are_written_to_the_last_bit(numbers):
    """NumPy arrays in a record's fields are read back bit for bit, as a list."""
    array = np.array(numbers)
    value = encode_fields({"numbers": array, "nested": [{"row": array}], "names": ("bias",)})
    found = json.loads(value)
    assert np.array(found["numbers"]).tobytes() == array.tobytes()
    assert found["nested"][0]["row"] == found["numbers"]
    assert found["names"] == ["bias"]


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"ab\xed\xa0\x80"], ids=repr)
def test_keys_that_are_none(key):
    """A record without a key, or with one that is no text, is refused as such."""
    with pytest.raises(DecodeError, match="key") as caught:
        decode_key(key)
    assert caught.value.code == "bad_key"


@pytest.mark.parametrize("key", ["film", "\U0001f3ad", "\x00position", string.printable])
def test_keys_are_text(key):
    """Any UTF-8 is a key; whether it fits the record is for the reader to say."""
    assert decode_key(key.encode()) == key


# --- nesting


def nested(depth, opening=b"[", closing=b"]"):
    """An impression that holds brackets so deep, itself among them, in a field we do not know."""
    return GOOD[Impression][:-1] + b',"more":' + opening * (depth - 1) + closing * (depth - 1) + b"}"


@pytest.mark.parametrize(("depth", "is_read"), [(2, True), (MAX_NESTING, True), (MAX_NESTING + 1, False)])
@pytest.mark.parametrize(
    "brackets", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"]":', b"}]")], ids=["[]", "{}", "both"]
)
def test_how_deep_a_record_may_be_nested(depth, is_read, brackets):
    """The limit is a number of ours, whatever kinds of brackets there are; those in strings are none."""
    opening, closing = brackets
    if len(closing) == 2:
        depth = 1 + (depth - 1) // 2 + (not is_read)
    value = nested(depth, opening, closing).replace(b":}", b":1}")
    found = read(Impression, value)
    assert isinstance(found, Impression) if is_read else found[0] == "too_deep"


def test_many_brackets_side_by_side_are_not_deep():
    """A title with as many artworks as there may be is read; so is a string full of brackets."""
    artworks = tuple(Artwork(f"a{n}", {"x": 1.0}) for n in range(256))
    assert isinstance(read(Title, encode(some_title(artworks=artworks))), Title)
    assert isinstance(read(Impression, GOOD[Impression][:-1] + b',"more":"' + b'[{\\"' * 5000 + b'"}'), Impression)


@pytest.mark.parametrize("value", [b"[" * 60_000, b"[" * 20_000 + b"]" * 20_000, b"{}" * 30_000, b'"' * 60_001])
def test_bracket_storms_are_answered_at_once(value):
    """However many there are, balanced or not: a reason, and the next record."""
    assert read(Impression, value)[0] in {"too_deep", "not_json", "invalid"}


def test_the_answer_does_not_depend_on_the_stack():
    """The decoder gives up where Python's stack ends: a record that is good here must not be bad further down."""

    def below(levels):
        return read(Impression, nested(MAX_NESTING)) if levels == 0 else below(levels - 1)

    assert isinstance(below(0), Impression)
    assert isinstance(below(600), Impression)


def test_a_reason_does_not_repeat_what_it_complains_of():
    """A value of any length that is none of those allowed is quoted in part."""
    _, reason = read(Impression, GOOD[Impression].replace(b"personal", b"x" * 50_000))
    assert "`$.policy`" in reason
