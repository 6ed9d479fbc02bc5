"""The split among policies: looked at all the time, an alarm is for something, and it is raised once."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import multinomial

from benchmarks.live import alarms
from stream.worth.split import ALPHA, SplitWatch, log_bayes_factor

SHARES = {"personal": 0.93, "popular": 0.05, "explore": 0.02, "app": 0.0}


def members_of(shares, count, seed=1):
    """Members and their policies, as a hash would split them."""
    policies = np.random.default_rng(seed).choice(list(shares), count, p=list(shares.values()))
    return [(f"member-{seed}-{i}", str(policy)) for i, policy in enumerate(policies)]


def test_the_bayes_factor_is_a_martingale_where_the_shares_are_right():
    """Over all that may come, its average is 1 after any number of members: so it is rarely large, at any time."""
    shares = {"personal": 0.6, "popular": 0.3, "explore": 0.1}
    for members in (1, 5, 12):
        average = 0.0
        for one, other in itertools.product(range(members + 1), repeat=2):
            counts = (one, other, members - one - other)
            if min(counts) >= 0:
                chance = multinomial.pmf(counts, members, list(shares.values()))
                average += chance * math.exp(log_bayes_factor(dict(zip(shares, counts, strict=True)), shares))
        assert average == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_alarms_for_nothing_are_as_rare_as_said(share):
    """Exactly, from the first member on: the chance of ever raising one, added up over all ways it can be."""
    shares = {"popular": share, "personal": 1 - share}
    raises = math.log(2 / ALPHA)
    inside, raised = np.zeros(402), 0.0
    inside[0] = 1.0
    for members in range(1, 401):
        inside[1:] = inside[1:] * (1 - share) + inside[:-1] * share
        inside[0] *= 1 - share
        for count in np.flatnonzero(inside[: members + 1] > 1e-9).tolist():
            if log_bayes_factor({"popular": count, "personal": members - count}, shares) >= raises:
                raised += inside[count]
                inside[count] = 0.0
    assert 0.0 < raised <= ALPHA / 2


def test_members_who_get_lost_are_missed():
    """Half of those who get what is popular: every node says so."""
    assert alarms(20, 10_000, 1, lost=0.5) == 1.0


def test_an_alarm_is_raised_once_and_stays():
    """However many more members come."""
    watch = SplitWatch(SHARES)
    raised = [watch.seen(*member) for member in members_of({"personal": 0.7, "popular": 0.3}, 2000)]
    assert sum(raised) == 1
    assert watch.mismatch
    assert not any(watch.seen(*member) for member in members_of(SHARES, 2000, seed=3))
    assert watch.mismatch


def test_a_policy_that_nobody_should_have_is_an_alarm_at_once():
    """Some node was started with another setting."""
    watch = SplitWatch(SHARES)
    assert not watch.seen("ann", "personal")
    assert watch.seen("bob", "app")


def test_a_member_counts_once():
    """One who comes back a thousand times says nothing more about the split."""
    watch = SplitWatch(SHARES)
    for _ in range(1000):
        assert not watch.seen("ann", "explore")
    assert watch.members == 1
    assert watch.counts["explore"] == 1


def test_of_many_members_a_part_is_remembered():
    """Memory stays bounded; the sample has everybody's shares, and still raises no alarm for nothing."""
    watch = SplitWatch(SHARES, most=500)
    for member in members_of(SHARES, 20_000):
        assert not watch.seen(*member)
    assert 200 < watch.members <= 500
    assert sum(watch.counts.values()) == watch.members
    assert watch.counts["personal"] / watch.members == pytest.approx(0.93, abs=0.05)


def test_a_sample_finds_what_begins_later():
    """Members were split as they should be, until they were not."""
    watch = SplitWatch({"personal": 0.5, "popular": 0.5}, most=2000)
    for member in members_of({"personal": 0.5, "popular": 0.5}, 1500, seed=4):
        assert not watch.seen(*member)
    assert any(watch.seen(*member) for member in members_of({"personal": 0.9, "popular": 0.1}, 8000, seed=5))
