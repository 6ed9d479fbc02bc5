"""Propensities are how often a choice is made, for every policy, canvas and page: held against simulated draws.

Whoever evaluates a policy from the log divides by them, so each is compared with the share among 200,000 members,
and those of all artworks (of all pages) have to sum to 1.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from builders import some_title
from tables import MemoryTables, choosing, members_of

from stream.choosing.choice import draws, key_of, page_draws, propensities, seeds_of, time_bucket
from stream.features import CAST, cast_affinity
from stream.learning.posterior import pack
from stream.records import Artwork, ArtworkSnapshot, ModelParameters, Rule, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from consumers import ArtworkChooser
    from consumers.chooser.candidates import Candidates
    from stream.choosing.choice import Choice, Floats
    from stream.records import Policy

DRAWS = 200_000
FLOOR = 0.1
RULES: tuple[Rule, ...] = get_args(Rule)
TITLES = ("film", "series", "short")
FEATURES = ("bias", "comedy", "romance", CAST)
TASTE = {"comedy": 0.7, "romance": 0.3, "cast:Uma Thurman": 0.8, "cast:John Travolta": 0.2}
CONTEXT = {"comedy": 0.7, "romance": 0.3}
CANVASES = (None, "billboard", "box")


def _records(title_id: str, rng: np.random.Generator) -> tuple[object, Snapshot]:
    """A title of five artworks, of two themes and two people: some for a canvas, some better known than others."""
    tags = (
        {"comedy": 1.0, "cast:Uma Thurman": 0.5},
        {"romance": 0.9, "cast:John Travolta": 1.0},
        {"comedy": 0.6, "romance": 0.6},
        {"cast:Uma Thurman": 1.0},
        {},
    )
    canvases = ("billboard", "box", None, "billboard", "box")
    artworks = [
        Artwork(f"artwork-{i}", tag, canvas=canvas)
        for i, (tag, canvas) in enumerate(zip(tags, canvases, strict=True))
    ]
    learned = []
    for i, artwork in enumerate(artworks):
        lower = np.tril(rng.normal(0.0, 0.2, (4, 4))) + 0.25 * np.eye(4)
        lower[np.diag_indices(4)] = np.abs(lower.diagonal())
        mean = (0.1, *rng.normal(0.0, 0.02, 3).tolist())
        prior = (0.1, 0.0, 0.0, 0.0)
        shown = 40 * (i + 1)
        reward = float(shown * rng.uniform(0.09, 0.12))
        factor = tuple(pack(lower * 0.5).tolist())
        learned.append(ArtworkSnapshot(artwork.artwork_id, shown, shown, reward, prior, mean, factor))
    model = ModelParameters((30.0,) * 4, 10.0, None)
    return some_title(title_id, artworks), Snapshot(title_id, 7, 0, 0, FEATURES, model, tuple(learned))


class Asked:
    """A chooser with everybody of one taste, so that members of a policy differ in their draws alone."""

    def __init__(self, chooser: ArtworkChooser, exploration: float, variety: float) -> None:
        self.chooser = chooser
        self.exploration = exploration
        self.variety = variety
        self.members = {policy: members_of(policy, 1500, 0.3, 0.3) for policy in RULES}
        for member in itertools.chain(*self.members.values()):
            chooser.follower.view.tastes[member] = TASTE

    def candidates(self, title_id: str, canvas: str | None) -> Candidates:
        """Who competes."""
        found = self.chooser.follower.view.served[title_id].candidates(canvas)
        assert found is not None
        assert found.snapshot is not None
        return found

    def pages(self, policy: Policy, canvas: str | None, count: int) -> dict[tuple[str, ...], list[Choice]]:
        """The pages of so many titles that the policy's members are shown, each with its choices."""
        found: dict[tuple[str, ...], list[Choice]] = {}
        for member in self.members[policy]:
            page = self.chooser.choose_page(member, TITLES[:count], canvas=canvas)
            shown = tuple(choice.artwork_id for choice in page)
            before = found.setdefault(shown, page)
            assert [c.propensity for c in before] == [c.propensity for c in page]  # of all who are shown it
        return found

    def rule(self, policy: Policy, candidates: Candidates, likeness: Floats, z: Floats, u: Floats) -> Floats:
        """Whom the rule chooses for each of n draws, written down once more: shape (n,)."""
        if policy == "explore":
            return z.argmax(axis=1)
        title, people = candidates.snapshot, candidates.people
        assert title is not None
        affinity = [0.0] * z.shape[1] if people is None else [cast_affinity(TASTE, one) for one in people]
        each = [title.scores(CONTEXT | {CAST: value}, policy) for value in affinity]
        mean = np.array([mean[i] for i, (mean, _) in enumerate(each)])
        sd = np.array([sd[i] for i, (_, sd) in enumerate(each)])
        mean = mean - self.variety * mean.mean() * likeness
        return np.where(u < FLOOR, z.argmax(axis=1), (mean + self.exploration * sd * z).argmax(axis=1))


