"""Pages: what looks alike is known by its tags, and a page may avoid it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import repeatable, some_title
from hypothesis import given
from hypothesis import strategies as st
from tables import MemoryTables, choosing, members_of, some_snapshot, some_taste

from consumers.chooser import candidates
from stream.choosing.variety import Looks, Page
from stream.records import Artwork

if TYPE_CHECKING:
    from consumers import ArtworkChooser

TITLES = [f"title-{i}" for i in range(12)]
#: Romance is worth a little more than comedy to everybody, the face a little more than nothing.
MEANS = {"kiss": (0.100, 0.0, 0.0), "joke": (0.097, 0.0, 0.0), "face": (0.094, 0.0, 0.0)}
ARTWORKS = (
    Artwork("kiss", {"romance": 0.8}),
    Artwork("joke", {"comedy": 1.0}),
    Artwork("face", {"cast:Uma Thurman": 1.0}),
)
PERSONAL, POPULAR, EXPLORE = (members_of(policy, 40) for policy in ("personal", "popular", "explore"))


def tables(scale: float = 1.0, count: int = len(TITLES)) -> MemoryTables:
    """Titles alike, with artworks of one theme or person each, and members alike; rewards are in any unit."""
    means = {artwork_id: [value * scale for value in mean] for artwork_id, mean in MEANS.items()}
    return MemoryTables(
        *(some_title(title_id, ARTWORKS) for title_id in TITLES),
        *(some_snapshot(title_id, means, sd=0.01 * abs(scale)) for title_id in TITLES[:count]),
        *(some_taste(member, comedy=0.1) for member in PERSONAL),
    )


tags = st.lists(
    st.dictionaries(st.sampled_from(["romance", "comedy", "cast:Uma Thurman", "noir"]), st.floats(0, 1)),
    min_size=1,
    max_size=5,
)


@repeatable
@given(st.lists(tags, max_size=4), tags)
def test_likeness_is_the_mean_cosine_to_what_is_shown(
    before: list[list[dict[str, float]]], here: list[dict[str, float]]
) -> None:
    """Worked out one by one from dense vectors it is the same; between 0 and 1, and 0 for what has no tags."""
    names = ["romance", "comedy", "cast:Uma Thurman", "noir"]

    def unit(artwork: dict[str, float]) -> np.ndarray:
        dense = np.array([artwork.get(name, 0.0) for name in names])
        return dense / (np.linalg.norm(dense) or 1.0)

    page, shown = Page(), []
    for artworks in before:
        page.add(Looks(artworks), len(artworks) - 1)
        shown.append(unit(artworks[-1]))
    expected = [np.mean([unit(artwork) @ other for other in shown]) if shown else 0.0 for artwork in here]
    found = page.likeness(Looks(here))
    assert found == pytest.approx(np.array(expected), abs=1e-9)
    assert (found >= 0.0).all()
    assert (found <= 1.0 + 1e-9).all()


def test_it_is_off_unless_asked_for() -> None:
    """By default a page is its titles, each chosen as it would be alone."""
    with choosing(tables()) as chooser:
        for member in (PERSONAL[0], POPULAR[0], EXPLORE[0]):
            alone = [chooser.choose(member, title_id) for title_id in TITLES]
            together = _shown(chooser, member)
            assert [name for name, _ in together] == [choice.artwork_id for choice in alone]
            assert [chance for _, chance in together] == pytest.approx([c.propensity for c in alone], rel=1e-12)


def _shown(chooser: ArtworkChooser, member: str) -> list[tuple[str, float]]:
    """A page's artworks and propensities."""
    return [(choice.artwork_id, choice.propensity) for choice in chooser.choose_page(member, TITLES)]


def _alikeness(pages: list[list[str]]) -> float:
    """The share of pairs of artworks on a page that are the same kind."""
    return float(np.mean([[a == b for i, a in enumerate(page) for b in page[:i]] for page in pages]))


def test_a_page_is_spread_as_far_as_the_setting_asks() -> None:
    """More variety, fewer artworks alike; and what it costs in mean score stays below what the setting allows."""
    alike, score = [], []
    for variety in (0.0, 0.1, 0.5):
        with choosing(tables(), page_variety=variety, uniform_floor=0.0) as chooser:
            pages = [[c.artwork_id for c in chooser.choose_page(member, TITLES)] for member in PERSONAL]
        alike.append(_alikeness(pages))
        score.append(np.mean([MEANS[artwork_id][0] for page in pages for artwork_id in page]))
        assert score[-1] >= (1.0 - variety) * score[0]
    assert all(more > less + 0.05 for more, less in pairwise(alike[:2]))
    assert alike[2] < 0.3  # of three kinds on twelve places, 0.27 is the least there can be


