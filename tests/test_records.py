"""Records: what their types let in, and that every limit is one."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from builders import some_impression, some_play, some_reward, some_title
from msgspec import ValidationError

from stream.codec import decode, encode
from stream.errors import DecodeError
from stream.records import (
    MAX_ARTWORKS,
    MAX_FEATURES,
    MAX_NAME,
    MAX_RECORD_BYTES,
    Artwork,
    Impression,
    Play,
    RewardChange,
    Snapshot,
    Taste,
    Title,
)

SNAPSHOT = {
    "title_id": "film",
    "version": 3,
    "published_ms": 2,
    "learned_through_ms": 1,
    "features": ["bias", "comedy"],
    "model": {"prior_precision": [10.0, 10.0], "noise_precision": 20.0, "half_life_days": None},
    "artworks": [
        {
            "artwork_id": "face",
            "impressions": 2,
            "plays": 1,
            "reward": 0.5,
            "prior_mean": [0.0, 0.0],
            "mean": [0.5, 0.25],
            "factor": [1.0, 0.0, 1.0],
        }
    ],
}
EXAMPLES = {
    Impression: some_impression(canvas="wide"),
    Play: some_play(impression=some_impression()),
    RewardChange: some_reward(some_impression(), 0.5),
    Taste: Taste("ann", 5, 1, {"drama": 1.0, "cast:Ann": 1.0}),
    Title: some_title(artworks=[Artwork("face", {"comedy": 1.0}, "wide", "face.jpg")]),
    Snapshot: msgspec.convert(SNAPSHOT, Snapshot),
}
KINDS = sorted(EXAMPLES, key=lambda kind: kind.__name__)


def altered(kind, path, value):
    """The example with one field set, as bytes; ``a.b`` is a field within."""
    fields = json.loads(encode(EXAMPLES[kind]))
    *parents, last = path.split(".")
    place = fields
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    return json.dumps(fields).encode()


IDS = [
    (Impression, name) for name in ("impression_id", "member_id", "title_id", "artwork_id", "canvas")
] + [(Play, "play_id"), (Play, "member_id"), (Play, "title_id"), (Play, "impression.impression_id")] + [
    (RewardChange, "impression_id"), (Title, "title_id"), (Title, "artworks.0.artwork_id"),
    (Title, "artworks.0.canvas"), (Taste, "member_id"),
]  # fmt: skip
TIMES = [(Impression, "shown_ms"), (Play, "played_ms"), (RewardChange, "credited_ms"), (Taste, "updated_ms")]
NAMED = [
    (Impression, "context"),
    (Play, "impression.context"),
    (RewardChange, "context"),
    (Title, "themes"),
    (Title, "artworks.0.themes"),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestEvery:
    """What holds for each record."""

    def test_comes_back(self, kind):
        """Bytes decode to the record they were made of, and encode to themselves."""
        value = encode(EXAMPLES[kind])
        assert decode(kind, value) == EXAMPLES[kind]
        assert encode(decode(kind, value)) == value

    def test_unknown_fields_are_ignored(self, kind):
        """Records can grow."""
        assert decode(kind, altered(kind, "added_later", {"x": [None]})) == EXAMPLES[kind]

    def test_fields_are_required_and_typed(self, kind):
        """Each field left out, null, or of another type is refused by name; only what may be null may."""
        fields = json.loads(encode(EXAMPLES[kind]))
        optional = {"canvas", "image"}
        nullable = optional | {"impression", "snapshot_version"}
        for name in fields:
            without = {key: value for key, value in fields.items() if key != name}
            if name not in optional:
                with pytest.raises(DecodeError, match=f"missing required field `{name}`"):
                    decode(kind, json.dumps(without).encode())
            if name not in nullable:
                with pytest.raises(DecodeError, match=re.escape(f"`$.{name}`")):
                    decode(kind, json.dumps(fields | {name: None}).encode())
            with pytest.raises(DecodeError, match=re.escape(f"`$.{name}`")):
                decode(kind, json.dumps(fields | {name: True}).encode())

    def test_cannot_be_changed(self, kind):
        """Records are frozen."""
        with pytest.raises(AttributeError):
            setattr(EXAMPLES[kind], EXAMPLES[kind].__struct_fields__[0], "other")


def refused(kind, path, value):
    """The sentence that refuses it, which names the field."""
    with pytest.raises(DecodeError) as caught:
        decode(kind, altered(kind, path, value))
    assert caught.value.code == "invalid"
    leaf = re.sub(r"\.(\d+)", r"[\1]", path)
    assert f"$.{leaf}" in caught.value.reason
    assert caught.value.reason.startswith(kind.__name__ + ": ")
    assert "\n" not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize(("kind", "path"), IDS, ids=lambda part: getattr(part, "__name__", part))
class TestIds:
    """Ids are what can be a Kafka key and a line in a log."""

    @pytest.mark.parametrize(
        "bad", ["", "a" * (MAX_NAME + 1), "a\x00b", "a\nb", "b\n", "\x7f", "\x1f", "a\u2028\n", 7]
    )
    def test_refused(self, kind, path, bad):
        """Empty, too long, with a control character wherever it stands, or no text."""
        assert refused(kind, path, bad)

    @pytest.mark.parametrize(
        "good", ["a", "a" * MAX_NAME, "\U0001f3ad" * MAX_NAME, "e\u0301", " ", "\u202eabc", "a:b/c"]
    )
    def test_kept_as_they_are(self, kind, path, good):
        """Any other text, up to the limit in characters and not in bytes, unchanged and unnormalised."""
        value = altered(kind, path, good)
        assert json.loads(encode(decode(kind, value))) == json.loads(value)


@pytest.mark.parametrize(("kind", "path"), TIMES, ids=lambda part: getattr(part, "__name__", part))
class TestTimes:
    """Times are milliseconds between 1970 and the end of the year 9999."""

    @pytest.mark.parametrize("bad", [-1, 253_402_300_800_000, 10**30, 1.5, "1", None, True])
    def test_refused(self, kind, path, bad):
        """Outside, not whole, or no number."""
        assert refused(kind, path, bad)

    @pytest.mark.parametrize("good", [0, 253_402_300_799_999])
    def test_limits_are_included(self, kind, path, good):
        """The first and the last moment."""
        assert getattr(decode(kind, altered(kind, path, good)), path) == good


@pytest.mark.parametrize(("kind", "path"), NAMED, ids=lambda part: getattr(part, "__name__", part))
class TestNamedNumbers:
    """Contexts and themes."""

    def test_as_many_as_the_limit(self, kind, path):
        """MAX_FEATURES names are let in, one more is refused."""
        names = {f"t{n}": 0.5 for n in range(MAX_FEATURES)}
        decode(kind, altered(kind, path, names))
        assert f"<= {MAX_FEATURES}" in refused(kind, path, names | {"one more": 0.5})

    @pytest.mark.parametrize("name", ["", "n" * (MAX_NAME + 1)])
    def test_names(self, kind, path, name):
        """A theme's is 1 to MAX_NAME characters; a feature that has another is none of ours, and ignored."""
        if path.endswith("context"):
            value = altered(kind, path, {name: 0.5})
            assert json.loads(encode(decode(kind, value))) == json.loads(value)
        else:
            assert "key" in refused(kind, path, {name: 0.5})

    @pytest.mark.parametrize("bad", ["0.5", None, True, [0.5], {}])
    def test_values_are_numbers(self, kind, path, bad):
        """Nothing else is a value."""
        assert refused(kind, path, {"drama": bad})


