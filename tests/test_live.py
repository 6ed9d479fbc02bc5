"""Live intervals: they hold at all times at once, whatever the counts, and whoever comes back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.live import AUDIENCES, Audience, measure, table
from stream.worth.confidence_sequences import ALPHA, rate_interval, ratio_interval
from stream.worth.live import design_effect, worth_of
from stream.worth.policies import GROUPS, ROWS, no_sums


def arrays(*numbers):
    """Each as an array of one."""
    return [np.array([float(number)]) for number in numbers]


def spread_out(rng, impressions, reward_rate):
    """One policy's sums by group: independent impressions, each worth 1 or nothing."""
    shown = rng.multinomial(impressions, [1 / GROUPS] * GROUPS)
    plays = rng.binomial(shown, reward_rate)
    return np.stack([shown, plays, plays], axis=1).astype(float)


# --- they hold at all times


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.5])
def test_a_rate_leaves_its_interval_in_at_most_five_of_a_hundred_cases(rate):
    """Exactly, from the first impression on: the chance that it ever does, added up over all ways it can."""
    last = 500
    inside, left = np.zeros(last + 2), 0.0
    inside[0] = 1.0
    for n in range(1, last + 1):
        inside[1:] = inside[1:] * (1 - rate) + inside[:-1] * rate
        inside[0] *= 1 - rate
        plays = np.arange(n + 1.0)
        low, high = rate_interval(plays, np.full(n + 1, float(n)))
        out = (low > rate) | (high < rate)
        left += inside[: n + 1][out].sum()
        inside[: n + 1][out] = 0.0
    assert 0.001 < left <= ALPHA


@pytest.mark.parametrize("audience", AUDIENCES[2:], ids=lambda audience: audience.name)
def test_intervals_hold_for_who_looks_all_the_time(audience):
    """Where members come back too; the textbook's fail far more often, and so do those that overlook that."""
    rows = measure(audience, 60, 20_000, 3, lambda *_: None)
    failed = {(row.target, row.sequence): row.failed for row in rows}
    for target in ("take rate", "mean reward", "lift"):
        assert failed[target, "keyart"] <= ALPHA
        assert failed[target, "naive"] > 4 * ALPHA
    if audience.looks >= 50:
        assert min(failed["take rate", "independent"], failed["lift", "independent"]) > 2 * ALPHA


def test_the_benchmark_prints_a_row_for_each_audience_and_target():
    """With the share of failures and the width of every sequence."""
    rows = measure(Audience("few", 0.1), 3, 2000, 1, lambda *_: None)
    assert len(rows) == 12
    assert table(rows, "few").row_count == 3


def test_a_ratio_holds_while_both_rates_drift():
    """An evening is better for both policies than a morning: only their ratio has to stay."""
    failed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        day = 0.06 + 0.05 * np.sin(np.arange(20_000) / 1500)
        ours = rng.random(20_000) < 0.9
        plays = rng.random(20_000) < day * np.where(ours, 1.3, 1.0)
        counts = [np.cumsum(x)[::10].astype(float) for x in (ours & plays, ours, ~ours & plays, ~ours)]
        low, high = ratio_interval(*counts)
        failed += bool(((low > 1.3) | (high < 1.3)).any())
    assert failed <= 5


# --- what they are


@repeatable
@given(st.floats(0, 1), st.integers(1, 10**9), st.floats(1, 100))
def test_a_rates_interval_holds_what_was_seen(share, impressions, effect):
    """It is part of [0, 1], and wider where impressions are worth less."""
    earned = share * impressions
    low, high = rate_interval(*arrays(earned, impressions))
    assert 0.0 <= low[0] <= earned / impressions + 1e-12
    assert earned / impressions - 1e-12 <= high[0] <= 1.0
    less = rate_interval(*arrays(earned / effect, impressions / effect))
    assert less[0][0] <= low[0] + 1e-9
    assert less[1][0] >= high[0] - 1e-9


@repeatable
@given(*[st.integers(1, 10**6)] * 2, *[st.floats(0.001, 1)] * 2)
def test_a_ratios_interval_does_not_depend_on_who_is_named_first(n, m, one, other):
    """The other way round it is the reciprocal; it holds what was seen."""
    low, high = ratio_interval(*arrays(n * one, n, m * other, m))
    turned_low, turned_high = ratio_interval(*arrays(m * other, m, n * one, n))
    assert low[0] <= one / other * (1 + 1e-9)
    assert high[0] >= one / other * (1 - 1e-9)
    assert turned_low[0] == pytest.approx(1 / high[0], rel=1e-6)
    assert turned_high[0] == pytest.approx(1 / low[0], rel=1e-6)


