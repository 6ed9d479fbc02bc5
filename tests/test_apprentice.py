"""Members who are left to the app: it is shown what the app shows, and told what Keyart would have shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import START_MS, some_settings, some_title
from tables import MemoryTables, choosing, some_snapshot, some_taste

from consumers import ArtworkChooser
from consumers.chooser import UnknownArtwork, UnknownCanvas
from producers.token import verify
from stream.choosing.choice import key_of, left_to_app, policy_of
from stream.records import Artwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "a secret for the tests"
#: In nobody's slice but the personal one.
ANN = "ann"
TABLES = (some_title(), some_snapshot(), some_taste(ANN, romance=1.0))


@pytest.fixture
def make() -> Iterator[Callable[..., ArtworkChooser]]:
    """Makes choosers that follow tables in memory, at a fixed time; apprentices, if nothing else is said."""
    made: list[ArtworkChooser] = []

    def make_one(*records: Any, **changes: Any) -> ArtworkChooser:
        settings = some_settings(**({"token_secrets": (SECRET,), "app_share": 1} | changes))
        chooser = ArtworkChooser(settings, now_ms=lambda: START_MS, open_tables=MemoryTables(*records).open)
        made.append(chooser)
        chooser.wait_ready(20)
        return chooser

    yield make_one
    for chooser in made:
        chooser.close()


def test_the_impression_says_who_chose_and_what_was_advised(make: Callable[..., ArtworkChooser]) -> None:
    """Signed with it: propensity 1, as the app would have shown it to anybody."""
    choice = make(*TABLES).choose(ANN, "film", own="face")
    logged = verify(choice.token, [SECRET.encode()], now_ms=START_MS, max_age_ms=1000)
    assert (logged.artwork_id, logged.policy, logged.propensity, logged.advised) == ("face", "app", 1.0, "kiss")
    assert (choice.artwork_id, choice.policy, choice.propensity, choice.advised) == ("face", "app", 1.0, "kiss")
    assert logged.snapshot_version == 10


def test_the_advice_is_what_a_personal_member_is_shown(make: Callable[..., ArtworkChooser]) -> None:
    """Also to members who would explore, or get what is popular: it is about the product."""
    apprentice, master = make(*TABLES), make(*TABLES, app_share=0, explore_share=0, popular_share=0)
    members = [f"m{i}" for i in range(300)]
    for member in members:
        assert apprentice.choose(member, "film").advised == master.choose(member, "film").artwork_id
    assert {policy_of(key_of(member), 0.02, 0.05) for member in members} == {"personal", "popular", "explore"}


@pytest.mark.parametrize("records", [TABLES, TABLES[:1]], ids=["known", "nothing known"])
def test_an_app_that_says_nothing_shows_the_first_of_the_catalogue(
    make: Callable[..., ArtworkChooser], records: tuple[Any, ...]
) -> None:
    """Which is what it would do without Keyart; before anything is learned, the advice is the same."""
    choice = make(*records).choose(ANN, "film")
    assert choice.artwork_id == "face"
    assert choice.advised == ("kiss" if len(records) > 1 else "face")


def test_a_canvas_is_kept_to(make: Callable[..., ArtworkChooser]) -> None:
    """The first that fits it; one made for another is not shown, and the impression says which it was."""
    title = some_title(
        artworks=[Artwork("wide", {}, canvas="billboard"), Artwork("tall", {}, canvas="box"), "any"]
    )
    chooser = make(title)
    assert [chooser.choose(ANN, "film", canvas=canvas).artwork_id for canvas in (None, "box", "panel")] == [
        *("wide", "tall", "any")
    ]
    token = chooser.choose(ANN, "film", canvas="box", own="any").token
    assert verify(token, [SECRET.encode()], now_ms=START_MS, max_age_ms=1000).canvas == "box"
    with pytest.raises(UnknownArtwork, match="'wide' of title 'film' for canvas 'box'"):
        chooser.choose(ANN, "film", canvas="box", own="wide")
    with pytest.raises(UnknownCanvas):
        make(some_title(artworks=[Artwork("wide", {}, canvas="billboard")])).choose(ANN, "film", canvas="box")


def test_an_artwork_that_is_newer_than_the_snapshot_can_be_shown(make: Callable[..., ArtworkChooser]) -> None:
    """The catalogue says what there is."""
    chooser = make(some_title(artworks=["face", "kiss", "new"]), *TABLES[1:])
    assert chooser.choose(ANN, "film", own="new").artwork_id == "new"
    assert chooser.choose(ANN, "film", own="new").advised == "kiss"


def test_people_are_logged_of_what_is_shown(make: Callable[..., ArtworkChooser]) -> None:
    """The context has the affinity to whom the app's artwork shows, and not to whom the advised one does."""
    artworks = [Artwork("face", {"cast:Robin": 1.0}), Artwork("kiss", {"cast:Minnie": 1.0})]
    taste = some_taste(ANN, romance=1.0, **{"cast:Robin": 0.25, "cast:Minnie": 0.75})
    chooser = make(some_title(artworks=artworks), some_snapshot(), taste)
    assert chooser.choose(ANN, "film", own="face").context["cast"] == 0.25
    assert chooser.choose(ANN, "film", own="kiss").context["cast"] == 0.75
    newer = [Artwork("face", {}), Artwork("kiss", {}), Artwork("new", {"cast:Minnie": 1.0})]
    chooser = make(some_title(artworks=newer), some_snapshot(), taste)
    assert chooser.choose(ANN, "film", own="new").context["cast"] == 0.75
    assert "cast" not in chooser.choose(ANN, "film", own="kiss").context