def raw(kind, path, old, new):
    """The example with a piece of its JSON replaced by what Python's writer would not write."""
    value = altered(kind, path, {"drama": 0.123}).replace(b"0.123", new)
    assert old not in value
    return value


@pytest.mark.parametrize(("kind", "path"), NAMED, ids=lambda part: getattr(part, "__name__", part))
@pytest.mark.parametrize(
    "number", [b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 400, b"1_0", b"0x1", b"01", b".5"]
)
def test_numbers_that_are_none(kind, path, number):
    """Neither infinite nor no number at all gets in, whichever way it is spelt."""
    with pytest.raises(DecodeError) as caught:
        decode(kind, raw(kind, path, b"0.123", number))
    assert caught.value.code in {"invalid", "not_json"}


@pytest.mark.parametrize(
    ("kind", "path", "good", "bad"),
    [
        (Impression, "context", [{"x": -1e6}, {"x": 1e6}, {}], [{"x": 1.0001e6}, {"x": -1.0001e6}]),
        (Impression, "propensity", [1e-300, 1], [0, -0.1, 1.0001, None, "0.5"]),
        (Impression, "policy", ["personal", "popular", "explore", "app"], ["Personal", "", None, 1]),
        (Impression, "snapshot_version", [None, 0, 2**60], [-1, 1.5, "1"]),
        (Play, "watched_seconds", [0, 1e7, 0.1], [-0.001, 1.0001e7, "1", None]),
        (Play, "impression", [None], [{}, [], "token"]),
        (RewardChange, "credit", [-1, 0, 1], [-1.001, 1.001]),
        (RewardChange, "reward", [0, 1], [-0.001, 1.001]),
        (Title, "name", ["n" * 256, "七人の侍"], ["", "n" * 257]),
        (Title, "runtime_seconds", [1e-3, 1e7], [0, -1, 1.0001e7]),
        (Title, "themes", [{}, {"x": 0}, {"x": 1}], [{"x": -0.001}, {"x": 1.001}]),
        (Title, "artworks", [], [[], [{}], None, [{"artwork_id": "a"}]]),
        (Title, "artworks.0.image", [None, "i" * 2048], ["i" * 2049, 1]),
        (Taste, "views", [0, 10**9], [-1, 0.5]),
        (Taste, "taste", [{}, {"x": 1}], [{"x": 1.001}, {"x": -0.001}]),
        (Snapshot, "version", [0], [-1, None]),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_limits(kind, path, good, bad):
    """The edges of each field are let in; what lies past them is refused by the field's name."""
    for value in good:
        decode(kind, altered(kind, path, value))
    for value in bad:
        assert refused(kind, path, value)


def test_artworks_of_a_title():
    """As many as MAX_ARTWORKS, and each listed once."""
    artworks = [{"artwork_id": f"a{n}", "themes": {}} for n in range(MAX_ARTWORKS)]
    assert len(decode(Title, altered(Title, "artworks", artworks)).artworks) == MAX_ARTWORKS
    assert refused(Title, "artworks", [*artworks, {"artwork_id": "more", "themes": {}}])
    with pytest.raises(DecodeError, match="artwork 'a3' is listed twice"):
        decode(Title, altered(Title, "artworks", [*artworks[:9], artworks[3]]))
    with pytest.raises(ValueError, match="artwork 'a' is listed twice"):
        some_title(artworks=("a", "a"))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("features", ["bias"], "prior_precision"),
        ("model.prior_precision", [1.0], "prior_precision"),
        ("artworks.0.mean", [1.0], "'face' has vectors of the wrong length"),
        ("artworks.0.prior_mean", [1.0] * 3, "'face' has vectors of the wrong length"),
        ("artworks.0.factor", [1.0] * 4, "'face' has vectors of the wrong length"),
    ],
)
def test_a_snapshots_vectors_fit_together(path, value, says):
    """One number per feature, and a triangle of them in each factor."""
    with pytest.raises(DecodeError, match=says):
        decode(Snapshot, altered(Snapshot, path, value))


def test_a_record_that_is_too_large():
    """One byte above the limit is refused with both numbers; the limit itself is let in."""
    value = encode(EXAMPLES[Impression])
    padded = value[:-1] + b" " * (MAX_RECORD_BYTES - len(value)) + b"}"
    assert decode(Impression, padded) == EXAMPLES[Impression]
    with pytest.raises(DecodeError) as caught:
        decode(Impression, padded + b" ")
    assert caught.value.code == "too_large"
    assert caught.value.reason == "Impression: 65537 bytes, the limit is 65536"
    assert decode(Impression, padded + b" ", limit=None) == EXAMPLES[Impression]


def test_python_cannot_make_what_the_types_forbid_twice_over():
    """Conversion from plain values checks as decoding does."""
    with pytest.raises(ValidationError, match="propensity"):
        msgspec.convert(json.loads(altered(Impression, "propensity", 2)), Impression)
