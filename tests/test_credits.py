"""How much a member's plays of a day may earn, and that no order of their records changes it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace

import msgspec
import pytest
from builders import DAY_MS, HOUR_MS, START_MS, repeatable, some_impression, some_play, some_settings
from hypothesis import given
from hypothesis import strategies as st

from stream.codec import encode
from stream.plays.reward import ViewingRules, reward_of
from stream.plays.viewing import MAX_PLAYS, Member

RULES = ViewingRules(
    min_seconds=120, full_fraction=0.3, attribution_ms=24 * HOUR_MS, late_ms=HOUR_MS, half_life_ms=90 * DAY_MS
)
ONCE, TWO = replace(RULES, title_once=True), replace(RULES, plays_per_day=2)
BOTH, FLOOD = replace(RULES, title_once=True, plays_per_day=2), replace(RULES, flood_plays=3)
RUNTIME = 6000.0  # full reward at 1,800 s
DAWN_MS = START_MS - START_MS % DAY_MS + DAY_MS


def shown(name, *, title="film", hours=1.0):
    """An impression so long after midnight."""
    return some_impression(name, title_id=title, shown_ms=DAWN_MS + round(hours * HOUR_MS))


def play(impression, watched, *, after=0.5, play_id=None):
    """A record of the play it led to."""
    name = f"p-{impression.impression_id}" if play_id is None else play_id
    return some_play(name, watched, impression=impression, played_ms=impression.shown_ms + round(after * HOUR_MS))


class Account:
    """A member, and what each impression has by the changes that were told."""

    def __init__(self, rules, member=None):
        self.rules = rules
        self.member = Member() if member is None else member
        self.rewards = defaultdict(float)
        self.outcomes = []

    def watch(self, *plays):
        """Take in records; the changes of the last one, as impression and credit."""
        changes = []
        for record in plays:
            outcome, changes = self.member.watch(record, {"comedy": 1.0}, RUNTIME, self.rules)
            self.outcomes.append(outcome)
            for change in changes:
                self.rewards[change.impression_id] += change.credit
                assert change.credit != 0
                assert self.rewards[change.impression_id] == change.reward
                assert 0 <= change.reward <= 1
        return [(change.impression_id, change.credit) for change in changes]

    @property
    def earned(self):
        """The impressions that have something, and how much."""
        return {name: reward for name, reward in self.rewards.items() if reward}


class TestTitleOnce:
    """Of one title's impressions of a day one is credited: the one whose play was worth most."""

    def test_the_better_play_takes_the_credit(self):
        """What the lesser one had is taken back with its own words, in the same breath."""
        early, late = shown("a", hours=1), shown("b", hours=9)
        account = Account(ONCE)
        assert account.watch(play(early, 450)) == [("a", 0.25)]
        assert account.watch(play(late, 900)) == [("a", -0.25), ("b", 0.5)]
        (_, changes) = account.member.watch(play(early, 1800, after=10), {}, RUNTIME, ONCE)
        taken, given_ = changes
        assert (taken.impression_id, taken.artwork_id, taken.context) == ("b", late.artwork_id, late.context)
        assert (taken.credit, taken.reward, given_.credit, given_.reward) == (-0.5, 0.0, 1.0, 1.0)

    def test_the_lesser_play_earns_nothing_but_is_liked(self):
        """It counts for the taste, and says that it is not credited; repeated, it is a duplicate."""
        account = Account(ONCE)
        account.watch(play(shown("a", hours=1), 900))
        lesser = play(shown("b", hours=2), 450)
        assert account.watch(lesser) == []
        assert account.watch(lesser) == []
        assert account.outcomes == ["counted", "uncredited", "duplicate"]
        assert account.member.views == 2

    def test_of_equals_the_one_shown_first_has_it(self):
        """Whichever play is reported first."""
        first, second = play(shown("b", hours=1), 1800), play(shown("a", hours=2), 1800)
        for order in ((first, second), (second, first)):
            account = Account(ONCE)
            account.watch(*order)
            assert account.earned == {"b": 1.0}

    def test_other_titles_and_other_days_have_their_own(self):
        """Midnight is UTC's, and an impression belongs to the day on which it was shown."""
        account = Account(ONCE)
        account.watch(
            play(shown("a", hours=23), 900),
            play(shown("b", hours=23, title="series"), 900),
            play(shown("c", hours=24), 900),
        )
        assert account.earned == {"a": 0.5, "b": 0.5, "c": 0.5}

    @pytest.mark.parametrize("watched", [900, 600, 0], ids=["the same", "less", "nothing"])
    def test_corrections_change_the_reward_and_not_whose_it_is(self, watched):
        """A play that turns out to be less keeps the credit, as it was worth most once."""
        account = Account(ONCE)
        account.watch(play(shown("a", hours=1), 900), play(shown("b", hours=2), 750))
        account.watch(play(shown("a", hours=1), watched, after=3))
        assert account.earned == ({"a": pytest.approx(watched / 1800)} if watched else {})
        account.watch(play(shown("a", hours=1), 1800, after=4))
        assert account.earned == {"a": 1.0}

    def test_a_superseded_record_still_says_what_a_play_was_worth(self):
        """It comes after a lesser one of its play: the impression wins the credit, with what it is worth now."""
        one, other = shown("a", hours=1), shown("b", hours=2)
        account = Account(ONCE)
        account.watch(play(other, 750), play(one, 600, after=3))
        assert account.earned == {"b": pytest.approx(750 / 1800)}
        account.watch(play(one, 900, after=2))
        assert account.earned == {"a": pytest.approx(600 / 1800)}

    def test_several_plays_of_one_impression(self):
        """They are one contender: the best of them counts."""
        one = shown("a", hours=1)
        account = Account(ONCE)
        account.watch(play(one, 450, play_id="p"), play(one, 900, play_id="q"), play(shown("b"), 600))
        assert account.earned == {"a": 0.5}
        account.watch(play(shown("b"), 1200))
        assert account.earned == {"b": pytest.approx(1200 / 1800)}
        account.watch(play(one, 1500, play_id="p", after=2))
        assert account.earned == {"a": pytest.approx(1500 / 1800)}
        account.watch(play(one, 0, play_id="p", after=3))
        assert account.earned == {"a": 0.5}


