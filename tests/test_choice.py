"""Choosing: propensities are what happens, hashed draws are draws, and who moves when something changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from builders import DAY_MS, HOUR_MS, START_MS, repeatable
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from tables import some_snapshot

from stream.choosing.choice import (
    MIN_PROPENSITY,
    artwork_keys,
    draws,
    floor_keys,
    key_of,
    page_draws,
    policy_of,
    propensities,
    seeds_of,
    time_bucket,
)
from stream.choosing.propensity import _normal_cdf, win_probabilities
from stream.choosing.servable import ServableTitle
from stream.records import ArtworkSnapshot, Policy

ARTWORKS = ("couple", "comedian", "bench", "friends", "professor")
MEMBERS = 200_000
BUCKET = 20_371


def some_title(mean: np.ndarray, sd: np.ndarray) -> ServableTitle:
    """A title whose artworks have these scores, whoever looks."""
    nothing, factor = (0.0, 0.0, 0.0), (1.0, 0.0, 1.0, 0.0, 0.0, 1.0)
    artworks = tuple(
        ArtworkSnapshot(name, 1, 0, 0.0, nothing, nothing, factor, popular=score)
        for name, *score in zip(ARTWORKS, mean.tolist(), sd.tolist(), strict=False)
    )
    return ServableTitle(some_snapshot(artworks=artworks))


class Population:
    """The draws of many members for one title."""

    def __init__(self, count: int) -> None:
        self.members = [key_of(f"member-{i}") for i in range(count)]
        floor_key = floor_keys(np.array([key_of("film")], dtype=np.uint64))
        self.keys = np.append(floor_key, artwork_keys("film", ARTWORKS))
        seeds = seeds_of(np.array(self.members, dtype=np.uint64), np.array([BUCKET]))
        self.floor_u, self.z = page_draws(seeds, np.broadcast_to(self.keys, (count, len(self.keys))))

    def choices(self, mean: np.ndarray, sd: np.ndarray, floor: float) -> np.ndarray:
        """What each member gets; the rule itself, for all at once."""
        k = len(mean)
        return np.where(
            self.floor_u < floor,
            self.z[:, :k].argmax(axis=1),
            (mean + sd * self.z[:, :k]).argmax(axis=1),
        )


@pytest.fixture(scope="module")
def population() -> Population:
    """200,000 members."""
    return Population(MEMBERS)


CASES = {
    "equal": ([0.2] * 5, [0.1] * 5, 0.0),
    "equal, with a floor": ([0.2] * 5, [0.1] * 5, 0.2),
    "skewed": ([0.1, 0.15, 0.2, 0.3, 0.32], [0.05, 0.1, 0.05, 0.03, 0.04], 0.0),
    "skewed, with a floor": ([0.1, 0.15, 0.2, 0.3, 0.32], [0.05, 0.1, 0.05, 0.03, 0.04], 0.05),
    "very unequal widths": ([0.3, 0.2, 0.25, 0.29, 0.3], [1e-5, 1.0, 1e-2, 1e-3, 1e-4], 0.0),
    "a new artwork among old ones": ([0.30, 0.28, 0.31, 0.29, 0.15], [2e-3, 2e-3, 2e-3, 2e-3, 0.3], 0.01),
    "an old artwork among new ones": ([0.30, 0.1, 0.1, 0.1, 0.1], [1e-4, 0.3, 0.3, 0.3, 0.3], 0.01),
    "two": ([0.1, 0.2], [0.2, 0.05], 0.01),
}


# --- propensities


def wins(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """The probability of each artwork that its score is the largest."""
    count = len(mean)
    return win_probabilities(np.tile(mean, (count, 1)), np.tile(sd, (count, 1)), np.arange(count))


def test_the_tabled_distribution_function_is_the_normal_one() -> None:
    """Within 1e-9 everywhere that quadrature asks for, also beyond the table's ends."""
    x = np.concatenate([np.linspace(-12.0, 12.0, 100_001), [-1e9, 1e9]])
    np.testing.assert_allclose(_normal_cdf(x), ndtr(x), rtol=0.0, atol=1e-9)


@pytest.mark.parametrize(("mean", "sd", "floor"), CASES.values(), ids=CASES)
def test_the_propensity_is_how_often_an_artwork_is_chosen(
    mean: list[float], sd: list[float], floor: float, population: Population
) -> None:
    """Among 200,000 members each artwork's share agrees with its logged propensity within 3 standard errors."""
    m, s = np.array(mean), np.array(sd)
    chosen = population.choices(m, s, floor)
    for artwork in range(len(m)):
        share = float(np.mean(chosen == artwork))
        if share == 0.0:
            assert wins(m, s)[artwork] * (1 - floor) + floor / len(m) < 10 / MEMBERS
            continue
        somebody = population.members[int(np.argmax(chosen == artwork))]
        index, propensity = some_title(m, s).choose({}, "popular", somebody, BUCKET, floor=floor)
        assert index == artwork
        error = np.sqrt(propensity * (1.0 - propensity) / MEMBERS)
        assert abs(share - propensity) <= 3.0 * error


