"""The learner's task: impressions and rewards in; models, snapshots and dead letters out."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from builders import (
    START_MS,
    FakeMessage,
    message_of,
    messages_of,
    repeatable,
    some_impression,
    some_reward,
    some_settings,
    some_title,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask
from consumers.learner.shared_prior import SharedPriorView
from stream.codec import decode
from stream.learning.posterior import unpack_lower
from stream.learning.teaching import read_lessons
from stream.metrics import WorkerMetrics
from stream.records import MAX_FEATURES, Artwork, Snapshot
from stream.topics import DEAD_LETTERS, IMPRESSIONS, LEARNER_CHANGELOG, REWARDS, SHARED_PRIOR, SNAPSHOTS

few = settings(repeatable, max_examples=30)
LONG_AGO, FOREVER = 0.0, 1e18
CATALOGUE_OF = [some_title("film"), some_title("series", ["logo", "cast"])]


class Bench:
    """A task with a catalogue, and what it has written, by topic."""

    def __init__(self, titles=CATALOGUE_OF, partition=0, shared=None, **settings):
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.catalogue = CatalogueView()
        self.catalogue.apply(messages_of(titles, partition=partition))
        self.settings = some_settings(**settings)
        self.partition = partition
        self.shared = shared
        self.refreshes = 0
        self.arriving = []
        self.written = defaultdict(list)
        self.read = []
        self.position = None
        self.task = self.new_task()

    def new_task(self):
        """An empty task, as after a crash."""
        return LearnerTask(
            self.partition, self.settings, self.catalogue, self.metrics, self.refresh, shared=self.shared
        )

    def refresh(self):
        """Read the catalogue to its end: what was still under way arrives."""
        self.refreshes += 1
        self.catalogue.apply(messages_of(self.arriving, partition=self.partition))

    def handle(self, *records):
        """Records of one kind after another, each run of a kind a batch of its topic."""
        for record in records:
            message = (
                record if isinstance(record, FakeMessage) else message_of(record, len(self.read), self.partition)
            )
            self.read.append(message)
            self.task.handle(REWARDS if message.topic.endswith("rewards") else IMPRESSIONS, [message])
        return self

    def checkpoint(self):
        """What is committed now."""
        self.position = len(self.read), self.task.reread()
        outputs = list(self.task.checkpoint())
        for output in outputs:
            self.written[output.topic].append(output)
        return outputs

    def restart(self):
        """As a worker does it: the changelog, then the impressions since the offset that a checkpoint noted."""
        self.task = self.new_task()
        last = {output.key: output for output in self.written[LEARNER_CHANGELOG]}
        self.task.restore(
            [FakeMessage("c", self.partition, i, o.key, o.value) for i, o in enumerate(last.values())]
        )
        position, reread = self.position or (0, {})
        again = [
            message
            for message in self.read[reread.get(IMPRESSIONS.name, position) : position]
            if not message.topic.endswith("rewards")
        ]
        self.task.remember(IMPRESSIONS, again)
        self.read = self.read[:position]

    def publish(self, now_ms=START_MS, deadline=FOREVER):
        """Snapshots by title; None for a tombstone."""
        published = {}
        for output in self.task.publish(now_ms, deadline):
            assert (output.topic, output.partition) == (SNAPSHOTS, self.partition)
            value = None if output.value is None else decode(Snapshot, output.value, limit=None)
            published[output.key.decode()] = value
        return published

    def count(self, name, **labels):
        """A counter's value, by the attribute it has in the code."""
        samples = [sample for metric in getattr(self.metrics, name).collect() for sample in metric.samples]
        return sum(s.value for s in samples if s.name.endswith("_total") and labels.items() <= s.labels.items())

    def dead(self):
        """The codes of the dead letters so far."""
        return [dict(output.headers)["keyart.code"].decode() for output in self.written[DEAD_LETTERS]]


