"""From plays to credit and taste, one member at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from random import Random

import msgspec
import pytest
from builders import DAY_MS, HOUR_MS, START_MS, repeatable, some_impression, some_play, some_settings
from hypothesis import given
from hypothesis import strategies as st

from stream.plays.reward import ViewingRules, reward_of
from stream.plays.viewing import CLOCK_SKEW_MS, MAX_PLAYS, Member
from stream.records import MAX_FEATURES

RULES = ViewingRules(
    min_seconds=120, full_fraction=0.3, attribution_ms=24 * HOUR_MS, late_ms=HOUR_MS, half_life_ms=90 * DAY_MS
)
RUNTIME = 6000.0  # full reward at 1,800 s
COMEDY = {"comedy": 1.0, "cast:Ann": 0.5}
DRAMA = {"drama": 0.5, "romance": 0.25, "cast:Ann": 1.0, "cast:Bob": 1.0}

#: Three impressions of one evening, each always the same.
SHOWN = {f"i{n}": some_impression(f"i{n}", shown_ms=START_MS + n * HOUR_MS) for n in range(3)}


def watch(member, play, themes=COMEDY, runtime=RUNTIME, rules=RULES):
    """One record; what became of it and its reward change: without limits there is one at most."""
    outcome, changes = member.watch(play, themes, runtime, rules)
    assert len(changes) <= 1
    return outcome, changes[0] if changes else None


def play_of(impression_id, play_id, hours, watched_seconds):
    """A play led to by one of the impressions, so many hours after the first of them."""
    impression = None if impression_id is None else SHOWN[impression_id]
    return some_play(play_id, watched_seconds, impression=impression, played_ms=START_MS + round(hours * HOUR_MS))


def plays_within(hours):
    """Records of plays; a play keeps to one impression, as a play's token does."""
    seconds = st.sampled_from([0.0, 119.9, 120.0, 300.0, 333.3, 900.0, 1700.1, 1800.0, 9e6])
    return st.lists(
        st.builds(
            lambda n, hours, watched: play_of([None, "i0", "i0", "i1", "i2"][n], f"p{n}", hours, watched),
            st.integers(0, 4),
            st.floats(0, hours, allow_nan=False),
            seconds,
        ),
        max_size=15,
    )


class TestReward:
    """What watching is worth."""

    @pytest.mark.parametrize(
        ("watched", "runtime", "reward"),
        [
            (0, 6000, 0.0),
            (119.999, 6000, 0.0),
            (120, 6000, 120 / 1800),
            (450, 6000, 0.25),
            (1799.999, 6000, 1799.999 / 1800),
            (1800, 6000, 1.0),
            (1e7, 6000, 1.0),
            (120, 1e7, 120 / 3e6),
            (119, 60, 0.0),
            (120, 60, 1.0),
            (120, 5e-324, 1.0),
        ],
    )
    def test_edges(self, watched, runtime, reward):
        """Nothing below min_seconds, a share of the needed part from there, everything once it is reached."""
        assert reward_of(watched, runtime, RULES) == pytest.approx(reward, abs=1e-12)

    def test_without_a_minimum(self):
        """min_seconds 0: the smallest look is worth something, none at all nothing."""
        rules = replace(RULES, min_seconds=0)
        assert reward_of(0.0, 6000, rules) == 0.0
        assert 0 < reward_of(1e-3, 6000, rules) < 1e-6

    @repeatable
    @given(st.floats(0, 1e7), st.floats(0, 1e7), st.floats(1e-300, 1e7))
    def test_more_is_never_worth_less(self, a, b, runtime):
        """In [0, 1] whatever was watched, and growing with it."""
        low, high = sorted((reward_of(a, runtime, RULES), reward_of(b, runtime, RULES)))
        assert 0 <= low <= high <= 1
        assert (reward_of(min(a, b), runtime, RULES), reward_of(max(a, b), runtime, RULES)) == (low, high)

    def test_rewards_add_up_exactly(self):
        """Sums and differences of rewards lose nothing, so that what is taken back leaves nothing."""
        rewards = [reward_of(120 + 1.37 * n, 6000, RULES) for n in range(1000)]
        total = sum(rewards)
        shuffled = list(rewards)
        Random(1).shuffle(shuffled)
        assert sum(shuffled) == total
        for reward in shuffled:
            total -= reward
        assert total == 0.0