class TestPlaysPerDay:
    """A day's impressions that are credited are no more than so many: those worth most."""

    def test_those_worth_most_are_credited(self):
        """A third play is credited if it is better, and then the least of the others loses its credit."""
        account = Account(TWO)
        account.watch(*(play(shown(name, title=name), watched) for name, watched in [("a", 600), ("b", 900)]))
        assert account.watch(play(shown("c", title="c"), 450)) == []
        assert account.watch(play(shown("c", title="c"), 1200, after=2)) == [
            ("a", pytest.approx(-1 / 3)),
            ("c", pytest.approx(2 / 3)),
        ]

    def test_a_flood_earns_two_a_day(self):
        """However many impressions and plays, of one title or many, for days on end."""
        account = Account(TWO)
        for n in range(400):
            account.watch(play(shown(f"i{n}", title=f"t{n % 7}", hours=n / 5), 1800))
        assert sum(account.earned.values()) == 2 * 4
        assert len(account.member.credits) <= 2 * 4

    def test_within_a_title_first(self):
        """With both limits a title's lesser impressions take no other title's place."""
        account = Account(BOTH)
        account.watch(*(play(shown(f"i{n}", hours=n), 1800 - n) for n in range(1, 9)))
        account.watch(play(shown("other", title="other"), 450))
        assert account.earned == {"i1": pytest.approx(1799 / 1800), "other": 0.25}