def test_the_rule_for_many_is_what_a_node_does_for_one(population: Population) -> None:
    """What the shares above are counted from are each member's own draws, and the choices of a node."""
    m, s, floor = np.array([0.1, 0.15, 0.2, 0.3, 0.32]), np.array([0.05, 0.1, 0.05, 0.03, 0.04]), 0.3
    title, chosen = some_title(m, s), population.choices(m, s, floor)
    for i, member in enumerate(population.members[:300]):
        assert draws(member, BUCKET, population.keys[1:]).tolist() == population.z[i].tolist()
        assert title.choose({}, "popular", member, BUCKET, floor=floor)[0] == chosen[i]


scores = st.lists(
    st.tuples(st.floats(-2.0, 2.0), st.floats(-7.0, 1.0).map(lambda power: 10.0**power)), min_size=1, max_size=12
)


@repeatable
@given(scores)
def test_something_is_chosen(artworks: list[tuple[float, float]]) -> None:
    """The probabilities of all artworks sum to 1 within 1e-6, whatever their means and widths."""
    mean, sd = np.array(artworks).T
    each = wins(mean, sd)
    assert all(-1e-12 <= p <= 1.0 + 1e-8 for p in each)
    assert each.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 0.45, 0.1, 1e-3, 1e-8])
@pytest.mark.parametrize("count", [2, 9, 17, 33, 64, 256])
def test_many_artworks_do_not_wear_the_quadrature_out(count: int, ratio: float) -> None:
    """A product of many factors rises steeply: up to the 256 artworks a title may have, the sum stays 1."""
    mean, sd = np.zeros(count), np.r_[1.0, np.full(count - 1, ratio)]
    first, rest = win_probabilities(np.array([mean, mean]), np.array([sd, sd]), np.array([0, 1]))
    assert first + (count - 1) * rest == pytest.approx(1.0, abs=1e-6)


def _by_many_nodes(mean: np.ndarray, sd: np.ndarray, chosen: int) -> float:
    """The integral with nodes everywhere that matters, three times as close as the narrowest step demands."""
    lo, hi = (mean - 7.6 * sd).max(), mean[chosen] + 8.0 * sd[chosen]
    if hi <= lo:
        return 0.0
    t = np.linspace(lo, hi, 2 + int((hi - lo) / 0.3 * np.sqrt((1.0 / sd**2).sum())))
    factors = ndtr((t - mean[:, None]) / sd[:, None])
    factors[chosen] = np.exp(-0.5 * ((t - mean[chosen]) / sd[chosen]) ** 2) / (np.sqrt(2.0 * np.pi) * sd[chosen])
    return float(np.trapezoid(factors.prod(axis=0), t))