class TestCredit:
    """Each impression is credited once, with the largest reward of its plays."""

    def test_a_play_credits_its_impression(self):
        """The change carries the impression's own words, when it was earned, and the total."""
        shown = SHOWN["i0"]
        outcome, change = watch(Member(), play_of("i0", "p", 1, 900))
        assert outcome == "counted"
        assert change is not None
        assert (change.credit, change.reward, change.credited_ms) == (0.5, 0.5, START_MS + HOUR_MS)
        for name in ("impression_id", "shown_ms", "title_id", "artwork_id", "context", "policy", "propensity"):
            assert getattr(change, name) == getattr(shown, name)

    @pytest.mark.parametrize(
        ("records", "credits_"),
        [
            ([(1, 450), (2, 900)], [0.25, 0.25]),
            ([(1, 900), (2, 450)], [0.5, -0.25]),
            ([(1, 900), (2, 0)], [0.5, -0.5]),
            ([(1, 900), (2, 0), (3, 1800)], [0.5, -0.5, 1.0]),
            ([(1, 900), (1, 900)], [0.5, None]),
            ([(2, 900), (1, 1800)], [0.5, None]),
            ([(2, 900), (2, 450)], [0.5, None]),
            ([(2, 450), (2, 900)], [0.25, 0.25]),
            ([(1, 100), (2, 110)], [None, None]),
            ([(1, 1800), (2, 5000)], [1.0, None]),
            ([(24, 450), (24.01, 1800)], [0.25, None]),
            ([(24.01, 1800), (24, 450)], [None, 0.25]),
        ],
        ids=[
            "watched on", "corrected down", "taken back", "taken back and given again", "repeated",
            "older record late", "same time, less", "same time, more", "short looks", "more than full",
            "goes on past the window", "the same, out of order",
        ],
    )  # fmt: skip
    def test_a_later_record_supersedes(self, records, credits_):
        """What changes is the difference between the latest records watched within the window."""
        member = Member()
        changes = [watch(member, play_of("i0", "p", hours, seconds))[1] for hours, seconds in records]
        assert [None if change is None else change.credit for change in changes] == credits_

    def test_two_plays_of_one_impression(self):
        """The larger counts, and the smaller again when the larger is taken back."""
        member = Member()
        records = [("p1", 1, 450), ("p2", 2, 900), ("p1", 3, 600), ("p2", 4, 0), ("p1", 5, 0)]
        changes = [watch(member, play_of("i0", name, hours, seconds))[1] for name, hours, seconds in records]
        assert [None if c is None else c.reward for c in changes] == [0.25, 0.5, None, pytest.approx(1 / 3), 0.0]
        assert sum(c.credit for c in changes if c is not None) == 0.0

    @pytest.mark.parametrize(
        ("age_ms", "counts"),
        [
            (-CLOCK_SKEW_MS - 1, False),
            (-CLOCK_SKEW_MS, True),
            (0, True),
            (24 * HOUR_MS, True),
            (24 * HOUR_MS + 1, False),
        ],
    )
    def test_the_attribution_window(self, age_ms, counts):
        """From a little before the impression, as clocks differ, to attribution_hours after it, both included."""
        play = some_play(impression=SHOWN["i0"], played_ms=START_MS + age_ms)
        member = Member()
        outcome, change = watch(member, play)
        assert outcome == "counted"
        assert (change is not None) is counts
        assert member.views == 1

    def test_without_an_impression_only_the_taste_learns(self):
        """A play that no artwork led to earns nobody anything."""
        member = Member()
        assert watch(member, some_play()) == ("counted", None)
        assert (member.views, set(member.weights)) == (1, set(COMEDY))

    def test_a_play_keeps_its_first_impression(self):
        """A play cannot be moved to another impression, nor credit two."""
        member = Member()
        watch(member, play_of("i0", "p", 2, 900))
        assert watch(member, play_of("i1", "p", 3, 1800)) == ("counted", None)
        assert member.plays["p"].impression_id == "i0"

    def test_an_impression_named_later_is_credited(self):
        """A play whose first record knew no impression credits the one that a later record names."""
        member = Member()
        assert watch(member, play_of(None, "p", 1, 900)) == ("counted", None)
        change = watch(member, play_of("i0", "p", 2, 1800))[1]
        assert change is not None
        assert change.credit == 1.0

    @repeatable
    @given(plays_within(200))
    def test_credits_always_add_up(self, plays):
        """Whatever comes in whatever order: an impression's credits sum to its reward, within [0, 1], exactly."""
        member, earned = Member(), defaultdict(float)
        for play in plays:
            _, change = watch(member, play)
            if change is not None:
                earned[change.impression_id] += change.credit
                assert change.credit != 0
                assert earned[change.impression_id] == change.reward
                assert 0 <= change.reward <= 1

    @repeatable
    @given(plays_within(25), st.randoms(use_true_random=False))
    def test_order_and_repetition_decide_nothing(self, plays, random):
        """Within the window any order, with any repetitions, ends at what a recount of all records gives."""
        again = plays + plays[: len(plays) // 2]
        random.shuffle(again)
        member, earned = Member(), defaultdict(float)
        for play in again:
            _, change = watch(member, play)
            if change is not None:
                earned[change.impression_id] = change.reward
        assert {k: v for k, v in earned.items() if v} == recounted_rewards(plays)
        latest = {play.play_id: play for play in sorted(plays, key=lambda p: (p.played_ms, p.watched_seconds))}
        assert member.views == sum(play.watched_seconds >= 120 for play in latest.values())

    @repeatable
    @given(plays_within(60), st.integers(0, 15))
    def test_state_survives_its_changelog(self, plays, cut):
        """A member stored and restored on the way answers as one that was never put away."""
        kept, stored = Member(), Member()
        for i, play in enumerate(plays):
            if i == cut:
                stored = msgspec.json.decode(msgspec.json.encode(stored), type=Member)
            assert watch(stored, play) == watch(kept, play)
        assert stored == kept


def recounted_rewards(plays):
    """Each impression's reward from all records at once: its plays' latest records within the window, the best."""
    latest = {}
    for play in sorted(plays, key=lambda p: (p.played_ms, p.watched_seconds)):
        shown = play.impression
        if shown is not None and -CLOCK_SKEW_MS <= play.played_ms - shown.shown_ms <= 24 * HOUR_MS:
            latest[play.play_id] = shown.impression_id, reward_of(play.watched_seconds, RUNTIME, RULES)
    rewards = defaultdict(float)
    for impression_id, reward in latest.values():
        rewards[impression_id] = max(rewards[impression_id], reward)
    return {impression_id: reward for impression_id, reward in rewards.items() if reward}


class TestLate:
    """What comes when nothing can change any more."""

    def test_a_play_counts_once_however_late_it_is_repeated(self):
        """The same record again, long after its play was forgotten, is late: neither credited nor liked twice."""
        member = Member()
        watch(member, play_of("i0", "p", 1, 900))
        watch(member, play_of(None, "other", 24 * 9, 900), DRAMA)
        before = member.taste("ann")
        assert "p" not in member.plays
        assert watch(member, play_of("i0", "p", 1, 900)) == ("late", None)
        assert watch(member, play_of("i0", "new", 1, 900)) == ("late", None)
        assert watch(member, play_of(None, "organic", 1, 900)) == ("late", None)
        assert member.taste("ann") == before

    @pytest.mark.parametrize(("minutes_late", "outcome"), [(60, "counted"), (60 + 1, "late")])
    def test_the_limit_is_late_hours_after_the_window(self, minutes_late, outcome):
        """A record may arrive late_hours after the attribution window of its impression has closed."""
        member = Member()
        watch(member, play_of(None, "other", 24 + minutes_late / 60, 900))
        assert watch(member, play_of("i0", "p", 1, 900))[0] == outcome

    def test_a_play_that_goes_on_after_days_is_one_view(self):
        """Resumed long after, under the same play_id, it supersedes itself in the taste, and earns no more."""
        member = Member()
        watch(member, play_of("i0", "p", 1, 900))
        assert watch(member, play_of("i0", "p", 70, 1800)) == ("counted", None)
        assert member.views == 1
        assert member.weights["comedy"] == pytest.approx(1.0)
        assert watch(member, play_of("i0", "p", 60, 1800))[0] == "duplicate"

    @repeatable
    @given(plays_within(2000))
    def test_settled_plays_are_forgotten(self, plays):
        """Nothing is remembered of a play once nobody can change it: 25 hours after its start."""
        member = Member()
        for play in plays:
            watch(member, play)
            assert all(state.expires_ms >= member.through_ms for state in member.plays.values())
            assert all(state.played_ms >= member.through_ms - 25 * HOUR_MS for state in member.plays.values())

    def test_memory_is_bounded_by_the_rate_of_plays(self):
        """A year of a play an hour: no more is remembered than the plays of the last 25 hours."""
        member = Member()
        for hour in range(365 * 24):
            watch(member, play_of(None, f"p{hour}", hour, 900))
            assert len(member.plays) <= 26

    def test_a_flood_within_the_window_is_refused_beyond_a_limit(self):
        """Every record a new play_id: past MAX_PLAYS they are refused and change nothing; known plays go on."""
        member = Member()
        for n in range(MAX_PLAYS):
            assert watch(member, play_of(None, f"p{n}", n / MAX_PLAYS, 900))[0] == "counted"
        before = msgspec.json.encode(member)
        assert watch(member, play_of("i0", "one more", 2, 900)) == ("too_many", None)
        assert msgspec.json.encode(member) == before
        assert watch(member, play_of(None, "p7", 3, 1800))[0] == "counted"
        assert watch(member, play_of(None, "tomorrow", 50, 900))[0] == "counted"
        assert set(member.plays) == {"tomorrow"}


class TestTaste:
    """What a member likes to watch."""

    def test_shares_of_people_and_of_themes_each_sum_to_one(self):
        """Weighted by reward, tags taken together, people apart from the rest."""
        member = Member()
        watch(member, some_play("a", 1800), COMEDY)
        watch(member, some_play("b", 900), DRAMA)
        taste = member.taste("ann").taste
        assert taste == pytest.approx(
            {
                "comedy": 1 / 1.375,
                "drama": 0.25 / 1.375,
                "romance": 0.125 / 1.375,
                "cast:Ann": 1.0 / 1.5,
                "cast:Bob": 0.5 / 1.5,
            }
        )

    @repeatable
    @given(
        st.lists(st.tuples(plays_within(30), st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1))))
    )
    def test_shares_are_shares(self, batches):
        """Whatever was watched, each group's shares are in [0, 1] and sum to 1, or the group is empty."""
        member = Member()
        for plays, themes in batches:
            for play in plays:
                watch(member, play, themes | {"cast:" + name: tag for name, tag in themes.items()})
        taste = member.taste("ann").taste
        for is_person in (True, False):
            shares = [share for name, share in taste.items() if name.startswith("cast:") is is_person]
            assert all(0 <= share <= 1 for share in shares)
            assert sum(shares) == pytest.approx(1.0 if shares else 0.0, abs=1e-9)

    def test_it_forgets_by_half(self):
        """After one half-life what was watched weighs half of the same watched now."""
        member = Member()
        watch(member, some_play("a", 1800), {"old": 1.0})
        watch(member, some_play("b", 1800, played_ms=START_MS + HOUR_MS + 90 * DAY_MS), {"new": 1.0})
        taste = member.taste("ann")
        assert taste.taste == pytest.approx({"new": 2 / 3, "old": 1 / 3})
        assert (taste.updated_ms, taste.views) == (START_MS + HOUR_MS + 90 * DAY_MS, 2)

    def test_a_long_time_without_watching_forgets_nothing(self):
        """Shares stay when nothing new is watched: a glance years later does not erase a taste."""
        member = Member()
        watch(member, some_play("a", 1800), COMEDY)
        before = member.taste("ann").taste
        watch(member, some_play("glance", 5, played_ms=START_MS + 20_000 * DAY_MS), DRAMA)
        assert member.taste("ann").taste == before

    @repeatable
    @given(plays_within(20), st.randoms(use_true_random=False))
    def test_order_decides_nothing(self, plays, random):
        """The same plays in another order give the same shares, within 1e-9."""
        themes = {f"p{n}": {f"t{n}": 1.0, "comedy": 0.5, f"cast:{n % 2}": 0.25} for n in range(5)}
        shuffled = list(plays)
        random.shuffle(shuffled)
        tastes = []
        for order in (plays, shuffled):
            member = Member()
            for play in order:
                watch(member, play, themes[play.play_id], rules=replace(RULES, half_life_ms=5 * HOUR_MS))
            tastes.append(member.taste("ann").taste)
        assert tastes[0] == pytest.approx(tastes[1], abs=1e-9)

    @pytest.mark.parametrize("then", [COMEDY, DRAMA, {}], ids=["same tags", "other tags", "no tags"])
    def test_what_is_taken_back_leaves_nothing(self, then):
        """Superseded down to nothing, no weight is left, even if the title's tags were changed in between."""
        member = Member()
        for n in range(20):
            watch(member, play_of(None, "p", 1 + n / 10, 120 + 77.7 * n), COMEDY)
        watch(member, play_of(None, "p", 4, 0), then)
        assert (member.weights, member.views, member.taste("ann").taste) == ({}, 0, {})

    def test_changed_tags_move_a_play_not_its_neighbours(self):
        """A play going on after the catalogue has changed counts with the new tags alone; others are untouched."""
        member = Member()
        watch(member, some_play("other", 1800), {"drama": 1.0})
        watch(member, play_of(None, "p", 1, 900), {"comedy": 1.0})
        watch(member, play_of(None, "p", 1.5, 1800), {"drama": 0.5})
        fade = 2 ** (-0.5 / (90 * 24))
        assert member.weights == pytest.approx({"drama": fade + 0.5})

    def test_the_least_of_too_many_themes_are_dropped(self):
        """A taste holds as many themes, and as many people, as a context may: those that weigh most."""
        member = Member()
        many = {f"t{n:03}": (n + 1) / 200 for n in range(200)}
        watch(member, some_play("a", 1800), many | {"cast:" + name: tag for name, tag in many.items()})
        kept = {f"t{n:03}" for n in range(200 - MAX_FEATURES, 200)}
        assert set(member.taste("ann").taste) == kept | {"cast:" + name for name in kept}

    def test_themes_are_compared_as_written(self):
        """Names are kept as they are, whatever script or form; only the prefix tells a person."""
        themes = {"é": 1.0, "e\u0301": 1.0, "\u200b": 1.0, "Cast:Ann": 1.0, "cast:": 1.0}
        member = Member()
        watch(member, some_play("a", 1800), themes)
        assert member.taste("ann").taste == pytest.approx(dict.fromkeys(themes, 0.25) | {"cast:": 1.0})


def test_rules_are_the_settings():
    """Hours and days become milliseconds."""
    rules = ViewingRules.of(some_settings(attribution_hours=1.5, late_hours=0, taste_half_life_days=0.5))
    assert (rules.attribution_ms, rules.late_ms, rules.half_life_ms) == (5_400_000, 0, 43_200_000)
    assert (rules.min_seconds, rules.full_fraction) == (120, 0.3)