class TestFlood:
    """A member who plays more in a day than people do earns nothing on it."""

    def test_what_was_earned_is_given_back(self):
        """The play that is one too many takes back the whole day, and the next day begins anew."""
        account = Account(replace(FLOOD, plays_per_day=2))
        account.watch(*(play(shown(f"i{n}", title=f"t{n}"), 900 + n) for n in range(3)))
        assert len(account.earned) == 2
        taken = account.watch(play(shown("i3", title="t3"), 1800))
        assert {name for name, credit in taken if credit < 0} == {"i1", "i2"}
        assert account.earned == {}
        assert account.outcomes[-1] == "uncredited"
        account.watch(play(shown("i1", title="t1"), 1800, after=2), play(shown("later", hours=30), 900))
        assert account.earned == {"later": 0.5}

    def test_many_plays_of_one_impression_are_many(self):
        """A token that is played again and again is a flood as well; reports of one play are not."""
        one = shown("a")
        account = Account(FLOOD)
        account.watch(*(play(one, 600 + n, after=0.5 + n / 100) for n in range(50)))
        assert account.earned == {"a": pytest.approx(649 / 1800)}
        account.watch(*(play(one, 600, play_id=f"q{n}") for n in range(3)))
        assert account.earned == {}

    def test_short_looks_are_no_plays(self):
        """Who starts fifty titles and stays with none is a person."""
        account = Account(FLOOD)
        account.watch(*(play(shown(f"i{n}", title=f"t{n}"), 60) for n in range(50)), play(shown("a"), 900))
        assert account.earned == {"a": 0.5}


