"""Event times far from when a record was written: dead letters, and nobody else's statistics move with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from builders import (
    DAY_MS,
    HOUR_MS,
    FakeMessage,
    message_of,
    repeatable,
    some_impression,
    some_play,
    some_reward,
    some_settings,
    some_title,
)
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask
from consumers.viewing import ViewingTask
from producers.audience import Audience
from producers.audience_world import World, WorldRules
from producers.event_clock import EventClock, room_ms
from stream.codec import decode, encode
from stream.dead_letters import REPLAY_HEADER
from stream.errors import DecodeError
from stream.metrics import WorkerMetrics
from stream.reading.event_time import TimeLimits, written_ms
from stream.reading.intake import Intake
from stream.records import Impression, RewardChange, Snapshot, Taste
from stream.topics import DEAD_LETTERS, IMPRESSIONS, LEARNER_CHANGELOG, PLAYS, REWARDS, TASTES

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000
AHEAD_MS, BEHIND_MS = 5 * MINUTE_MS, 7 * DAY_MS
LIMITED = {"max_behind_days": 7}


@dataclass(frozen=True)
class BrokersMessage(FakeMessage):
    """A record whose timestamp brokers gave it."""

    timestamp_type: int = 1


def at(record, written=NOW_MS, offset=0, **changes):
    """A record's message, written then."""
    return replace(message_of(record, offset), timestamp=written, **changes)


def code_of(read, *arguments):
    """Why a record is refused; None if it is not."""
    try:
        read(*arguments)
    except DecodeError as error:
        return error.code
    return None


# --- when a record was written


@pytest.mark.parametrize(
    ("stamp", "clock", "expected"),
    [
        (NOW_MS - DAY_MS, NOW_MS, NOW_MS - DAY_MS),
        (NOW_MS + 1, NOW_MS, NOW_MS),
        (NOW_MS, NOW_MS, NOW_MS),
        (-1, 7, 7),
    ],
    ids=["read days later", "a producer ahead of us", "now", "not said"],
)
def test_a_producers_timestamp_counts_as_far_as_our_clock_has_come(stamp, clock, expected):
    """It is the producer's word: what is read late was written early, but nothing was written in our future."""
    assert written_ms(FakeMessage("t", 0, 0, None, None, stamp), clock) == expected


def test_a_brokers_timestamp_is_taken_as_it_is():
    """It is nobody's word but the cluster's, whatever our own clock says."""
    message = BrokersMessage("t", 0, 0, None, None, NOW_MS)
    assert written_ms(message, NOW_MS - DAY_MS) == written_ms(message, NOW_MS + DAY_MS) == NOW_MS


# --- the limits


@pytest.mark.parametrize(
    ("off", "code"),
    [
        (AHEAD_MS, None),
        (AHEAD_MS + 1, "too_far_ahead"),
        (-BEHIND_MS, None),
        (-BEHIND_MS - 1, "too_far_behind"),
    ],
)
@pytest.mark.parametrize("written", [NOW_MS, NOW_MS - 30 * DAY_MS], ids=["read at once", "read a month later"])
def test_where_the_limits_are(off, code, written):
    """5 minutes ahead and 7 days behind when it was written, to the millisecond, whenever it is read."""
    intake = Intake(some_settings(**LIMITED))
    impression = some_impression(shown_ms=written + off)
    assert code_of(intake.of_title, Impression, at(impression, written), NOW_MS) == code
    assert code_of(intake.play, at(some_play(played_ms=written + off), written), NOW_MS) == code


def test_a_forged_timestamp_does_not_help():
    """A record that says it was written in the future, too, is held against the worker's clock."""
    intake = Intake(some_settings(**LIMITED))
    forged = at(some_impression(shown_ms=NOW_MS + DAY_MS), NOW_MS + DAY_MS)
    assert code_of(intake.of_title, Impression, forged, NOW_MS) == "too_far_ahead"


@pytest.mark.parametrize(
    ("off", "code"), [(AHEAD_MS + 1, "too_far_ahead"), (AHEAD_MS, None), (-400 * DAY_MS, None)]
)
def test_the_impression_inside_a_play(off, code):
    """It may not lie ahead; an old one earns nothing by itself, and its play counts all the same."""
    intake = Intake(some_settings(**LIMITED))
    play = some_play(played_ms=NOW_MS, impression=some_impression(shown_ms=NOW_MS + off))
    assert code_of(intake.play, at(play), NOW_MS) == code


