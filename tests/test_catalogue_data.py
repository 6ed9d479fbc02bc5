"""The catalogue that comes with Keyart holds what a first try, the simulated audience and the models need."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from producers.catalogue import load_catalogue
from stream.features import CAST_PREFIX
from stream.posters.motifs import MOTIFS

if TYPE_CHECKING:
    from stream.records import Artwork, Title

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@pytest.fixture(scope="module")
def titles() -> dict[str, Title]:
    """The catalogue by title id."""
    found = load_catalogue(Path(__file__).parent.parent / "deploy" / "catalogue.json")
    return {title.title_id: title for title in found}


def themes(artwork: Artwork) -> dict[str, float]:
    """What an artwork shows, apart from people."""
    return {tag: weight for tag, weight in artwork.themes.items() if not tag.startswith(CAST_PREFIX)}


def people(artwork: Artwork) -> frozenset[str]:
    """Whom an artwork shows."""
    return frozenset(tag.removeprefix(CAST_PREFIX) for tag in artwork.themes if tag.startswith(CAST_PREFIX))


def lead(artwork: Artwork) -> str:
    """The theme an artwork shows most."""
    return max(themes(artwork), key=themes(artwork).__getitem__)


def test_there_are_enough_titles(titles: dict[str, Title]) -> None:
    """Sixty titles or more, each with three to nine artworks."""
    assert len(titles) >= 60
    assert {name: len(t.artworks) for name, t in titles.items() if not 3 <= len(t.artworks) <= 9} == {}


def test_ids_are_slugs_and_no_picture_comes_from_elsewhere(titles: dict[str, Title]) -> None:
    """Ids can stand in an address as they are, and every poster is drawn."""
    ids = [*titles, *(artwork.artwork_id for title in titles.values() for artwork in title.artworks)]
    assert [one for one in ids if not SLUG.fullmatch(one)] == []
    assert [artwork for title in titles.values() for artwork in title.artworks if artwork.image is not None] == []


def test_runtimes_are_those_of_an_episode_or_a_film(titles: dict[str, Title]) -> None:
    """Runtimes are in seconds: none is below 20 minutes or above four hours."""
    assert {n: t.runtime_seconds for n, t in titles.items() if not 20 * 60 <= t.runtime_seconds <= 4 * 3600} == {}


def test_themes_come_from_one_vocabulary(titles: dict[str, Title]) -> None:
    """Titles and artworks use the themes that have a motif, and all of them."""
    used = {theme for title in titles.values() for artwork in title.artworks for theme in themes(artwork)}
    assert used == set(MOTIFS)
    assert {theme for title in titles.values() for theme in title.themes} == set(MOTIFS)


def test_every_artwork_has_one_leading_theme(titles: dict[str, Title]) -> None:
    """No artwork is undecided between two themes."""
    undecided = [
        (title.title_id, artwork.artwork_id)
        for title in titles.values()
        for artwork in title.artworks
        if Counter(themes(artwork).values())[max(themes(artwork).values())] > 1
    ]
    assert undecided == []


def test_the_artworks_of_a_title_differ(titles: dict[str, Title]) -> None:
    """No two artworks of a title have the same leading theme and show the same people."""
    alike = []
    for title in titles.values():
        kinds = Counter((lead(artwork), people(artwork)) for artwork in title.artworks)
        alike += [(title.title_id, kind) for kind, count in kinds.items() if count > 1]
    assert alike == []


def test_a_title_offers_several_tastes_something(titles: dict[str, Title]) -> None:
    """The artworks of each title lead with three themes or more: there is something to personalise."""
    offers = {name: {lead(artwork) for artwork in title.artworks} for name, title in titles.items()}
    assert {name: leads for name, leads in offers.items() if len(leads) < 3} == {}


@pytest.mark.parametrize("theme", sorted(MOTIFS))
def test_a_taste_for_one_theme_finds_titles(titles: dict[str, Title], theme: str) -> None:
    """Three titles or more are mostly about the theme, and five artworks or more lead with it."""
    about = [name for name, title in titles.items() if title.themes.get(theme, 0) == max(title.themes.values())]
    showing = [artwork for title in titles.values() for artwork in title.artworks if lead(artwork) == theme]
    assert len(about) >= 3
    assert len(showing) >= 5


def test_people_connect_titles(titles: dict[str, Title]) -> None:
    """Thirty people or more are shown in several titles, so that a taste for a person carries over."""
    seen = defaultdict(set)
    for title in titles.values():
        for artwork in title.artworks:
            for person in people(artwork):
                seen[person].add(title.title_id)
    assert sum(len(where) > 1 for where in seen.values()) >= 30
    regulars = ("Uma Thurman", "John Travolta", "Robin Williams", "Matt Damon", "Bill Murray")
    assert [person for person in regulars if len(seen[person]) < 3] == []


def test_stranger_things_has_nine_artworks(titles: dict[str, Title]) -> None:
    """The series that the nine artworks were promised of."""
    assert len(titles["stranger-things"].artworks) == 9


@pytest.mark.parametrize(
    ("title_id", "artwork_id", "theme", "shown"),
    [
        ("good-will-hunting", "the-couple", "romance", {"Matt Damon", "Minnie Driver"}),
        ("good-will-hunting", "robin-williams", "comedy", {"Robin Williams"}),
        ("pulp-fiction", "uma-thurman", None, {"Uma Thurman"}),
        ("pulp-fiction", "john-travolta", None, {"John Travolta"}),
    ],
)
def test_the_examples_show_what_they_are_known_for(
    titles: dict[str, Title], title_id: str, artwork_id: str, theme: str | None, shown: set[str]
) -> None:
    """The couple for those who like romance, the comedian for those who like comedy, a star for her followers."""
    (artwork,) = (a for a in titles[title_id].artworks if a.artwork_id == artwork_id)
    assert people(artwork) == shown
    assert theme in {None, lead(artwork)}