@pytest.mark.parametrize("widths", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("count", [1, 2, 5, 9, 40])
def test_few_nodes_are_enough(count: int, spread: float, widths: float) -> None:
    """Titles worked out together agree with quadrature by many nodes within 1e-9, whoever is near to whom."""
    rng = np.random.default_rng(count)
    mean, sd = rng.normal(0.0, spread, (20, count)), np.exp(rng.normal(0.0, widths, (20, count)))
    chosen = rng.integers(count, size=20)
    found = win_probabilities(mean, sd, chosen)
    expected = [_by_many_nodes(*of_title) for of_title in zip(mean, sd, chosen, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-9)


@repeatable
@given(st.floats(-2.0, 2.0), st.floats(-6.0, 0.0), st.floats(-6.0, 0.0))
def test_two_artworks_have_a_closed_form(gap: float, first: float, second: float) -> None:
    """P(a > b) = Φ((m_a - m_b) / sqrt(s_a² + s_b²))."""
    sd = np.array([10.0**first, 10.0**second])
    exact = float(ndtr(gap / np.sqrt(sd @ sd)))
    assert wins(np.array([gap, 0.0]), sd)[0] == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_reward_does_not_matter(scale: float) -> None:
    """Scores may be of any size: a context of large numbers makes large ones."""
    mean, sd = np.array([0.1, 0.3, 0.25]), np.array([0.2, 0.01, 0.1])
    assert wins(mean * scale, sd * scale) == pytest.approx(wins(mean, sd), abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "sd", "floor", "expected"),
    [
        pytest.param([0.5], [0.1], 0.01, 1.0, id="the only one"),
        pytest.param([1e6, 0.0], [1e-6, 1e-6], 0.0, 1.0, id="certain"),
        pytest.param([0.0, 1e6], [1e-6, 1e-6], 0.2, 0.1, id="the floor alone"),
        pytest.param([0.0, 1e6], [1e-6, 1e-6], 1.0, 0.5, id="nothing but the floor"),
        pytest.param([-12.0, 0.0], [1e-3, 1.5], 0.0, MIN_PROPENSITY, id="against all odds"),
    ],
)
def test_a_propensity_can_always_be_logged(
    mean: list[float], sd: list[float], floor: float, expected: float
) -> None:
    """What was chosen against all odds has a propensity above 0, what is certain one of 1 and no more."""
    (propensity,) = propensities(np.array([mean]), np.array([sd]), np.array([0]), np.array([len(mean)]), floor)
    assert propensity == pytest.approx(expected, rel=1e-6)
    assert 0.0 < propensity <= 1.0


# --- draws


def test_draws_are_standard_normal(population: Population) -> None:
    """A million hashed draws have the moments, and the shares below seven points, of the normal distribution."""
    z = population.z.ravel()
    n = len(z)
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
    for point in (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0):
        expected = float(ndtr(point))
        assert abs((z < point).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_draws_are_independent(population: Population) -> None:
    """Across artworks, members next to each other, and the floor's draw: no correlation, of values or of sizes."""
    z, u = population.z, population.floor_u
    columns = np.column_stack([z, np.abs(z), u, np.roll(z, 1, axis=0)])
    correlation = np.corrcoef(columns, rowvar=False)
    off = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.abs(off).max() < 4.5 / np.sqrt(len(z))


def test_buckets_and_titles_draw_anew() -> None:
    """A member's draws of the next bucket, and of another title with artworks of the same names, are unrelated."""
    here, there = artwork_keys("film", ARTWORKS), artwork_keys("series", ARTWORKS)
    members = [key_of(f"member-{i}") for i in range(4000)]
    first, later, other = (
        np.array([draws(member, bucket, keys) for member in members]).ravel()
        for bucket, keys in ((BUCKET, here), (BUCKET + 1, here), (BUCKET, there))
    )
    for one, two in ((first, later), (first, other)):
        assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(len(one))


def test_a_choice_does_not_flicker() -> None:
    """The same member, title and bucket give the same draws, always; these very ones, on every machine."""
    z = draws(key_of("member-1"), BUCKET, artwork_keys("film", ["couple", "bench"]))
    assert z.tolist() == draws(key_of("member-1"), BUCKET, artwork_keys("film", ["couple", "bench"])).tolist()
    assert z.tolist() == pytest.approx([1.2126930183920843, -0.7277794682374396], abs=1e-12)


# --- who moves


@pytest.mark.parametrize("policy", ["explore", "popular"])
def test_withdrawing_an_artwork_moves_only_those_who_had_it(policy: Policy) -> None:
    """The others keep theirs; those who must move spread over what is left."""
    title, kept = some_title(np.linspace(0.1, 0.2, 5), np.full(5, 0.1)), [0, 1, 3, 4]
    left = title.only([ARTWORKS[i] for i in kept])
    moved_to = set()
    for i in range(1000):
        member = key_of(f"member-{i}")
        before, after = (one.choose({}, policy, member, BUCKET, floor=0.1)[0] for one in (title, left))
        if before == 2:
            moved_to.add(kept[after])
        else:
            assert kept[after] == before
    assert moved_to == set(kept)


@pytest.mark.parametrize(("explore", "popular"), [(0.02, 0.05), (0.2, 0.3), (0.0, 0.0), (1.0, 0.0), (0.5, 0.5)])
def test_members_are_split_as_configured(explore: float, popular: float, population: Population) -> None:
    """The shares of 200,000 members are those of the settings, within 4 standard errors."""
    policies = [policy_of(member, explore, popular) for member in population.members]
    for policy, share in (("explore", explore), ("popular", popular), ("personal", 1 - explore - popular)):
        error = np.sqrt(share * (1 - share) / MEMBERS)
        assert abs(policies.count(policy) / MEMBERS - share) <= 4 * error


def test_a_larger_share_keeps_those_who_were_in_it(population: Population) -> None:
    """Raising the explored share adds members to it and takes none out."""
    small = {member for member in population.members[:20_000] if policy_of(member, 0.02, 0.05) == "explore"}
    large = {member for member in population.members[:20_000] if policy_of(member, 0.04, 0.05) == "explore"}
    assert small < large


@pytest.mark.parametrize("bucket_ms", [HOUR_MS, 7 * DAY_MS])
@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([(key_of(f"member-{i}"), key_of("film")) for i in range(1000)], id="members of a title"),
        pytest.param([(key_of("member"), key_of(f"title-{i}")) for i in range(1000)], id="titles of a member"),
    ],
)
def test_buckets_change_once_a_period_and_not_for_all_at_once(
    bucket_ms: int, pairs: list[tuple[int, int]]
) -> None:
    """Within any one period each member and title changes bucket exactly once, spread over the whole of it."""
    steps = range(START_MS, START_MS + bucket_ms + 1, bucket_ms // 24)
    buckets = np.array([[time_bucket(*pair, now, bucket_ms) for now in steps] for pair in pairs])
    assert (buckets[:, -1] - buckets[:, 0] == 1).all()
    changing = [int((after != before).sum()) for before, after in pairwise(buckets.T)]
    assert min(changing) > 10
    assert max(changing) < 100