@pytest.mark.parametrize("field", ["shown_ms", "credited_ms"])
@pytest.mark.parametrize(
    ("off", "code"),
    [
        (2 * AHEAD_MS, None),
        (2 * AHEAD_MS + 1, "too_far_ahead"),
        (-BEHIND_MS, None),
        (-3 * BEHIND_MS, "too_far_behind"),
    ],
)
def test_the_limits_of_rewards(field, off, code):
    """Both of their times have limits, wider than those of apps: a viewing worker may come late, and err a bit."""
    intake = Intake(some_settings(**LIMITED))
    reward = some_reward(some_impression(shown_ms=NOW_MS), 0.5)
    fields = {name: getattr(reward, name) for name in reward.__struct_fields__}
    reward = RewardChange(**(fields | {"credited_ms": NOW_MS, field: NOW_MS + off}))
    assert code_of(intake.of_title, RewardChange, at(reward), NOW_MS) == code


@repeatable
@given(
    behind=st.integers(0, BEHIND_MS),
    ahead=st.integers(0, AHEAD_MS),
    age=st.integers(0, DAY_MS),
    away=st.integers(0, BEHIND_MS),
    skew=st.integers(-AHEAD_MS, AHEAD_MS),
    is_ahead=st.booleans(),
)
def test_no_reward_dies_of_a_play_that_was_taken_in(behind, ahead, age, away, skew, is_ahead):
    """However late the viewing worker read the play, and whatever the learner's clock says, within minutes."""
    intake = Intake(some_settings(**LIMITED))
    played_ms = NOW_MS + ahead if is_ahead else NOW_MS - behind
    play = some_play(played_ms=played_ms, impression=some_impression(shown_ms=played_ms - age))
    assert code_of(intake.play, at(play), NOW_MS + away) is None
    reward = replaced(some_reward(play.impression, 0.5), credited_ms=played_ms)
    assert code_of(intake.of_title, RewardChange, at(reward, NOW_MS + away), NOW_MS + away + skew) is None


def replaced(record, **changes):
    """A record with other values in it."""
    return type(record)(**({name: getattr(record, name) for name in record.__struct_fields__} | changes))


def test_the_limits_can_be_lifted():
    """0 is no limit, for each of the two by itself."""
    lifted = Intake(some_settings(max_ahead_seconds=0, max_behind_days=0))
    for shown_ms in (0, NOW_MS + 1000 * DAY_MS):
        assert code_of(lifted.of_title, Impression, at(some_impression(shown_ms=shown_ms)), NOW_MS) is None
    assert TimeLimits.of_rewards(some_settings(max_ahead_seconds=0, max_behind_days=0)) == TimeLimits(0, 0)


def test_what_a_person_puts_back_may_be_old_but_not_of_the_future():
    """A dead letter can wait for two weeks, and is to count then."""
    intake, headers = Intake(some_settings(**LIMITED)), ((REPLAY_HEADER, b"0:1"),)
    old, early = (some_play(played_ms=NOW_MS + off) for off in (-20 * DAY_MS, DAY_MS))
    assert code_of(intake.play, at(old, headers=headers), NOW_MS) is None
    assert code_of(intake.play, at(early, headers=headers), NOW_MS) == "too_far_ahead"


def test_the_reason_says_how_far():
    """In units that a person thinks in."""
    with pytest.raises(
        DecodeError, match=r"^shown_ms is 3\.0 days ahead .* the limit is 5\.0 minutes: is the clock"
    ):
        TimeLimits(AHEAD_MS, BEHIND_MS).check("shown_ms", NOW_MS + 3 * DAY_MS, NOW_MS)


# --- through the workers