class TestSharedPrior:
    """What the catalogue teaches reaches every title, and what a partition's titles teach goes out."""

    @pytest.fixture
    def shared(self):
        """What all learners teach."""
        return SharedPriorView()

    @pytest.fixture
    def task(self, shared):
        """A learner's task on a catalogue of three titles that show a kiss or a fight."""
        catalogue = CatalogueView()
        art = [Artwork("fight", {"action": 1.0}), Artwork("kiss", {"romance": 1.0})]
        titles = [some_title(f"t{i}", art, themes={"action": 1.0, "romance": 1.0}) for i in range(3)]
        catalogue.apply(messages_of(titles))
        metrics = WorkerMetrics(CollectorRegistry())
        return LearnerTask(0, some_settings(), catalogue, metrics, lambda: None, shared=shared)

    def learn(self, task, title_id, rounds=400):
        """Lovers of romance play what shows the kiss, and nobody the fight."""
        shown = [
            some_impression(
                f"{title_id}-{i}",
                title_id=title_id,
                artwork_id=("kiss", "fight")[i % 2],
                context={"romance": 1.0} if i % 4 < 2 else {"action": 1.0},
            )
            for i in range(rounds)
        ]
        task.handle(IMPRESSIONS, messages_of(shown))
        task.handle(REWARDS, messages_of([some_reward(shown[i], 1.0) for i in range(0, rounds, 4)]))

    def exchange(self, task, shared):
        """A checkpoint, whose lessons come back from their topic."""
        lessons = [output for output in task.checkpoint() if output.topic is SHARED_PRIOR]
        shared.apply([FakeMessage("p", 0, i, o.key, o.value) for i, o in enumerate(lessons)])
        return lessons

    def published(self, task):
        """Snapshots by title."""
        outputs = task.publish(START_MS, FOREVER)
        return {o.key.decode(): decode(Snapshot, o.value, limit=None) for o in outputs}

    def test_a_title_without_data_starts_from_its_tags(self, task, shared):
        """Two titles teach that the kiss is for lovers of romance; the third, never shown, is published so."""
        assert set(self.published(task)) == {"t0", "t1", "t2"}
        self.learn(task, "t0")
        self.learn(task, "t1")
        (lessons,) = self.exchange(task, shared)
        assert lessons.key == b"0"
        third = self.published(task)["t2"]
        fan = [third.features.index("bias"), third.features.index("romance")]
        fight, kiss = (sum(artwork.mean[i] for i in fan) for artwork in third.artworks)
        assert third.version == 0
        assert kiss > 1.2 * fight

    def test_titles_are_published_again_only_when_something_moved(self, task, shared):
        """Once what is taught has settled, a few records more change nobody's snapshot but their own title's."""
        self.learn(task, "t0", rounds=4000)
        for _ in range(4):  # lessons are worked out from what was taught before them
            self.exchange(task, shared)
            self.published(task)
        self.learn(task, "t0", rounds=4)
        self.exchange(task, shared)
        assert set(self.published(task)) == {"t0"}

    def test_a_restored_learner_teaches_all_it_knows(self, task, shared):
        """It does not publish the lessons of a few titles in place of those of all of them."""
        self.learn(task, "t0")
        self.learn(task, "t1")
        outputs = list(task.checkpoint())
        state = [o for o in outputs if o.topic is LEARNER_CHANGELOG]
        again = LearnerTask(
            *(0, some_settings(), task._catalogue, WorkerMetrics(CollectorRegistry()), lambda: None),
            shared=SharedPriorView(),
        )
        again.restore([FakeMessage("c", 0, i, o.key, o.value) for i, o in enumerate(state)])
        before = read_lessons(next(o.value for o in outputs if o.topic is SHARED_PRIOR))
        after = read_lessons(next(o.value for o in again.checkpoint() if o.topic is SHARED_PRIOR))
        assert after.context[0] == before.context[0] == 800.0
        np.testing.assert_allclose(after.precision, before.precision, rtol=1e-12)

    def test_it_can_be_off(self, task):
        """Then nothing is exchanged, and artworks start at 0."""
        alone = LearnerTask(0, some_settings(), task._catalogue, task._metrics, lambda: None)
        self.learn(alone, "t0")
        assert {o.topic for o in alone.checkpoint()} == {LEARNER_CHANGELOG}
        third = self.published(alone)["t2"]
        assert {number for artwork in third.artworks for number in artwork.prior_mean} == {0.0}


