"""A catalogue file is read whole or refused with one sentence that names what to mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from producers.catalogue import load_catalogue
from stream.errors import InputError
from stream.records import MAX_ARTWORKS, Artwork, Title

EXAMPLE = Path(__file__).parent.parent / "deploy" / "catalogue.json"


def title(**changes: Any) -> dict[str, Any]:
    """A title as it stands in a file."""
    artworks = [
        {"artwork_id": "one", "themes": {"drama": 1}},
        {"artwork_id": "two", "themes": {"cast:A. B.": 0.5}},
    ]
    return {"title_id": "t", "name": "T", "runtime_seconds": 60, "themes": {}, "artworks": artworks} | changes


def write(path: Path, content: object) -> Path:
    """A file of that content; what is not bytes is written as JSON."""
    file = path / "catalogue.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def test_the_example_is_a_catalogue() -> None:
    """The catalogue that comes with Keyart can be loaded, and has several artworks for each title."""
    titles = load_catalogue(EXAMPLE)
    assert len(titles) >= 5
    assert len({entry.title_id for entry in titles}) == len(titles)
    assert all(len(entry.artworks) > 1 for entry in titles)


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    """Every field arrives, in order; unknown fields and a byte order mark do no harm."""
    entries = [
        title(),
        title(title_id="u", director="somebody", artworks=[title()["artworks"][0] | {"image": "x"}]),
    ]
    file = write(tmp_path, b"\xef\xbb\xbf" + json.dumps(entries).encode())
    two = (Artwork("one", {"drama": 1.0}), Artwork("two", {"cast:A. B.": 0.5}))
    assert load_catalogue(file) == [
        Title("t", "T", 60, {}, two),
        Title("u", "T", 60, {}, (Artwork("one", {"drama": 1.0}, image="x"),)),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON in line 1, column 1"),
        (b'[\n  {"title_id": "t",\n   "name": }]', "not JSON in line 3, column 12"),
        (b'[{"title_id": "t"}] more', "not JSON in line 1, column 21"),
        (b'["a",\n"\xff"]', "not UTF-8 in line 2"),
        (b'[{"runtime_seconds": NaN}]', "NaN is not a number"),
        (b"[" * 200_000, "nested too deeply"),
        (b'[{"runtime_seconds": ' + b"9" * 5000 + b"}]", "not a catalogue"),
        (b"{}", "must be a JSON array of titles"),
        (b"[]", "there are no titles in it"),
        ([3], "title number 1: expected `object`, got `int`"),
        ([title(), {}], "title number 2: object missing required field `title_id`"),
        ([title(title_id=5)], "title number 1: title_id: expected `str`, got `int`"),
        ([title(title_id="")], "title number 1: title_id: expected `str` of length >= 1"),
        ([title(title_id="a\n")], r"title 'a\n': title_id: "),
        ([title(name="")], "title 't': name: "),
        ([title(runtime_seconds=0)], "title 't': runtime_seconds: expected `float` > 0"),
        ([title(themes={"drama": 2})], "title 't': themes[...]: expected `float` <= 1"),
        ([title(artworks=[])], "title 't': artworks: expected `array` of length >= 1"),
        (
            [title(artworks=[{"artwork_id": "x"}])],
            "title 't': artworks[0]: object missing required field `themes`",
        ),
        (
            [title(artworks=[{"artwork_id": "x", "themes": {}}, {"artwork_id": "y", "themes": {"d": "1"}}])],
            "title 't': artworks[1].themes[...]: expected `float`, got `str`",
        ),
        ([title(artworks=[title()["artworks"][0]] * 2)], "title 't': artwork 'one' is listed twice"),
        ([title(), title(title_id="u"), title()], "title 't' is listed twice"),
        ([title(name="\ud800")], "title 't': "),
        (
            [
                title(
                    artworks=[
                        {"artwork_id": f"{i}", "themes": {}, "image": "x" * 2048} for i in range(MAX_ARTWORKS)
                    ]
                )
            ],
            "the limit is 65536",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: object, says: str) -> None:
    """The sentence names the file, the place, and what is wrong there."""
    file = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        load_catalogue(file)
    reason = str(caught.value)
    assert reason.startswith(f"{file}: ")
    assert says in reason
    assert "\n" not in reason


@pytest.mark.parametrize(("name", "says"), [("nowhere.json", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, says: str) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(InputError, match=f"cannot be read: {says}"):
        load_catalogue(tmp_path / name)
