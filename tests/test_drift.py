"""A busy title whose reward turns is noticed, and forgets; one whose reward stays, or rises, does not."""

from __future__ import annotations

import numpy as np
import pytest
from builders import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    messages_of,
    some_impression,
    some_reward,
    some_settings,
    some_title,
)
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask
from stream.codec import encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.drift import KEPT, RewardWatch
from stream.learning.gathering import gather
from stream.metrics import WorkerMetrics
from stream.topics import IMPRESSIONS, REWARDS

COLUMNS = ("bias", "comedy")
RULES = LearningRules(10.0, 20.0, 1.0, drift_detection=True)
START = START_MS // DAY_MS * DAY_MS


def watched(rates, per_hour=500, late_ms=0, seed=1):
    """The hours at whose end a title's reward is seen to have turned, whose hours have these rates."""
    rng, watch, found = np.random.default_rng(seed), RewardWatch(), []
    waiting = []
    for hour, rate in enumerate(rates):
        begun = START + hour * HOUR_MS
        for i in range(per_hour):
            shown_ms = begun + i * HOUR_MS // per_hour
            watch.shown(shown_ms)
            if rng.random() < rate:
                waiting.append((shown_ms + int(rng.integers(late_ms + 1)), shown_ms))
        for _, shown_ms in [one for one in waiting if one[0] < begun + HOUR_MS]:
            watch.rewarded(shown_ms, 1.0)
        waiting = [one for one in waiting if one[0] >= begun + HOUR_MS]
        if watch.turned(begun + HOUR_MS):
            found.append(hour)
    return found


