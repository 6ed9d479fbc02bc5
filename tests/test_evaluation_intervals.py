"""Intervals: they hold the truth as often as they say, by members and not by rows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evaluation import coverage, ranking
from stream.evaluation.intervals import (
    FEW,
    GROUPS,
    GroupSums,
    Interval,
    few_of,
    group_of,
    jackknife,
    ratio_by_few,
)
from stream.evaluation.resamples import Resamples


def mean_of(sums: GroupSums) -> Interval:
    """The mean value of a row, with its interval."""
    return Resamples(sums.of("rows")).of(sums).ratio("value", "rows")


class TestResamples:
    """The bootstrap of groups of members."""

    def test_a_mean(self):
        """Of independent members it is the normal interval, to a few per cent."""
        rng = np.random.default_rng(1)
        values = rng.exponential(size=3000)
        sums = GroupSums(("rows", "value"))
        group = group_of(rng.integers(1 << 62, size=3000).astype(np.uint64))
        sums.add(group, rows=np.ones(3000), value=values)
        interval = mean_of(sums)
        assert interval.value == pytest.approx(values.mean())
        assert interval.half == pytest.approx(1.96 * values.std() / np.sqrt(3000), rel=0.06)

    def test_a_skewed_mean(self):
        """Few members who earn much decide: the truth lies further above than below what was seen."""
        rng = np.random.default_rng(5)
        sums = GroupSums(("rows", "value"))
        sums.add(np.arange(200), rows=np.ones(200), value=rng.pareto(4.0, size=200))
        interval = mean_of(sums)
        assert interval.high - interval.value > 1.2 * (interval.value - interval.low)

    def test_a_lift_is_the_ratio_of_ratios(self):
        """Of one ratio over itself it is nothing for sure; over another it is as wide as both together make it."""
        rng = np.random.default_rng(6)
        sums = GroupSums(("rows", "one", "other"))
        one, other = rng.exponential(size=(2, 4000))
        sums.add(np.arange(4000), rows=np.ones(4000), one=one, other=other)
        drawn = Resamples(sums.of("rows")).of(sums)
        assert drawn.lift("one", "rows", "one", "rows") == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
        lift = drawn.lift("one", "rows", "other", "rows")
        assert lift.value == pytest.approx(one.mean() / other.mean() - 1.0)
        relative = np.hypot(one.std() / one.mean(), other.std() / other.mean()) / np.sqrt(4000)
        assert lift.half == pytest.approx(1.96 * relative * (1.0 + lift.value), rel=0.06)
        assert drawn.error("one", "rows") == pytest.approx(one.std(ddof=1) / np.sqrt(4000))

    def test_members_are_resampled_and_not_rows(self):
        """Rows that a member repeats say nothing new: the interval is as wide as without them."""
        rng = np.random.default_rng(2)
        values, members = rng.exponential(size=2000), rng.integers(1 << 62, size=2000).astype(np.uint64)
        found = []
        for times in (1, 9):
            sums = GroupSums(("rows", "value"))
            group = group_of(np.repeat(members, times))
            sums.add(group, rows=np.ones(2000 * times), value=np.repeat(values, times))
            found.append(mean_of(sums))
        assert found[1].half == pytest.approx(found[0].half, rel=1e-9)

    def test_a_ratio_knows_that_its_parts_go_together(self):
        """Of a part and its double the ratio is certain, however much both vary."""
        rng = np.random.default_rng(3)
        sums = GroupSums(("rows", "value"))
        values = rng.exponential(size=500)
        sums.add(np.arange(500), rows=values, value=2.0 * values)
        interval = mean_of(sums)
        assert interval == pytest.approx((2.0, 2.0, 2.0))

    @pytest.mark.parametrize("members", [0, 1])
    def test_too_little(self, members):
        """Of no member or one there is no interval."""
        sums = GroupSums(("rows", "value"))
        sums.add(np.zeros(members, dtype=np.intp), rows=np.ones(members), value=np.ones(members))
        interval = mean_of(sums)
        assert np.isnan(interval.low)
        assert np.isnan(interval.high)

    def test_sums_do_not_grow_with_the_log(self):
        """Half a megabyte for sixteen columns, whatever is added."""
        sums = GroupSums(tuple("abcdefghijklmnop"))
        for seed in range(20):
            group = np.random.default_rng(seed).integers(GROUPS, size=10_000)
            sums.add(group, **{name: np.ones(10_000) for name in "abcdefghijklmnop"})
        assert sums.total("p") == 200_000
        assert sums.sums.nbytes == 16 * GROUPS * 8


class TestJackknife:
    """Intervals from few groups."""

    def test_a_mean(self):
        """Leaving out one group of a mean at a time gives Student's interval of the groups' means."""
        values = np.random.default_rng(4).normal(size=FEW)
        value, low, high = ratio_by_few(values[:, None], np.ones((FEW, 1)))
        assert value[0] == pytest.approx(values.mean())
        assert (high - low)[0] / 2 == pytest.approx(2.0930 * values.std(ddof=1) / np.sqrt(FEW), rel=1e-4)

    def test_what_was_never_seen(self):
        """Nothing is said of it."""
        above = np.zeros((FEW, 2))
        above[3, 1] = 2.0
        value, low, high = ratio_by_few(above, 2 * above)
        assert np.isnan(value[0])
        assert value[1] == 0.5
        assert np.isnan([low[0], high[0]]).all()
        assert np.isnan(jackknife(np.array(1.0), np.empty((0,)))).all()

    def test_groups_are_shared_with_the_bootstrap(self):
        """A member of a group is in one of the few, whatever else."""
        group = group_of(np.arange(5000, dtype=np.uint64))
        assert few_of(group).max() == FEW - 1


class TestInterval:
    """What is said of one."""

    def test_sides(self):
        """All above, all below, and neither."""
        assert Interval(2.0, 1.0, 3.0).above(0.5)
        assert Interval(2.0, 1.0, 3.0).below(3.5)
        assert not Interval(2.0, 1.0, 3.0).above(1.5)
        assert not Interval.nothing().above(0.0)


@pytest.fixture(scope="module")
def rows():
    """A hundred logs of either kind, of 400 members who look three times."""
    return {(row.log, row.policy, row.estimator): row for row in coverage.measure(100, 400)}


class TestKnownTruth:
    """Made-up logs; ``keyart bench evaluation`` repeats this at length."""

    def test_intervals_hold_the_truth(self, rows):
        """In 95 of a hundred repetitions, as far as a hundred can tell: 2.2 is a standard error."""
        assert len(rows) == 22
        covered = {key: row.covered for key, row in rows.items()}
        assert min(covered.values()) >= 0.88, covered
        assert np.mean(list(covered.values())) == pytest.approx(0.95, abs=0.025)

    def test_estimates_are_not_off(self, rows):
        """IPS and doubly robust: by less than chance would have it in one of eight comparisons."""
        off = {key: row.bias for key, row in rows.items() if key[2] in {"ips", "dr"}}
        assert all(abs(bias) < 2.7 for bias in off.values()), off
        assert all(abs(rows[key].relative) < 0.02 for key in off)

    def test_the_model_alone_is_off_a_little(self, rows):
        """The direct method shrinks what it has seen little of towards the mean, so it says too little here."""
        relative = [row.relative for key, row in rows.items() if key[2] == "dm"]
        assert all(-0.06 < part < 0.01 for part in relative), relative
        assert np.mean(relative) < -0.01


class TestRanking:
    """From a log of uniform choice alone."""

    def test_the_better_policy_comes_out_on_top(self):
        """Uniform, then best single, then contextual: as the audience knows it, with intervals that lie apart."""
        rows, found = ranking.measure(1, 60_000)
        assert [row.policy for row in rows] == ["uniform", "best", "ours"]
        assert rows[0].high < rows[1].low
        assert rows[1].high < rows[2].low
        for row in rows:
            assert row.low <= row.truth <= row.high
        assert found.findings == []