class Learner:
    """A learner's task, and what it commits."""

    def __init__(self, **settings):
        self.catalogue = CatalogueView()
        self.catalogue.apply([message_of(some_title())])
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.settings = some_settings(**(LIMITED | settings))
        self.now_ms = NOW_MS
        self.outputs = []
        self.read = []
        self.task = self.new_task()

    def new_task(self):
        """An empty one."""
        return LearnerTask(
            *(0, self.settings, self.catalogue, self.metrics, lambda: None), now_ms=lambda: self.now_ms
        )

    def handle(self, *records, written=NOW_MS):
        """Impressions, one after another; returns how many of them were learned."""
        before = self.version
        for record in records:
            message = at(record, written, len(self.read))
            self.read.append(message)
            self.task.handle(IMPRESSIONS, [message])
        return self.version - before

    def restart(self):
        """Its state from the changelog, and its last impressions read again."""
        self.checkpoint()
        first = self.task.reread().get(IMPRESSIONS.name, len(self.read))
        last = [output for output in self.outputs if output.topic is LEARNER_CHANGELOG][-1:]
        self.task = self.new_task()
        self.task.restore([FakeMessage("c", 0, 0, output.key, output.value) for output in last])
        self.task.remember(IMPRESSIONS, self.read[first:])

    def checkpoint(self):
        """Commit."""
        self.outputs += self.task.checkpoint()

    @property
    def version(self):
        """How many records were learned."""
        return self.snapshot().version

    def snapshot(self):
        """Of the only title."""
        self.task.mark_unpublished(b"film")
        (output,) = self.task.publish(NOW_MS, 1e18)
        return decode(Snapshot, output.value, limit=None)

    @property
    def dead(self):
        """The codes of the dead letters."""
        self.checkpoint()
        return [dict(o.headers)["keyart.code"].decode() for o in self.outputs if o.topic is DEAD_LETTERS]


@pytest.mark.parametrize("crash", [False, True], ids=["", "across a crash"])
@pytest.mark.parametrize("ahead", [4 * MINUTE_MS, HOUR_MS, 1000 * DAY_MS], ids=["allowed", "an hour", "years"])
def test_an_event_ahead_does_not_blind_a_partition_to_repetitions(ahead, crash):
    """What comes after it is still told from its repetition, whether it dies or lies within the limit."""
    learner = Learner()
    assert learner.handle(some_impression("ahead", shown_ms=NOW_MS + ahead)) == (ahead < AHEAD_MS)
    shown = [some_impression(f"i{n}", shown_ms=NOW_MS + n * 1000) for n in range(3)]
    assert learner.handle(*shown, written=NOW_MS + 3000) == 3
    if crash:
        learner.restart()
    assert learner.handle(*shown, written=NOW_MS + 4000) == 0
    assert learner.dead == ["too_far_ahead"] * (ahead > AHEAD_MS)


def test_an_event_ahead_is_itself_told_from_its_repetition():
    """A clock that is four minutes fast repeats itself like any other."""
    learner = Learner()
    fast = some_impression("fast", shown_ms=NOW_MS + 4 * MINUTE_MS)
    assert learner.handle(fast) == 1
    learner.now_ms += 30_000
    assert learner.handle(fast, written=NOW_MS + 30_000) == 0


def test_what_was_refused_is_not_remembered_after_a_crash():
    """An id that died with a time of the future is learned when it comes with the right one."""
    learner = Learner()
    learner.handle(some_impression("first", shown_ms=NOW_MS), some_impression("x", shown_ms=NOW_MS + HOUR_MS))
    learner.restart()
    assert learner.handle(some_impression("x", shown_ms=NOW_MS)) == 1


def test_time_never_goes_back_in_the_learner():
    """An event of last week is learned, and what the title has learned through stays what it was."""
    learner = Learner(half_life_days=3)
    learner.handle(some_impression("i1", shown_ms=NOW_MS))
    before = learner.snapshot()
    assert learner.handle(some_impression("i2", shown_ms=NOW_MS - 6 * DAY_MS)) == 1
    after = learner.snapshot()
    assert after.learned_through_ms == before.learned_through_ms == NOW_MS
    assert after.version == before.version + 1
    assert learner.handle(some_impression("i3", shown_ms=NOW_MS - 8 * DAY_MS)) == 0
    assert learner.dead == ["too_far_behind"]