def posterior(snapshot):
    """Means and covariances by feature name, counts: what a snapshot says, whatever the order of its columns."""
    names, d = snapshot.features, len(snapshot.features)
    said = {}
    for artwork in snapshot.artworks:
        factor = unpack_lower(np.array(artwork.factor), d)
        covariance = factor @ factor.T
        order = np.argsort(names)
        said[artwork.artwork_id] = (
            (artwork.impressions, artwork.plays),
            np.concatenate(
                [[artwork.reward], np.array(artwork.mean)[order], covariance[np.ix_(order, order)].ravel()]
            ),
        )
    return snapshot.version, snapshot.learned_through_ms, sorted(names), said


def assert_same(a, b):
    """Two snapshots say the same, counts exactly and numbers within 1e-9."""
    (*exact_a, said_a), (*exact_b, said_b) = posterior(a), posterior(b)
    assert exact_a == exact_b
    assert said_a.keys() == said_b.keys()
    for artwork_id, (counts, numbers) in said_a.items():
        assert counts == said_b[artwork_id][0]
        np.testing.assert_allclose(numbers, said_b[artwork_id][1], rtol=1e-9, atol=1e-9)


@pytest.fixture
def bench():
    """A bench of its own."""
    return Bench()


class TestLearning:
    """Records in, sums out."""

    def test_a_batch_of_each_kind(self, bench):
        """Counts, the version and the expected reward follow; state is committed under the title's key."""
        shown = [some_impression(f"i{n}") for n in range(4)]
        bench.task.handle(IMPRESSIONS, messages_of(shown))
        bench.task.handle(REWARDS, messages_of([some_reward(shown[0], 1.0), some_reward(shown[3], 0.5)]))
        snapshot = bench.publish()["film"]
        face, kiss = snapshot.artworks
        assert (snapshot.version, face.impressions, face.plays, face.reward) == (6, 4, 2, 1.5)
        assert (kiss.impressions, kiss.plays, kiss.reward) == (0, 0, 0.0)
        (state,) = bench.checkpoint()
        assert (state.topic, state.key, state.partition) == (LEARNER_CHANGELOG, b"film", 0)
        assert bench.checkpoint() == []

    def test_empty_batches(self, bench):
        """Nothing in, nothing out."""
        bench.task.handle(IMPRESSIONS, [])
        bench.task.handle(REWARDS, [])
        assert bench.checkpoint() == []

    @pytest.mark.parametrize("order", ["impressions first", "rewards first", "mixed"])
    def test_the_order_of_arrival_decides_nothing(self, order):
        """Rewards may come before what they reward: the final snapshot is the same within 1e-9."""
        rng = np.random.default_rng(7)
        shown = [
            some_impression(
                f"i{n}",
                artwork_id=["face", "kiss"][n % 2],
                shown_ms=START_MS + n,
                context={"comedy": float(rng.random()), "romance": float(rng.normal())},
            )
            for n in range(60)
        ]
        earned = [some_reward(one, 0.3) for one in shown[::3]] + [
            some_reward(one, -0.1, 0.2) for one in shown[::6]
        ]
        expected = Bench().handle(*shown, *earned).publish()["film"]
        again = {"impressions first": [*shown[::-1], *earned], "rewards first": [*earned, *shown]}.get(order)
        if again is None:
            again = [*shown, *earned]
            rng.shuffle(again)
        assert_same(Bench().handle(*again).publish()["film"], expected)

    def test_duplicates_count_once(self, bench):
        """Repeated within a minute of event time, in one batch or another, it is left out and counted."""
        shown = [some_impression("i1"), some_impression("i1"), some_impression("i2", shown_ms=START_MS + 59_000)]
        bench.task.handle(IMPRESSIONS, messages_of(shown))
        bench.task.handle(IMPRESSIONS, messages_of(shown, 3))
        assert bench.publish()["film"].version == 2
        assert bench.count("duplicates") == 4

    def test_what_each_policy_earns_is_counted(self, bench):
        """Impressions and rewards by policy; what is taken back lowers the next rise, as a counter cannot fall."""
        shown = [some_impression(f"i{n}", policy=policy) for n, policy in enumerate(["explore", "personal"] * 2)]
        bench.task.handle(IMPRESSIONS, messages_of([*shown, shown[0]]))
        assert (bench.count("impressions", policy="explore"), bench.count("impressions", policy="popular")) == (
            2,
            0,
        )
        totals = []
        for one, credit, reward in [
            (0, 0.5, 0.5),
            (1, 1.0, 1.0),
            (0, -0.25, 0.25),
            (2, 0.125, 0.125),
            (2, 0.5, 0.625),
        ]:
            bench.task.handle(REWARDS, messages_of([some_reward(shown[one], credit, reward)]))
            totals.append(bench.count("rewards", policy="explore"))
        assert totals == [0.5, 0.5, 0.5, 0.5, 0.875]
        assert bench.count("rewards", policy="personal") == 1.0

    def test_unknown_features_are_counted(self, bench):
        """A feature that is no column is ignored and counted."""
        bench.handle(some_impression(context={"comedy": 1.0, "weather": 1.0, "bias": 4.0}))
        assert bench.count("unknown_features") == 2
        assert "weather" not in bench.publish()["film"].features