def test_a_page_has_the_apps_own_artwork(make: Callable[..., ArtworkChooser]) -> None:
    """By title; a title is left out if the catalogue does not list the artwork that the app shows."""
    chooser = make(*TABLES, some_title("series"), some_title("third"), page_variety=1.0)
    own = {"film": "face", "series": "poster", "third": "kiss", "lost": "face"}
    page = chooser.choose_page(ANN, ["third", "series", "film", "lost"], own=own)
    assert [(choice.title_id, choice.artwork_id) for choice in page] == [("third", "kiss"), ("film", "face")]


def test_own_is_nothing_to_other_members(make: Callable[..., ArtworkChooser]) -> None:
    """So an app may always give it, and one setting decides."""
    with choosing(MemoryTables(*TABLES)) as chooser:
        choice = chooser.choose(ANN, "film", own="poster")
        assert (choice.artwork_id, choice.policy, choice.advised) == ("kiss", "personal", None)
        assert len(chooser.choose_page(ANN, ["film"], own={"film": "poster"})) == 1


def test_a_share_of_the_members_is_left_to_the_app(make: Callable[..., ArtworkChooser]) -> None:
    """For good, from all policies alike, and more of them when the share grows."""
    members = [f"member-{i}" for i in range(20_000)]
    small = {member for member in members if left_to_app(key_of(member), 0.2)}
    large = {member for member in members if left_to_app(key_of(member), 0.3)}
    assert len(small) == pytest.approx(4000, abs=200)
    assert small < large
    explorers = [member for member in members if policy_of(key_of(member), 0.2, 0.05) == "explore"]
    assert len(small.intersection(explorers)) == pytest.approx(0.2 * len(explorers), abs=100)
    chooser = make(*TABLES, app_share=0.2)
    for member in members[:300]:
        assert (chooser.choose(member, "film").policy == "app") == (member in small)


def test_choices_are_counted(make: Callable[..., ArtworkChooser]) -> None:
    """Under the app's name."""
    chooser = make(*TABLES)
    for _ in range(3):
        chooser.choose(ANN, "film")
    assert {policy: tally.value for policy, tally in chooser.counts.by_policy.items()} == {
        "personal": 0,
        "popular": 0,
        "explore": 0,
        "app": 3,
    }