@pytest.mark.parametrize("late_ms", [0, HOUR_MS], ids=["at once", "late"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fall_is_noticed_within_hours(seed, late_ms):
    """From 12 plays in 100 to 8: an alarm within ten hours, and none before; nor because rewards take a while."""
    found = watched([0.12] * 30 + [0.08] * 12, late_ms=late_ms, seed=seed)
    assert found
    assert 30 < found[0] <= 42


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "rates", [[0.1] * 120, [0.08] * 30 + [0.12] * 30], ids=["nothing happens", "it gets better"]
)
def test_there_is_no_alarm_without_a_fall(rates, seed):
    """A rate that stays, and one that rises as learning makes it, is no reason to forget."""
    assert watched(rates, late_ms=HOUR_MS, seed=seed) == []


def test_a_quiet_title_gives_no_alarm():
    """Ten impressions an hour say too little."""
    assert watched([0.12] * 30 + [0.08] * 12, per_hour=10) == []


def test_the_order_within_the_hours_changes_nothing():
    """Rewards before impressions, hours in any order, as long as they come in time."""
    one, other = RewardWatch(), RewardWatch()
    shown = [START + i * HOUR_MS // 400 for i in range(400 * 40)]
    rewarded = [ms for i, ms in enumerate(shown) if i % (10 if i < 400 * 20 else 20) == 0]
    for ms in shown:
        one.shown(ms)
    for ms in rewarded:
        one.rewarded(ms, 1.0)
    for ms in reversed(rewarded):
        other.rewarded(ms, 1.0)
    for ms in reversed(shown):
        other.shown(ms)
    ends = range(START, START + 45 * HOUR_MS, HOUR_MS)
    alarms = [one.turned(end) for end in ends]
    assert alarms == [other.turned(end) for end in ends]
    assert any(alarms)


def life(book, hours, rate, first_hour=0, per_hour=500, seed=1):
    """A title is shown and played, hour by hour."""
    rng = np.random.default_rng([seed, first_hour])
    for hour in range(first_hour, first_hour + hours):
        shown = [
            some_impression(f"{hour}-{i}", shown_ms=START + hour * HOUR_MS + i, context={"comedy": 0.5})
            for i in range(per_hour)
        ]
        book.learn_impressions(shown)
        book.learn_rewards([some_reward(one, 1.0) for one in shown if rng.random() < rate])


def test_rewards_that_have_not_been_read_yet_are_no_fall():
    """A learner that is hours ahead with its impressions waits for their rewards before it judges them."""
    book = TitleBook(COLUMNS, RULES)
    life(book, 30, 0.15)
    book.learn_impressions(
        [
            some_impression(f"{hour}-{i}", shown_ms=START + hour * HOUR_MS + i)
            for hour in range(30, 36)
            for i in range(500)
        ]
    )
    assert book.turned == []


def test_many_quiet_titles_turn_together():
    """Where each has too little to show it, all of a partition's titles say that the catalogue has turned."""
    book, rng = TitleBook(COLUMNS, RULES), np.random.default_rng(2)
    for hour in range(48):
        shown = [
            some_impression(f"{hour}-{i}", title_id=f"title-{i % 50}", shown_ms=START + hour * HOUR_MS + i)
            for i in range(500)
        ]
        book.learn_impressions(shown)
        rate = 0.15 if hour < 36 else 0.08
        book.learn_rewards([some_reward(one, 1.0) for one in shown if rng.random() < rate])
    assert sorted(book.turned) == sorted(f"title-{i}" for i in range(50))


class TestForgetting:
    """What an alarm does to what was learned."""

    def test_the_past_weighs_little_and_the_counts_stay(self):
        """S and c up to the alarm are left with a tenth; afterwards everything weighs 1 again."""
        book = TitleBook(COLUMNS, RULES)
        life(book, 30, 0.15)
        life(book, 12, 0.05, first_hour=30)
        assert book.turned == ["film"]
        (lapse,) = book.titles["film"].lapses
        through_ms, left = lapse
        assert left == KEPT
        before = sum(START + hour * HOUR_MS + i <= through_ms for hour in range(42) for i in range(500))
        assert 30 * 500 < before < 42 * 500
        sums = gather(book, [some_title()])
        assert sums.gram[0, 0, 0] == pytest.approx(KEPT * before + (42 * 500 - before))
        assert book.sums.impressions[0] == 42 * 500

    def test_a_late_reward_weighs_as_its_impression_does(self):
        """An impression from before the alarm has lost nine tenths, so its reward counts a tenth."""
        book = TitleBook(COLUMNS, RULES)
        life(book, 30, 0.15)
        life(book, 12, 0.05, first_hour=30)
        old, new = (some_impression("x", shown_ms=START + hour * HOUR_MS) for hour in (29, 41))
        for impression, weight in ((old, KEPT), (new, 1.0)):
            before = gather(book, [some_title()]).moment[0, 0]
            book.learn_rewards([some_reward(impression, 1.0)])
            assert gather(book, [some_title()]).moment[0, 0] - before == pytest.approx(weight)

    def test_it_outlives_a_restart(self):
        """The alarm is in the changelog: what comes late afterwards is weighed as it would have been."""
        book = TitleBook(COLUMNS, RULES)
        life(book, 30, 0.15)
        life(book, 12, 0.05, first_hour=30)
        other = TitleBook(COLUMNS, RULES)
        other.restore(encode_fields(book.store("film")))
        assert other.titles["film"].lapses == book.titles["film"].lapses
        for each in (book, other):
            each.learn_rewards([some_reward(some_impression("x", shown_ms=START), 1.0)])
        np.testing.assert_array_equal(
            gather(book, [some_title()]).moment[0], gather(other, [some_title()]).moment[0]
        )

    def test_it_is_off_unless_asked_for(self):
        """The same life without detection: nothing is forgotten."""
        book = TitleBook(COLUMNS, LearningRules(10.0, 20.0, 1.0))
        life(book, 30, 0.15)
        life(book, 12, 0.05, first_hour=30)
        assert book.turned == []
        assert gather(book, [some_title()]).gram[0, 0, 0] == 42 * 500

    def test_with_a_half_life_both_count(self):
        """The weight of an old impression is its age's, times what the alarm left."""
        book = TitleBook(COLUMNS, LearningRules(10.0, 20.0, 1.0, half_life_days=1.0, drift_detection=True))
        life(book, 30, 0.15)
        life(book, 12, 0.05, first_hour=30)
        ((through_ms, left),) = book.titles["film"].lapses
        now_ms = book.titles["film"].learned_through_ms
        times = np.array([START + hour * HOUR_MS + i for hour in range(42) for i in range(500)])
        weights = np.where(times <= through_ms, left, 1.0) * np.exp2((times - now_ms) / DAY_MS)
        assert gather(book, [some_title()]).gram[0, 0, 0] == pytest.approx(weights.sum())


def test_the_learner_says_so(capsys):
    """A worker counts the turn, and its log names the title."""
    metrics, catalogue = WorkerMetrics(CollectorRegistry()), CatalogueView()
    catalogue.apply(messages_of([some_title()]))
    # More impressions by one member than anybody is shown: without the limits on members.
    settings = some_settings(drift_detection=True, impressions_per_hour=0)
    task = LearnerTask(0, settings, catalogue, metrics, lambda: None)
    rng = np.random.default_rng(1)
    offset = 0
    for hour in range(42):
        shown = [
            some_impression(f"{hour}-{i}", shown_ms=START + hour * HOUR_MS + i, context={"comedy": 0.5})
            for i in range(500)
        ]
        rate = 0.15 if hour < 30 else 0.05
        task.handle(IMPRESSIONS, messages_of(shown, offset))
        task.handle(REWARDS, messages_of([some_reward(one, 1.0) for one in shown if rng.random() < rate], offset))
        offset += 500
    assert metrics.turned._value.get() == 1
    assert "reward turned" in "".join(capsys.readouterr())  # wherever logs go