BAD = [
    ("not_json", FakeMessage("keyart.impressions", 0, 7, b"film", b"nonsense")),
    ("empty", FakeMessage("keyart.impressions", 0, 7, b"film", None)),
    ("invalid", FakeMessage("keyart.impressions", 0, 7, b"film", b"{}")),
    ("bad_key", replace(message_of(some_impression()), offset=7, key=None)),
    ("wrong_key", replace(message_of(some_impression()), offset=7, key=b"series")),
    ("unknown_title", message_of(some_impression(title_id="nowhere"), 7)),
    ("unknown_artwork", message_of(some_impression(artwork_id="lost"), 7)),
    ("wrong_key", replace(message_of(some_reward(some_impression(), 1.0)), offset=7, key=b"series")),
    ("unknown_artwork", message_of(some_reward(some_impression(artwork_id="lost"), 1.0), 7)),
    ("invalid", FakeMessage("keyart.rewards", 0, 7, b"film", message_of(some_impression()).value)),
]


class TestBadInput:
    """What cannot be learned is kept, and nothing else suffers."""

    @pytest.mark.parametrize(("code", "bad"), BAD, ids=[f"{n}-{code}" for n, (code, _) in enumerate(BAD)])
    def test_it_becomes_a_dead_letter(self, bench, code, bad):
        """Bytes intact, with the reason and the offset; the neighbours in its batch are learned as without it."""
        shown = [some_impression("before"), some_impression("after", artwork_id="kiss")]
        topic, good = IMPRESSIONS, shown
        if bad.topic.endswith("rewards"):
            topic, good = REWARDS, [some_reward(one, 0.5) for one in shown]
        before, after = messages_of(good, 6)
        bench.task.handle(topic, [before, bad, replace(after, offset=8)])
        assert bench.publish()["film"].version == 2
        bench.checkpoint()
        (dead,) = bench.written[DEAD_LETTERS]
        headers = dict(dead.headers)
        assert (dead.key, dead.value) == (bad.key, bad.value)
        assert (headers["keyart.code"].decode(), headers["keyart.offset"]) == (code, b"7")
        assert headers["keyart.topic"].decode() == bad.topic
        assert bench.count("dead_letters", code=code) == 1
        assert [output.key for output in bench.written[LEARNER_CHANGELOG]] == [b"film"]

    def test_it_is_not_remembered_as_seen(self, bench):
        """A dead impression that is sent again, rightly this time, is no duplicate."""
        bench.handle(BAD[4][1], some_impression())
        assert bench.publish()["film"].version == 1

    def test_the_catalogue_is_read_once_a_batch(self, bench):
        """One refresh for a batch; what it brings is learned, what it does not is dead with advice."""
        bench.arriving = [some_title("new")]
        shown = [
            some_impression(f"i{n}", title_id=title) for n, title in enumerate(["new", "nowhere", "new", "no"])
        ]
        bench.task.handle(IMPRESSIONS, messages_of(shown))
        assert bench.refreshes == 1
        assert bench.publish()["new"].version == 2
        bench.checkpoint()
        reasons = [dict(output.headers)["keyart.reason"].decode() for output in bench.written[DEAD_LETTERS]]
        assert reasons[0] == "title 'nowhere' is not in the catalogue: load it, then replay this record"
        assert bench.dead() == ["unknown_title"] * 2

    def test_a_new_artwork_is_found_by_the_refresh_too(self, bench):
        """A title that is known may have an artwork that is not yet."""
        bench.arriving = [some_title("film", ["face", "kiss", "new"])]
        bench.handle(some_impression(artwork_id="new"))
        assert [artwork.impressions for artwork in bench.publish()["film"].artworks] == [0, 0, 1]

    def test_replayed_once_the_catalogue_knows(self, bench):
        """The same bytes, later: learned."""
        message = message_of(some_impression(title_id="new"))
        bench.handle(message)
        bench.checkpoint()
        bench.catalogue.apply(messages_of([some_title("new")]))
        dead = bench.written[DEAD_LETTERS][0]
        bench.handle(replace(message, key=dead.key, value=dead.value, offset=1))
        assert bench.publish()["new"].version == 1