@pytest.fixture(scope="module", params=[(0.1, 0.0), (1.0, 0.0), (0.3, 0.4)], ids=["narrow", "wide", "spread"])
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    """Choosers with little and much exploration, without and with variety on the page."""
    exploration, variety = request.param
    rng = np.random.default_rng(12)
    records = itertools.chain.from_iterable(_records(title_id, rng) for title_id in TITLES)
    settings = {
        "exploration": exploration,
        "page_variety": variety,
        "uniform_floor": FLOOR,
        "explore_share": 0.3,
        "popular_share": 0.3,
    }
    with choosing(MemoryTables(*records), **settings) as chooser:
        yield Asked(chooser, exploration, variety)


def likeness(asked: Asked, shown: Mapping[str, str], title_id: str, canvas: str | None) -> Floats:
    """The mean cosine similarity of a title's candidates to what is on the page, from the catalogue's tags."""
    titles = asked.chooser.titles
    themes = {(t.title_id, a.artwork_id): a.themes for t in titles.values() for a in t.artworks}
    names = sorted({name for tags in themes.values() for name in tags})
    unit = {}
    for artwork, tags in themes.items():
        dense = np.array([tags.get(name, 0.0) for name in names])
        unit[artwork] = dense / (np.linalg.norm(dense) or 1.0)
    here = [unit[title_id, artwork_id] for artwork_id in asked.candidates(title_id, canvas).artwork_ids]
    there = [unit[artwork] for artwork in shown.items()]
    return np.array([np.mean([one @ other for other in there]) if there else 0.0 for one in here])


@pytest.mark.parametrize("policy", RULES)
@pytest.mark.parametrize("canvas", CANVASES)
def test_a_titles_propensities_are_its_shares(asked: Asked, canvas: str | None, policy: Policy) -> None:
    """Of one title, whatever the policy, the canvas and the width of the draws; they sum to 1."""
    candidates = asked.candidates("film", canvas)
    propensity = {shown[0]: page[0].propensity for shown, page in asked.pages(policy, canvas, 1).items()}
    assert set(propensity) == set(candidates.artwork_ids)
    assert sum(propensity.values()) == pytest.approx(1.0, abs=1e-6)
    rng = np.random.default_rng(21)
    count = len(candidates.artwork_ids)
    z, u = rng.standard_normal((DRAWS, count)), rng.random(DRAWS)
    chosen = asked.rule(policy, candidates, np.zeros(count), z, u)
    shares = np.bincount(chosen, minlength=count) / DRAWS
    for artwork_id, share in zip(candidates.artwork_ids, shares.tolist(), strict=True):
        p = propensity[artwork_id]
        assert abs(share - p) <= 3.0 * np.sqrt(p * (1.0 - p) / DRAWS), artwork_id