def recounted(plays, rules):
    """What each impression has to have in the end, from all records at once."""
    latest, worth, about, counted = {}, defaultdict(float), {}, defaultdict(set)
    for record in sorted(plays, key=lambda p: (p.played_ms, p.watched_seconds)):
        impression, reward = record.impression, reward_of(record.watched_seconds, RUNTIME, RULES)
        about[impression.impression_id] = impression
        latest[record.play_id] = impression.impression_id, reward
        worth[impression.impression_id] = max(worth[impression.impression_id], reward)
        if reward:
            counted[impression.shown_ms // DAY_MS].add(record.play_id)
    taken, credited = defaultdict(int), set()
    for name in sorted(about, key=lambda name: (-worth[name], about[name].shown_ms, name)):
        day, title = about[name].shown_ms // DAY_MS, about[name].title_id
        if not worth[name] or (rules.title_once and taken[day, title]):
            continue
        if rules.flood_plays and len(counted[day]) > rules.flood_plays:
            continue
        if rules.plays_per_day and taken[day] == rules.plays_per_day:
            continue
        taken[day, title] += 1
        taken[day] += 1
        credited.add(name)
    rewards = defaultdict(float)
    for name, reward in latest.values():
        if name in credited:
            rewards[name] = max(rewards[name], reward)
    return {name: reward for name, reward in rewards.items() if reward}


IMPRESSIONS = [shown(f"i{n}", title=f"t{n % 3}", hours=20 + n) for n in range(8)]  # midnight falls among them
stories = st.lists(
    st.builds(
        lambda n, second, after, watched: play(IMPRESSIONS[n], watched, after=after, play_id=f"p{n}-{second}"),
        st.integers(0, 7),
        st.integers(0, 1),
        st.sampled_from([0.25, 0.5, 1.0, 6.5, 16.0]),
        st.sampled_from([0.0, 100.0, 300.0, 333.3, 900.0, 1700.1, 1800.0]),
    ),
    max_size=30,
)
limits = st.sampled_from(
    [RULES, ONCE, TWO, BOTH, FLOOD, replace(BOTH, flood_plays=3), replace(RULES, plays_per_day=3, flood_plays=4)]
)


@repeatable
@given(stories, limits, st.randoms(use_true_random=False))
def test_order_and_repetition_decide_nothing(plays, rules, random):
    """Whatever order the records come in, and however often, the credits end where a recount of them all ends."""
    again = plays + plays[: len(plays) // 2]
    random.shuffle(again)
    account = Account(rules)
    account.watch(*again)
    assert account.earned == recounted(plays, rules)


@repeatable
@given(stories, limits, st.integers(0, 30))
def test_state_survives_its_changelog(plays, rules, cut):
    """A member stored and restored on the way goes on as one that was never put away."""
    kept, stored = Account(rules), Account(rules)
    for n, record in enumerate(plays):
        if n == cut:
            stored.member = msgspec.json.decode(msgspec.json.encode(stored.member), type=Member)
        assert stored.watch(record) == kept.watch(record)
    assert (stored.member, stored.outcomes) == (kept.member, kept.outcomes)


@repeatable
@given(st.lists(st.tuples(stories, limits), max_size=4))
def test_limits_may_change_between_runs(batches):
    """Under limits that come and go credits still add up, and what was told is what is held."""
    account = Account(RULES)
    for plays, rules in batches:
        account.rules = rules
        account.watch(*plays)
    held = defaultdict(float)
    for state in account.member.plays.values():
        if not state.withheld:
            held[state.impression_id] = max(held[state.impression_id], state.credit)
    assert account.earned == {name: reward for name, reward in held.items() if reward}


def test_a_member_stored_before_there_were_limits():
    """A changelog record without the new fields is read, and what it has credited contends from then on."""
    before = Account(RULES)
    one, other = shown("a", hours=1), shown("b", hours=2)
    before.watch(play(one, 900), play(other, 450))
    old = msgspec.json.decode(msgspec.json.encode(before.member))
    del old["credits"], old["days"]
    for state in old["plays"].values():
        del state["withheld"], state["counted"]
    account = Account(BOTH, msgspec.convert(old, type=Member))
    account.rewards |= before.rewards
    assert account.watch(play(one, 900)) == []
    account.watch(play(one, 1800, after=2))
    account.watch(play(other, 500, after=2))
    assert account.earned == {"a": 1.0}


class TestMemory:
    """What is kept is bounded, and kept as long as it can matter."""

    def test_a_credit_is_remembered_until_its_day_cannot_change(self):
        """A rival of the same day that comes just in time meets it, however long ago it was won."""
        account = Account(ONCE)
        account.watch(play(shown("a", hours=0.5), 1800))
        rival = shown("b", hours=23.9)
        account.watch(play(rival, 1800, after=24))
        assert account.earned == {"a": 1.0}
        assert "p-a" in account.member.plays
        account.watch(play(shown("c", hours=49.5), 1800))
        assert set(account.member.credits) == {"c"}
        assert "p-a" not in account.member.plays

    def test_no_more_than_a_few_days_of_credits_are_kept(self):
        """A month of plays: the credits of three days at most, and the plays of the last 25 hours beside them."""
        account = Account(replace(BOTH, plays_per_day=5))
        for n in range(30 * 24):
            account.watch(play(shown(f"i{n}", title=f"t{n}", hours=n), 1800))
            assert len(account.member.credits) <= 3 * 5
            assert len(account.member.plays) <= 26 + 3 * 5

    def test_a_flood_makes_no_large_record(self):
        """As many plays as are remembered, with the default limits: the stored member stays below 1 MiB."""
        account = Account(ViewingRules.of(some_settings()))
        context = {f"theme-number-{n:02}": 1 / (n + 3) for n in range(64)}
        for n in range(MAX_PLAYS + 50):
            impression = some_impression(f"i{n:030}", title_id=f"t{n}", shown_ms=DAWN_MS + n, context=context)
            account.watch(play(impression, 1800))
        assert account.outcomes[-1] == "too_many"
        assert len(encode(account.member)) < 1 << 20  # type: ignore[arg-type]


@pytest.mark.parametrize("rules", [RULES, BOTH], ids=["without limits", "with limits"])
def test_every_order_of_a_small_story(rules):
    """All orders of five records with corrections up and down, one by one."""
    a, b, c = shown("a", hours=1), shown("b", hours=2), shown("c", hours=3, title="series")
    records = [play(a, 900), play(a, 300, after=2), play(b, 700), play(b, 0, after=5), play(c, 450)]
    expected = recounted(records, rules)
    for order in itertools.permutations(records):
        account = Account(rules)
        account.watch(*order)
        assert account.earned == expected


def test_rules_are_the_settings():
    """The limits are on by default, and 0 is none."""
    rules = ViewingRules.of(some_settings())
    assert (rules.plays_per_day, rules.title_once, rules.flood_plays) == (10, True, 50)
    assert rules.limited
    assert not ViewingRules.of(some_settings(plays_per_day=0, title_once=False, flood_plays=0)).limited
