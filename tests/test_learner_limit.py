"""What one member can teach a learner in an hour, and that rewards stay in step with the impressions learned."""

from __future__ import annotations

import itertools
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from builders import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    FakeMessage,
    message_of,
    messages_of,
    repeatable,
    some_impression,
    some_play,
    some_settings,
    some_title,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask
from consumers.viewing import ViewingTask
from stream.codec import decode
from stream.metrics import WorkerMetrics
from stream.records import RewardChange
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, PLAYS, REWARDS

FULL_MS = START_MS - START_MS % HOUR_MS + HOUR_MS
few = settings(repeatable, max_examples=30)


class Loop:
    """A viewing worker and a learner with their limits, and what is learned."""

    def __init__(self, **changes):
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry)
        self.catalogue = CatalogueView()
        self.catalogue.apply(messages_of([some_title("film"), some_title("series")]))
        self.settings = some_settings(**({"impressions_per_hour": 1, "max_ahead_seconds": 0} | changes))
        self.learner, self.viewing = self.new_learner(), ViewingTask(*self.parts)
        self.read = []
        self.stored = {}

    @property
    def parts(self):
        """What both tasks are made of."""
        return 0, self.settings, self.catalogue, self.metrics, lambda: None

    def new_learner(self):
        """An empty task."""
        return LearnerTask(*self.parts)

    def show(self, *impressions):
        """A batch of impressions."""
        batch = messages_of(impressions, len(self.read))
        self.read += batch
        self.learner.handle(IMPRESSIONS, batch)

    def play(self, *plays):
        """A batch of plays, and the rewards that come of it."""
        self.viewing.handle(PLAYS, messages_of(plays))
        outputs = [output for output in self.viewing.checkpoint() if output.topic is REWARDS]
        self.learner.handle(REWARDS, messages_of([decode(RewardChange, output.value) for output in outputs]))

    def checkpoint(self):
        """What the changelog keeps."""
        self.stored |= {o.key: o.value for o in self.learner.checkpoint() if o.topic is LEARNER_CHANGELOG}

    def restart(self):
        """A new learner from the changelog, that reads again what it has to remember."""
        first = self.learner.reread().get(IMPRESSIONS.name, len(self.read))
        self.learner = self.new_learner()
        self.learner.restore([FakeMessage("c", 0, i, *kept) for i, kept in enumerate(self.stored.items())])
        self.learner.remember(IMPRESSIONS, self.read[first:])

    def learned(self, title_id="film"):
        """Impressions, plays and reward of a title, over its artworks."""
        self.checkpoint()
        artworks = msgspec.json.decode(self.stored[title_id.encode()])["artworks"]
        return tuple(sum(artwork[name] for artwork in artworks) for name in ("impressions", "plays", "reward"))

    @property
    def over_limit(self):
        """Impressions left out."""
        return self.registry.get_sample_value("keyart_impressions_over_limit_total")


def shown(number, *, minutes=0.0, **changes):
    """An impression so many minutes after the full hour."""
    return some_impression(f"i{number}", shown_ms=FULL_MS + round(minutes * 60_000), **changes)


@pytest.mark.parametrize("most", [1, 3])
def test_an_hour_teaches_so_many_impressions(most):
    """Of one member and title; other members and titles are learned, and what was left out is counted."""
    loop = Loop(impressions_per_hour=most)
    loop.show(*(shown(n, minutes=n / 2) for n in range(100)))
    loop.show(shown("b", member_id="bob"), shown("s", title_id="series"), shown("later", minutes=61))
    assert loop.learned()[0] == most + 2
    assert loop.learned("series")[0] == 1
    assert loop.over_limit == 100 - most
    assert loop.registry.get_sample_value("keyart_impressions_learned_total", {"policy": "personal"}) == most + 3


def test_zero_is_no_limit():
    """Everything is learned."""
    loop = Loop(impressions_per_hour=0)
    loop.show(*(shown(n) for n in range(100)))
    assert (loop.learned()[0], loop.over_limit) == (100, 0)


@few
@given(
    st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.floats(0, 180)), max_size=40),
    st.sets(st.integers(0, 40)),
)
def test_batches_decide_nothing(showings, cuts):
    """However the impressions are cut into batches, the same ones are learned."""
    impressions = [shown(n, member_id=member, minutes=at) for n, (member, at) in enumerate(showings)]
    whole, parts = Loop(), Loop()
    whole.show(*impressions)
    edges = sorted({0, len(impressions), *(cut for cut in cuts if cut < len(impressions))})
    for start, end in itertools.pairwise(edges):
        parts.show(*impressions[start:end])
    whole.checkpoint()
    parts.checkpoint()
    assert whole.stored == parts.stored