class Viewing:
    """A viewing worker's task, and what it commits."""

    def __init__(self, **settings):
        catalogue = CatalogueView()
        catalogue.apply([message_of(some_title())])
        self.metrics = WorkerMetrics(CollectorRegistry())
        settings = some_settings(**(LIMITED | settings))
        self.task = ViewingTask(0, settings, catalogue, self.metrics, lambda: None, now_ms=lambda: NOW_MS)

    def handle(self, *plays):
        """Plays; what is committed, by topic."""
        self.task.handle(PLAYS, [at(play, offset=offset) for offset, play in enumerate(plays)])
        outputs = list(self.task.checkpoint())
        return {topic: [o for o in outputs if o.topic is topic] for topic in (REWARDS, TASTES, DEAD_LETTERS)}


@pytest.mark.parametrize("ahead", [4 * MINUTE_MS, 2 * DAY_MS, 1000 * DAY_MS], ids=["allowed", "days", "years"])
def test_a_play_ahead_does_not_make_a_members_later_plays_late(ahead):
    """The play of the future dies, and what the member plays today earns its reward."""
    viewing = Viewing()
    written = viewing.handle(
        some_play("ahead", played_ms=NOW_MS + ahead),
        some_play("today", 1800.0, played_ms=NOW_MS, impression=some_impression(shown_ms=NOW_MS - HOUR_MS)),
    )
    assert [decode(RewardChange, output.value).reward for output in written[REWARDS]] == [1.0]
    codes = [dict(output.headers)["keyart.code"] for output in written[DEAD_LETTERS]]
    assert codes == [b"too_far_ahead"] * (ahead > AHEAD_MS)
    assert viewing.metrics.late._value.get() == 0


def test_without_the_limit_it_does():
    """What the limit is for: lifted, one play of the future makes the member's play of today late."""
    viewing = Viewing(max_ahead_seconds=0)
    written = viewing.handle(
        some_play("ahead", played_ms=NOW_MS + 1000 * DAY_MS),
        some_play("today", 1800.0, played_ms=NOW_MS, impression=some_impression(shown_ms=NOW_MS - HOUR_MS)),
    )
    assert written[REWARDS] == []
    assert viewing.metrics.late._value.get() == 1


def test_time_never_goes_back_in_a_taste():
    """A play of five days ago counts, and the taste stays as of today."""
    viewing = Viewing(late_hours=700)
    viewing.handle(some_play("today", 1800.0, played_ms=NOW_MS))
    written = viewing.handle(some_play("last week", 1800.0, played_ms=NOW_MS - 5 * DAY_MS))
    taste = decode(Taste, written[TASTES][0].value)
    assert (taste.updated_ms, taste.views) == (NOW_MS, 2)


def test_neighbours_of_what_is_refused_are_taken_in():
    """In one batch, whichever way it is off, each dies once with its bytes intact."""
    viewing = Viewing()
    plays = [some_play(f"p{n}", played_ms=NOW_MS + off) for n, off in enumerate((0, DAY_MS, -1, -8 * DAY_MS, 5))]
    written = viewing.handle(*plays)
    assert [output.value for output in written[DEAD_LETTERS]] == [encode(plays[1]), encode(plays[3])]
    assert decode(Taste, written[TASTES][0].value).views == 3


# --- the made-up audience


@pytest.mark.parametrize("seconds", [None, 60.0, 900.0, 1e6])
@pytest.mark.parametrize("days", [0, 1, 7])
def test_a_made_up_audience_keeps_within_the_limits(seconds, days):
    """However long it runs: what it has watched before it comes, too, is young enough for the workers."""
    audience = Audience(World([some_title("film"), some_title("series")], 1, WorldRules(members=50)))
    room = room_ms(days, audience)
    clock = EventClock.ending_now(seconds, 600.0, audience.longest_ms, most_ms=room, wall_ms=lambda: NOW_MS)
    assert min(play.played_ms for play in audience.history()) >= -audience.history_ms
    first_ms = clock.now_ms() - audience.history_ms
    assert days == 0 or first_ms > NOW_MS - days * DAY_MS
    if seconds in {60.0, 900.0} and days == 7:  # the demo's: there is room for all of it
        assert clock.now_ms() == NOW_MS - audience.longest_ms - round(seconds * 599 * 1000)