def test_without_evidence_everything_is_possible():
    """No impressions, or no plays, leave an end open."""
    assert [float(end[0]) for end in rate_interval(*arrays(0, 0))] == [0.0, 1.0]
    assert float(rate_interval(*arrays(0, 50))[0][0]) == 0.0
    assert float(rate_interval(*arrays(50, 50))[1][0]) == 1.0
    for counts in ((0, 0, 5, 100), (5, 100, 0, 0), (0, 0, 0, 0), (0, 10, 0, 10)):
        assert [float(end[0]) for end in ratio_interval(*arrays(*counts))] == [0.0, math.inf]
    low, high = ratio_interval(*arrays(50, 1000, 0, 1000))
    assert low[0] > 1.0
    assert high[0] == math.inf


# --- members who come back


def test_independent_impressions_have_a_design_effect_of_one():
    """On average a little more, to be cautious."""
    rng = np.random.default_rng(4)
    found = [design_effect(np.stack([spread_out(rng, 20_000, 0.05) for _ in range(3)])) for _ in range(200)]
    assert 1.0 <= np.mean(found) < 1.3


@pytest.mark.parametrize("times", [4, 25])
def test_repeated_impressions_are_worth_what_one_is(times):
    """Members who each decide once, and then do the same every time."""
    rng = np.random.default_rng(5)
    sums = [np.stack([spread_out(rng, 20_000, 0.05) for _ in range(3)]) * times for _ in range(100)]
    assert np.mean(design_effect(np.array(sums))) == pytest.approx((1 + (2 / 45) ** 0.5) * times, rel=0.05)


def test_with_hardly_any_reward_nothing_is_known_of_the_design_effect():
    """Then it is 1: nobody has come back often by then."""
    sums = np.zeros((3, GROUPS, 3))
    sums[:, 0] = 100.0, 3.0, 3.0
    assert design_effect(sums) == 1.0
    assert design_effect(np.zeros((3, GROUPS, 3))) == 1.0


# --- what is told


def some_sums(**rates):
    """A title's sums: 20,000 impressions of each of these."""
    rng = np.random.default_rng(6)
    sums = no_sums()
    for name, rate in rates.items():
        sums[ROWS.index(name)] = spread_out(rng, 20_000, rate)
    return sums


def test_several_titles_are_told_as_each_alone():
    """They do not mix."""
    titles = [some_sums(personal=0.08, popular=0.05), no_sums(), some_sums(explore=0.03, agreed=0.1)]
    assert worth_of(titles) == [worth_of([one])[0] for one in titles]
    assert worth_of([]) == []


def test_a_lift_that_is_there_is_found():
    """Three policies a good deal apart, and each interval on its side of 1."""
    worth = worth_of([some_sums(personal=0.09, popular=0.06, explore=0.04)])[0]
    assert list(worth.policies) == ["personal", "popular", "explore"]
    popular, explore = worth.lift["popular"], worth.lift["explore"]
    assert (popular.ratio, explore.ratio) == pytest.approx((1.5, 2.25), rel=0.1)
    assert 1.0 < popular.low < popular.ratio < popular.high
    assert popular.low < explore.low < explore.ratio < explore.high


def test_nothing_is_told_as_none():
    """Not as 0, which would be a take rate."""
    worth = worth_of([no_sums()])[0]
    for earned in worth.policies.values():
        assert (earned.impressions, earned.take_rate, earned.low, earned.mean_reward) == (0, None, None, None)
    assert (worth.lift["popular"].ratio, worth.lift["popular"].high) == (None, None)


def test_the_apps_own_choices_are_told_as_one_and_as_two():
    """Together as a policy, and apart by whether Keyart agreed."""
    worth = worth_of([some_sums(personal=0.09, agreed=0.08, disagreed=0.04)])[0]
    assert worth.policies["app"].impressions == 40_000
    assert worth.policies["app"].plays == worth.agreed.plays + worth.disagreed.plays
    assert worth.agreed_lift.ratio == pytest.approx(2.0, rel=0.1)
    assert worth.lift["app"].ratio == pytest.approx(1.5, rel=0.1)