@pytest.mark.parametrize("members", [PERSONAL, POPULAR], ids=["personal", "popular"])
def test_the_first_title_of_a_page_is_chosen_freely(members: list[str]) -> None:
    """There is nothing on the page that it could look like; later ones do depend on it."""
    with choosing(tables(), page_variety=1.0) as chooser, choosing(tables()) as free:
        spread = [_shown(chooser, member) for member in members]
        alone = [_shown(free, member) for member in members]
    for (artwork, propensity), (same, alike) in zip([p[0] for p in spread], [p[0] for p in alone], strict=True):
        assert artwork == same
        assert propensity == pytest.approx(alike, abs=1e-12)
    assert [page[1:] for page in spread] != [page[1:] for page in alone]


def test_explorers_are_not_spread() -> None:
    """Their choice stays uniform, and the same as ever: the unbiased log knows nothing of pages."""
    with choosing(tables(), page_variety=5.0) as chooser, choosing(tables()) as free:
        for member in EXPLORE:
            spread = _shown(chooser, member)
            assert spread == _shown(free, member)
            assert {propensity for _, propensity in spread} == {1 / 3}


@pytest.mark.parametrize("scale", [0.01, 30.0])
def test_the_setting_means_the_same_whatever_titles_earn(scale: float) -> None:
    """It is relative to the title's mean score: with all scores a hundred times smaller the page is the same."""
    with choosing(tables(), page_variety=0.3) as chooser, choosing(tables(scale), page_variety=0.3) as scaled:
        for member in PERSONAL:
            here, there = chooser.choose_page(member, TITLES), scaled.choose_page(member, TITLES)
            assert [c.artwork_id for c in here] == [c.artwork_id for c in there]
            assert [c.propensity for c in here] == pytest.approx([c.propensity for c in there], abs=1e-7)


def test_a_title_nobody_plays_is_not_spread() -> None:
    """Where the mean score is below nought there is nothing to be relative to."""
    with choosing(tables(-1.0), page_variety=1.0) as chooser, choosing(tables(-1.0)) as free:
        for member in PERSONAL[:10]:
            assert {choice.snapshot_version for choice in chooser.choose_page(member, TITLES)} == {10}
            assert _shown(chooser, member) == _shown(free, member)


def test_what_nothing_is_known_of_is_on_the_page_too() -> None:
    """A title without a snapshot shows its first artwork, a kiss; the next title avoids kisses."""
    order = [TITLES[-1], *TITLES[:1]]
    with choosing(tables(count=1), page_variety=0.5, uniform_floor=0.0) as chooser:
        for member in PERSONAL:
            first, second = chooser.choose_page(member, order)
            assert (first.artwork_id, first.propensity, first.snapshot_version) == ("kiss", 1.0, None)
            assert second.artwork_id != "kiss"


def test_people_look_alike_as_themes_do() -> None:
    """An artwork of the same person is avoided, whoever likes them."""
    with choosing(tables(), page_variety=2.0, uniform_floor=0.0) as chooser:
        for member in PERSONAL:
            chooser.follower.view.tastes[member] = some_taste(
                member, **{"comedy": 0.1, "cast:Uma Thurman": 1.0}
            ).taste
            page = [choice.artwork_id for choice in chooser.choose_page(member, TITLES[:6])]
            assert sorted(page) == ["face", "face", "joke", "joke", "kiss", "kiss"]


def test_what_artworks_look_like_is_worked_out_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose pages need not vary spares the memory; one whose pages do works each title out once."""
    made: list[Any] = []

    def counted(tags: Any) -> Looks:
        made.append(tags)
        return Looks(tags)

    monkeypatch.setattr(candidates, "Looks", counted)
    for strength, expected in ((0.0, 0), (1.0, len(TITLES))):
        with choosing(tables(), page_variety=strength) as chooser:
            for member in PERSONAL[:3]:
                chooser.choose_page(member, TITLES)
        assert len(made) == expected