contexts = st.dictionaries(st.sampled_from(["comedy", "romance", "weather"]), st.floats(-2, 2), max_size=3)
shown = st.builds(
    lambda n, title, which, context, age: some_impression(
        f"i{n}",
        title_id=title,
        artwork_id={"film": ["face", "kiss"], "series": ["logo", "cast"]}[title][which],
        context=context,
        shown_ms=START_MS + 20_000 * n + age,
    ),
    st.integers(0, 8),
    st.sampled_from(["film", "series"]),
    st.integers(0, 1),
    contexts,
    st.sampled_from([0, 0, -50_000, 70_000]),
)
rewarded = st.builds(some_reward, shown, st.sampled_from([0.25, 1.0]))


class TestRestart:
    """State from the changelog, and the last minute of input read again."""

    @few
    @given(st.lists(shown | rewarded, max_size=20), st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
    def test_restored_is_as_if_never_stopped(self, story, checkpoints, crashes):
        """Wherever it crashes, input since the last checkpoint is read again and every snapshot is the same."""
        kept, restarted = Bench(), Bench()
        kept.handle(*story)
        for i, record in enumerate(story):
            restarted.handle(record)
            if i in checkpoints:
                restarted.checkpoint()
            if i in crashes:
                lost = restarted.read
                restarted.restart()
                restarted.handle(*lost[len(restarted.read) :])
        expected, found = kept.publish(), restarted.publish()
        assert expected.keys() == found.keys()
        for title_id, snapshot in expected.items():
            assert_same(found[title_id], snapshot)

    def test_a_duplicate_across_a_crash(self, bench):
        """An impression learned before the crash and repeated after it, within the minute, counts once."""
        bench.handle(some_impression())
        bench.checkpoint()
        bench.restart()
        bench.handle(some_impression(), some_impression("i2"))
        assert bench.publish()["film"].version == 2
        assert bench.task.reread() == {IMPRESSIONS.name: 0}

    def test_what_was_dead_is_not_remembered(self, bench):
        """Reading again remembers only what was learned: a record under a wrong key may still come rightly."""
        bench.handle(some_impression("learned"), BAD[4][1])
        bench.checkpoint()
        bench.restart()
        bench.handle(some_impression())
        assert bench.publish()["film"].version == 2

    def test_columns_may_come_in_another_order(self):
        """A worker whose catalogue grew on the way, and one that starts from it whole, say the same by name."""
        first = [some_title("film", themes={"romance": 1.0})]
        later = [some_title("film", themes={"comedy": 1.0, "romance": 1.0, "action": 1.0})]
        bench = Bench(first)
        one = some_impression(context={"comedy": 0.5, "romance": 1.0})
        bench.handle(one)
        bench.catalogue.apply(messages_of(later))
        bench.handle(some_impression("i2", context={"comedy": 0.5, "romance": 1.0}), some_reward(one, 1.0))
        before = bench.publish()["film"]
        bench.checkpoint()
        bench.restart()
        after = bench.publish()["film"]
        assert before.features == ("bias", "romance", "action", "comedy")
        assert after.features == ("bias", "action", "comedy", "romance")
        assert_same(after, before)


class TestCatalogue:
    """The catalogue decides what is published."""

    def test_every_title_of_the_partition_is_published_at_first(self):
        """A title never shown has its prior; titles of other partitions are somebody else's."""
        bench = Bench()
        bench.catalogue.apply(messages_of([some_title("elsewhere")], partition=5))
        published = bench.publish()
        assert set(published) == {"film", "series"}
        assert all(snapshot.version == 0 for snapshot in published.values())
        assert bench.publish() == {}

    def test_where_time_runs_out_the_most_changed_come_first_next_time(self, monkeypatch):
        """A play of a title with few, marked last, before those that changed little; in the end all of them."""
        clock = [1.0]
        monkeypatch.setattr("time.monotonic", lambda: clock[0])
        busy = [f"busy-{number}" for number in range(40)]
        bench = Bench([some_title(name) for name in (*busy, "quiet", "silent")])
        for turn in range(30):
            who = f"member-{turn}"
            bench.handle(*(some_impression(f"{name}-{turn}", title_id=name, member_id=who) for name in busy))
        played = some_impression("mine", title_id="quiet")
        bench.handle(played)
        assert len(bench.publish()) == 42
        bench.handle(*(some_impression(f"{name}-again", title_id=name) for name in busy))
        bench.handle(some_reward(played, 1.0))
        clock[0] = 2.0
        assert bench.publish(deadline=LONG_AGO) == {}
        found = list(bench.publish())
        assert (found[0], sorted(found[1:])) == ("quiet", sorted(busy))

    def test_a_withdrawn_title_gets_a_tombstone(self, bench):
        """Once; and when it comes back, what was learned is still there."""
        bench.handle(some_impression())
        bench.publish()
        bench.catalogue.apply([FakeMessage("keyart.catalogue", 0, 9, b"film", None)])
        assert bench.publish() == {"film": None}
        assert bench.publish() == {}
        bench.handle(some_reward(some_impression(), 1.0))
        assert bench.publish() == {"film": None}
        bench.catalogue.apply(messages_of([some_title("film")]))
        assert bench.publish()["film"].version == 2
        assert bench.dead() == []

    def test_a_changed_title_is_published_anew(self, bench):
        """Another order, another artwork, another canvas: the snapshot follows, without anything learned."""
        bench.handle(some_impression())
        bench.publish()
        wide = Artwork("new", {}, "wide")
        bench.catalogue.apply(messages_of([some_title("film", ["kiss", wide, "face"])]))
        snapshot = bench.publish()["film"]
        assert [(a.artwork_id, a.canvas, a.impressions) for a in snapshot.artworks] == [
            ("kiss", None, 0),
            ("new", "wide", 0),
            ("face", None, 1),
        ]
        assert snapshot.version == 1

    def test_what_was_shown_before_a_withdrawal_still_counts(self, bench):
        """An artwork no longer listed goes on learning from late rewards, and is back when it is listed again."""
        bench.handle(some_impression())
        bench.catalogue.apply(messages_of([some_title("film", ["kiss"])]))
        bench.handle(some_reward(some_impression(), 1.0))
        bench.checkpoint()
        assert bench.dead() == []
        assert [a.artwork_id for a in bench.publish()["film"].artworks] == ["kiss"]
        bench.catalogue.apply(messages_of([some_title("film")]))
        assert bench.publish()["film"].artworks[0].reward == 1.0

    def test_new_themes_become_features(self, bench):
        """Appended, and learned from then on."""
        bench.handle(some_impression())
        bench.catalogue.apply(messages_of([some_title("third", [Artwork("a", {"noir": 1.0, "cast:Ann": 1.0})])]))
        bench.handle(some_impression("i2", context={"noir": 1.0}))
        assert bench.publish()["film"].features == ("bias", "comedy", "romance", "noir", "cast")
        assert bench.count("unknown_features") == 0

    def test_configured_features_are_all_there_are(self):
        """The catalogue's themes do not matter if features are configured."""
        bench = Bench(features=("mood", "comedy"))
        bench.catalogue.apply(messages_of([some_title("third", [Artwork("a", {"noir": 1.0})])]))
        bench.handle(some_impression(context={"mood": 1.0, "noir": 1.0}))
        assert bench.publish()["film"].features == ("bias", "comedy", "mood")
        assert bench.count("unknown_features") == 1

    def test_too_many_themes(self):
        """More themes than a context may hold: the first by name are learned from, and the worker goes on."""
        titles = [some_title(f"t{n}", themes={f"theme{n:02}-{i:02}": 1.0 for i in range(30)}) for n in range(4)]
        bench = Bench([*titles, some_title()])
        bench.handle(some_impression(context={"theme00-00": 1.0, "theme03-29": 1.0}))
        snapshot = bench.publish()["film"]
        assert len(snapshot.features) == MAX_FEATURES + 1
        assert bench.count("unknown_features") == 1
        bench.checkpoint()
        bench.restart()
        assert_same(bench.publish()["film"], snapshot)


class TestPublishing:
    """Snapshots go out oldest change first, as far as time allows."""

    def test_nothing_after_the_deadline_and_nothing_lost(self, bench):
        """What there was no time for is published next time."""
        bench.handle(some_impression(), some_impression("i2", title_id="series", artwork_id="logo"))
        assert bench.publish(deadline=LONG_AGO) == {}
        assert list(bench.publish()) == ["film", "series"]

    def test_what_waits_longest_comes_first(self, bench):
        """A title that keeps changing does not push others back."""
        bench.publish()
        bench.handle(some_impression("i1", title_id="series", artwork_id="logo"))
        bench.handle(*(some_impression(f"i{n}") for n in range(2, 5)))
        bench.handle(some_impression("i9", title_id="series", artwork_id="logo"))
        assert list(bench.publish()) == ["series", "film"]

    @settings(repeatable, max_examples=10)
    @given(st.lists(shown | rewarded, min_size=1, max_size=20), st.lists(shown | rewarded, max_size=10))
    def test_publishing_between_the_parts_of_a_checkpoint_changes_nothing_learned(self, before, after):
        """A worker publishes when it is due, when some of its partitions may have been collected already."""

        def told(publishing):
            shared, written = SharedPriorView(), []
            benches = [Bench(partition=partition, shared=shared) for partition in (0, 1)]
            for story in (before, after):
                for bench in benches:
                    bench.handle(*story)
                for bench in benches:
                    for output in bench.checkpoint():
                        fields = json.loads(output.value)
                        fields.pop("held", None)  # by what it is chosen: that is what publishing decides
                        written.append((output.topic, output.key, fields))
                    if publishing:
                        for one in benches:
                            one.publish()
                for bench in benches:
                    bench.publish()
            return written

        assert told(publishing=True) == told(publishing=False)

    def test_a_lost_snapshot_is_published_again(self, bench):
        """Of our own titles, withdrawn ones too; keys of other partitions are left to others."""
        bench.publish()
        bench.catalogue.apply(messages_of([some_title("elsewhere")], partition=5))
        bench.catalogue.apply([FakeMessage("keyart.catalogue", 0, 9, b"series", None)])
        bench.publish()
        for key in (b"film", b"series", b"elsewhere", b"\xff"):
            bench.task.mark_unpublished(key)
        assert set(bench.publish()) == {"film", "series"}

    def test_an_unsound_title_is_held_back_alone(self, bench):
        """The refusal is counted; other titles are published; state is committed all the same."""
        bench.handle(some_impression(), some_impression("i2", title_id="series", artwork_id="logo"))
        bench.task._book.sums.gram[0] = -np.eye(3)
        assert set(bench.publish()) == {"series"}
        assert bench.count("publish_refused") == 1
        assert len(bench.checkpoint()) == 2

    def test_the_clock_is_an_argument(self, bench):
        """The time a snapshot carries is the caller's; what is learned does not depend on it."""
        bench.handle(some_impression())
        one = bench.publish(now_ms=1)["film"]
        bench.task.mark_unpublished(b"film")
        two = bench.publish(now_ms=2)["film"]
        assert (one.published_ms, two.published_ms) == (1, 2)
        assert_same(one, two)


def test_no_member_is_named(bench):
    """Neither snapshots nor the changelog hold a member's id."""
    bench.handle(some_impression(member_id="member-of-the-club"))
    values = [output.value for output in bench.task.publish(START_MS, FOREVER)]
    values += [output.value for output in bench.checkpoint()]
    assert values
    assert all(b"member" not in value for value in values)
    assert all(json.loads(value)["title_id"] for value in values)


def test_other_inputs_are_not_remembered(bench):
    """Only impressions are read again after a restore."""
    bench.handle(some_impression())
    bench.checkpoint()
    bench.restart()
    fresh = bench.new_task()
    fresh.remember(REWARDS, [message_of(some_impression())])
    assert fresh.reread() == {}
    assert bench.task.reread() == {IMPRESSIONS.name: 0}
