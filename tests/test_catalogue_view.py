"""The catalogue in memory: what is listed, what has changed, and that bad records change nothing."""

from __future__ import annotations

import pytest
from builders import FakeMessage, message_of, messages_of, some_title

from consumers.catalogue_view import CatalogueView
from stream.codec import encode
from stream.records import Artwork


def tombstone(title_id, offset=0, partition=0):
    """A title withdrawn."""
    return FakeMessage("keyart.catalogue", partition, offset, title_id.encode(), None)


@pytest.fixture
def view():
    """A catalogue of two titles, on different partitions."""
    view = CatalogueView()
    view.apply([message_of(some_title("film"), 0, 1), message_of(some_title("series", ["logo"]), 0, 2)])
    return view


def test_what_is_listed(view):
    """Titles, their artworks, and the partition each was read from."""
    assert set(view.titles) == {"film", "series"}
    assert view.get("film") == some_title("film")
    assert view.get("other") is None
    assert view.lists("film", "kiss")
    assert not view.lists("series", "kiss")
    assert not view.lists("other", "kiss")
    assert view.partition_of == {"film": 1, "series": 2}


def test_the_last_record_of_a_title_counts(view):
    """In one batch as in two: a title is replaced whole, its artworks too."""
    view.apply([message_of(some_title("film", ["a"])), message_of(some_title("film", ["b", "c"]))])
    assert [artwork.artwork_id for artwork in view.get("film").artworks] == ["b", "c"]
    assert not view.lists("film", "face")


def test_a_tombstone_withdraws(view):
    """The title is gone, its partition is remembered, so that whoever owns it can say so."""
    view.apply([tombstone("film", 1, 1)])
    assert view.get("film") is None
    assert view.partition_of["film"] == 1
    view.apply([tombstone("never heard of", 2, 3)])
    assert view.partition_of["never heard of"] == 3
    view.apply([message_of(some_title("film"), 3, 1)])
    assert view.lists("film", "face")


def test_what_has_changed_since(view):
    """Loaded, altered and withdrawn titles, each since the version that a reader has seen."""
    seen = view.version
    assert set(view.changed_since(-1)) == {"film", "series"}
    assert view.changed_since(seen) == []
    view.apply([message_of(some_title("film", ["new"])), tombstone("series")])
    assert set(view.changed_since(seen)) == {"film", "series"}
    between = view.version
    view.apply([message_of(some_title("third"))])
    assert view.changed_since(between) == ["third"]
    assert set(view.changed_since(seen)) == {"film", "series", "third"}


def test_themes_are_those_in_use(view):
    """Of titles and of artworks, people left out; a theme goes with the last title that has it."""
    tags = {"noir": 0.5, "cast:Ann": 1.0}
    view.apply([message_of(some_title("dark", [Artwork("shadow", tags)], themes={"crime": 1.0, "cast:Bob": 1.0}))])
    assert view.themes == {"comedy", "romance", "noir", "crime"}
    view.apply([tombstone("dark")])
    assert view.themes == {"comedy", "romance"}


BAD = {
    "no JSON": FakeMessage("keyart.catalogue", 1, 9, b"film", b"{"),
    "empty": FakeMessage("keyart.catalogue", 1, 9, b"film", b""),
    "no record": FakeMessage("keyart.catalogue", 1, 9, b"film", b"{}"),
    "no key": FakeMessage("keyart.catalogue", 1, 9, None, encode(some_title("film", ["new"]))),
    "no key, no value": FakeMessage("keyart.catalogue", 1, 9, None, None),
    "key is no text": FakeMessage("keyart.catalogue", 1, 9, b"\xff", None),
    "another title's key": FakeMessage("keyart.catalogue", 1, 9, b"series", encode(some_title("film", ["new"]))),
    "too large": FakeMessage("keyart.catalogue", 1, 9, b"film", encode(some_title("film")) + b" " * 65_536),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_record_leaves_the_last_good_one(view, bad):
    """It is counted; its neighbours are taken in; no title is lost or altered by it."""
    seen, before = view.version, dict(view.titles)
    view.apply([message_of(some_title("before")), bad, message_of(some_title("after"))])
    assert view.refused == 1
    assert view.titles == before | {"before": some_title("before"), "after": some_title("after")}
    assert set(view.changed_since(seen)) == {"before", "after"}


def test_readers_keep_what_they_hold(view):
    """A reader on another thread that holds the titles never sees them half changed."""
    held = view.titles
    view.apply([tombstone("film"), *messages_of([some_title("third")])])
    assert set(held) == {"film", "series"}
    assert set(view.titles) == {"series", "third"}


def test_names_and_weights_are_kept_once(view):
    """Of a tag that many artworks have there is one name and one weight in memory, and each says what it said."""
    tagged = [Artwork("face", {"comedy": 1.0, "of its own": 0.25}), Artwork("kiss", {"romance": 0.5})]
    given = [some_title("other", tagged), some_title("another", tagged)]
    view.apply(messages_of(given))
    assert [view.get(title.title_id) for title in given] == given
    kept = [one.themes for title in view.titles.values() for one in (title, *title.artworks)]
    for held in ([name for themes in kept for name in themes], [w for themes in kept for w in themes.values()]):
        assert len(set(map(id, held))) == len(set(held)) < len(held)