def test_a_repetition_takes_nobody_s_place():
    """A record that came twice is a duplicate, and does not count towards the limit."""
    loop = Loop(impressions_per_hour=2)
    loop.show(shown(1), shown(1), shown(1), shown(2), shown(3))
    assert loop.learned()[0] == 2
    assert (loop.over_limit, loop.registry.get_sample_value("keyart_duplicates_total")) == (1, 2)


def test_an_impression_ahead_of_its_writing_does_not_move_the_hour():
    """A member's clock a few minutes ahead would otherwise begin the next hour for everybody."""
    loop = Loop(max_ahead_seconds=300)
    batch = [replace_time(message_of(one, n), FULL_MS + 59 * 60_000) for n, one in enumerate(ahead())]
    loop.learner.handle(IMPRESSIONS, batch)
    assert (loop.learned()[0], loop.over_limit) == (2, 1)


def ahead():
    """Of an hour's last minute, but for bob's, whose clock is 3 minutes ahead."""
    return [shown(1, minutes=59), shown(2, minutes=62, member_id="bob"), shown(3, minutes=59)]


def replace_time(message, timestamp):
    """The message as written then."""
    return replace(message, timestamp=timestamp)


class TestRestart:
    """The counts are not stored."""

    def test_the_last_minute_is_counted_again(self):
        """What a restore reads again for duplicates counts towards the limit too."""
        loop = Loop()
        loop.show(shown(1, minutes=30), shown(2, minutes=30.5))
        loop.checkpoint()
        loop.restart()
        loop.show(shown(3, minutes=30.6), shown(4, minutes=30.7))
        assert loop.learned()[0] == 1

    def test_what_came_before_may_be_taught_once_more(self):
        """Each restart lets a member teach at most so much again within the hour, and no more."""
        loop = Loop(impressions_per_hour=2)
        for restart in range(3):
            loop.show(*(shown(f"{restart}-{n}", minutes=10 * restart + n / 100) for n in range(50)))
            loop.checkpoint()
            loop.show(shown(f"far-{restart}", title_id="series", minutes=10 * restart + 5))
            loop.checkpoint()
            loop.restart()
        assert loop.learned()[0] == 3 * 2


class TestRewards:
    """A reward whose impression was left out is learned; one a day and title keeps that in bounds."""

    def test_it_comes_with_an_impression_of_the_same_hour(self):
        """Shown three times and played from the third: as if shown once and played."""
        third, first = Loop(), Loop()
        for loop, number in ((third, 2), (first, 0)):
            showings = [shown(n, minutes=10 * n) for n in range(3)]
            loop.show(*showings)
            loop.play(some_play(impression=showings[number], played_ms=FULL_MS + HOUR_MS, watched_seconds=1800))
        assert third.learned() == first.learned() == (1, 1, 1.0)
        for loop in (third, first):
            loop.checkpoint()
        sums = [msgspec.json.decode(loop.stored[b"film"])["artworks"] for loop in (third, first)]
        assert sums[0] == sums[1]

    @few
    @given(
        st.lists(
            st.tuples(st.floats(0, 600), st.sampled_from([None, 100.0, 300.0, 900.0, 1800.0])),
            min_size=1,
            max_size=40,
        ),
        st.integers(1, 3),
    )
    def test_never_more_rewards_than_impressions(self, showings, most):
        """Whatever one member looks at and plays: of a title no more rewards are learned than impressions."""
        loop = Loop(impressions_per_hour=most)
        for n, (minutes, watched) in enumerate(sorted(showings, key=lambda one: one[0])):
            impression = shown(n, minutes=minutes - 600)
            loop.show(impression)
            if watched is not None:
                at_ms = impression.shown_ms + 60_000
                loop.play(some_play(f"p{n}", watched, impression=impression, played_ms=at_ms))
            impressions, plays, reward = loop.learned()
            days = len({shown(0, minutes=at - 600).shown_ms // DAY_MS for at, _ in showings})
            assert 0 <= plays <= min(impressions, days)
            assert 0 <= reward <= plays

    def test_a_flood_moves_the_posterior_as_one_member_does(self):
        """A thousand looks and plays of one member in an hour: the same sums as one look and one play."""
        flood, one = Loop(flood_plays=0), Loop()
        showings = [shown(n, minutes=n / 20) for n in range(1000)]
        flood.show(*showings)
        flood.play(
            *(
                some_play(f"p{n}", 1800.0, impression=impression, played_ms=impression.shown_ms + HOUR_MS)
                for n, impression in enumerate(showings)
            )
        )
        one.show(showings[0])
        one.play(some_play("p0", 1800.0, impression=showings[0], played_ms=showings[0].shown_ms + HOUR_MS))
        assert flood.learned() == one.learned() == (1, 1, 1.0)
        sums = [msgspec.json.decode(loop.stored[b"film"])["artworks"][0] for loop in (flood, one)]
        np.testing.assert_array_equal(sums[0]["gram"], sums[1]["gram"])
        np.testing.assert_array_equal(sums[0]["moment"], sums[1]["moment"])