@pytest.mark.parametrize("policy", RULES)
@pytest.mark.parametrize("canvas", ["billboard", "box"])
def test_a_pages_propensities_multiply_to_its_share(asked: Asked, canvas: str, policy: Policy) -> None:
    """Each is exact given the choices before it: their product is how often that page, one of 27, is shown."""
    pages = asked.pages(policy, canvas, 3)
    products = {shown: float(np.prod([choice.propensity for choice in page])) for shown, page in pages.items()}
    given: dict[tuple[str, ...], dict[str, float]] = {}
    for shown, page in pages.items():
        for place in range(3):
            given.setdefault(shown[:place], {})[shown[place]] = page[place].propensity
    for before, each in given.items():
        if len(each) == 3:
            assert sum(each.values()) == pytest.approx(1.0, abs=1e-6), before
    assert sum(products.values()) > 0.98  # of the rarest pages some occur to none of 1,500 members
    shares = _simulated_pages(asked, policy, canvas)
    assert sum(shares.values()) == pytest.approx(1.0)
    for shown, p in products.items():
        assert abs(shares.get(shown, 0.0) - p) <= 3.0 * np.sqrt(p * (1.0 - p) / DRAWS), shown


def _simulated_pages(asked: Asked, policy: Policy, canvas: str) -> dict[tuple[str, ...], float]:
    """The share of each page among 200,000 members, title after title."""
    rng = np.random.default_rng(22)
    groups: dict[tuple[str, ...], np.ndarray] = {(): np.arange(DRAWS)}
    for title_id in TITLES:
        candidates = asked.candidates(title_id, canvas)
        count = len(candidates.artwork_ids)
        z, u = rng.standard_normal((DRAWS, count)), rng.random(DRAWS)
        after = {}
        for before, members in groups.items():
            alike = likeness(asked, dict(zip(TITLES, before, strict=False)), title_id, canvas)
            chosen = asked.rule(policy, candidates, alike, z[members], u[members])
            for place, artwork_id in enumerate(candidates.artwork_ids):
                after[*before, artwork_id] = members[chosen == place]
        groups = after
    return {page: len(members) / DRAWS for page, members in groups.items()}


def test_members_are_shown_what_their_own_draws_say(asked: Asked) -> None:
    """What the shares above are counted from is what the chooser does for each member, with hashed draws."""
    now_ms = asked.chooser._now_ms()
    for policy in RULES:
        for member in asked.members[policy][:200]:
            shown: dict[str, str] = {}
            page = asked.chooser.choose_page(member, TITLES, canvas="box")
            for title_id, choice in zip(TITLES, page, strict=True):
                candidates, key = asked.candidates(title_id, "box"), key_of(member)
                bucket = time_bucket(key, key_of(title_id), now_ms, 7 * 24 * 3_600_000)
                z = draws(key, bucket, candidates.keys)[None, :]
                u, _ = page_draws(seeds_of(key, np.array([bucket])), candidates.snapshot.draw_keys[None])
                alike = likeness(asked, shown, title_id, "box")
                (place,) = asked.rule(policy, candidates, alike, z, u)
                assert choice.artwork_id == candidates.artwork_ids[place]
                shown[title_id] = choice.artwork_id


def test_pages_are_not_what_titles_alone_would_be(asked: Asked) -> None:
    """Where the page is spread, a choice's propensity depends on what came before it; elsewhere it does not."""
    pages = asked.pages("personal", "billboard", 2)
    second: dict[str, set[float]] = {}
    for shown, page in pages.items():
        second.setdefault(shown[1], set()).add(round(page[1].propensity, 9))
    assert any(len(values) > 1 for values in second.values()) == (asked.variety > 0.0)


def test_a_certain_choice_is_logged_as_one() -> None:
    """The probabilities of all artworks sum to 1 also where one of them is nearly certain, floor included."""
    mean, sd = np.tile([0.5, 0.1, 0.1], (3, 1)), np.full((3, 3), 1e-6)
    found = propensities(mean, sd, np.arange(3), np.full(3, 3), FLOOR)
    assert found.sum() == pytest.approx(1.0, abs=1e-6)
