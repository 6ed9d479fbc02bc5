"""The viewing worker's task: batches of plays in; rewards, tastes, state and dead letters out."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import replace

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
from consumers.viewing import ViewingTask
from stream.codec import decode
from stream.errors import StateMismatch
from stream.metrics import WorkerMetrics
from stream.plays import viewing
from stream.records import RewardChange, Taste
from stream.topics import DEAD_LETTERS, PLAYS, REWARDS, TASTES, VIEWING_CHANGELOG

few = settings(repeatable, max_examples=30)


class Bench:
    """A task with a catalogue, and what it has written, by topic."""

    def __init__(self, partition=2):
        self.catalogue = CatalogueView()
        self.catalogue.apply(messages_of([some_title("film"), some_title("series")]))
        self.refreshes = 0
        self.arriving = []
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.partition = partition
        self.written = defaultdict(list)
        self.task = self.new_task()

    def new_task(self):
        """An empty task, as after a crash."""
        return ViewingTask(self.partition, some_settings(), self.catalogue, self.metrics, self.refresh)

    def refresh(self):
        """Read the catalogue to its end: what was still under way arrives."""
        self.refreshes += 1
        self.catalogue.apply(messages_of(self.arriving))

    def handle(self, messages):
        """One batch, and its checkpoint."""
        self.task.handle(PLAYS, messages)
        return self.checkpoint()

    def checkpoint(self):
        """What is committed now."""
        outputs = list(self.task.checkpoint())
        for output in outputs:
            self.written[output.topic].append(output)
        return outputs

    def restart(self):
        """A new task, its state restored from the compacted changelog."""
        last = {output.key: output for output in self.written[VIEWING_CHANGELOG]}
        self.task = self.new_task()
        self.task.restore(
            [FakeMessage("c", self.partition, i, o.key, o.value) for i, o in enumerate(last.values())]
        )

    def count(self, name, **labels):
        """A counter's value, by the attribute it has in the code."""
        samples = [sample for metric in getattr(self.metrics, name).collect() for sample in metric.samples]
        return sum(s.value for s in samples if s.name.endswith("_total") and labels.items() <= s.labels.items())

    def rewards(self):
        """Every reward written."""
        return [decode(RewardChange, output.value) for output in self.written[REWARDS]]

    def tastes(self):
        """The last taste of each member."""
        return {output.key.decode(): decode(Taste, output.value) for output in self.written[TASTES]}


@pytest.fixture
def bench():
    """A bench of its own."""
    return Bench()


def test_a_play_becomes_reward_taste_and_state(bench):
    """The reward goes to its title by key, taste and state to the member's own partition."""
    shown = some_impression()
    outputs = bench.handle([message_of(some_play(impression=shown))])
    assert [(o.topic, o.key, o.partition) for o in outputs] == [
        (REWARDS, b"film", None),
        (VIEWING_CHANGELOG, b"ann", 2),
        (TASTES, b"ann", 2),
    ]
    reward = bench.rewards()[0]
    assert (reward.impression_id, reward.credit, reward.reward, reward.context) == ("i1", 0.5, 0.5, shown.context)
    assert bench.tastes()["ann"].taste == pytest.approx({"comedy": 2 / 3, "romance": 1 / 3})
    assert bench.checkpoint() == []
    assert bench.task.reread() == {}
    assert list(bench.task.publish(0, 1e18)) == []


BAD = [
    ("not_json", FakeMessage("keyart.plays", 0, 7, b"ann", b'{"play_id": ')),
    ("empty", FakeMessage("keyart.plays", 0, 7, b"ann", b"")),
    ("bad_key", FakeMessage("keyart.plays", 0, 7, None, None)),
    ("bad_key", FakeMessage("keyart.plays", 0, 7, b"\xff", None)),
    ("bad_key", FakeMessage("keyart.plays", 0, 7, b"\x00position", None)),
    ("bad_key", FakeMessage("keyart.plays", 0, 7, b"x" * 129, None)),
    ("not_utf8", FakeMessage("keyart.plays", 0, 7, b"ann", message_of(some_play()).value.replace(b"p1", b"\xff"))),
    ("invalid", FakeMessage("keyart.plays", 0, 7, b"ann", b"[]")),
    ("too_large", FakeMessage("keyart.plays", 0, 7, b"ann", b"x" * 70_000)),
    ("bad_key", replace(message_of(some_play()), offset=7, key=None)),
    ("bad_key", replace(message_of(some_play()), offset=7, key=b"\xff")),
    ("wrong_key", replace(message_of(some_play()), offset=7, key=b"bob")),
    ("wrong_impression", message_of(some_play(impression=some_impression(member_id="bob"), member_id="ann"), 7)),
    ("wrong_impression", message_of(some_play(impression=some_impression(), title_id="series"), 7)),
    ("unknown_title", message_of(some_play(title_id="nowhere"), 7)),
]


@pytest.mark.parametrize(("code", "bad"), BAD, ids=[f"{n}-{code}" for n, (code, _) in enumerate(BAD)])
def test_a_bad_record_becomes_a_dead_letter(bench, code, bad):
    """Its bytes are kept with the reason and the offset; its neighbours are credited; it changes nothing."""
    before, after = some_play("p-before", member_id="bob"), some_play("p-after", member_id="cleo")
    bench.handle([message_of(before, 6), bad, message_of(after, 8)])
    (dead,) = bench.written[DEAD_LETTERS]
    headers = dict(dead.headers)
    assert dead.value == bad.value
    assert headers["keyart.code"].decode() == code
    assert (headers["keyart.offset"], headers["keyart.worker"]) == (b"7", b"tester")
    assert set(bench.tastes()) == {"bob", "cleo"}
    assert bench.count("dead_letters", code=code) == 1
    assert bench.rewards() == []


def test_an_unknown_title_is_looked_up_once_a_batch(bench):
    """One refresh for a batch; what it brings is credited, what it does not is dead, with advice."""
    bench.arriving = [some_title("new")]
    plays = [some_play(f"p{n}", title_id=title) for n, title in enumerate(["new", "nowhere", "new", "elsewhere"])]
    bench.handle(messages_of(plays))
    assert bench.refreshes == 1
    reasons = [dict(output.headers)["keyart.reason"].decode() for output in bench.written[DEAD_LETTERS]]
    assert reasons == [
        f"title '{title}' is not in the catalogue: load it, then replay this record"
        for title in ("nowhere", "elsewhere")
    ]
    assert bench.tastes()["ann"].views == 2
    bench.handle(messages_of([some_play("p9", title_id="nowhere")]))
    assert bench.refreshes == 2


def test_known_titles_need_no_refresh(bench):
    """The catalogue is not read again for what is known."""
    bench.handle(messages_of([some_play(), some_play("p2", title_id="series")]))
    assert bench.refreshes == 0


def test_a_replayed_dead_letter_is_credited(bench):
    """Once the catalogue has the title, the same bytes are taken in."""
    message = message_of(some_play(title_id="new"))
    bench.handle([message])
    bench.catalogue.apply(messages_of([some_title("new")]))
    dead = bench.written[DEAD_LETTERS][0]
    bench.handle([replace(message, offset=1, key=dead.key, value=dead.value)])
    assert bench.tastes()["ann"].views == 1


def test_repetitions_are_counted_and_change_nothing(bench):
    """Neither rewards nor state are written for what is known or late, but they are counted."""
    plays = [some_play(impression=some_impression()), some_play("p2", played_ms=START_MS + 9 * DAY_MS)]
    bench.handle(messages_of(plays))
    assert bench.handle(messages_of([plays[1], plays[1], plays[0]])) == []
    assert (bench.count("duplicates"), bench.count("late")) == (2, 1)


def test_a_flood_of_one_member_becomes_dead_letters(bench, monkeypatch):
    """Past the limit plays are dead letters that name the likely fault; other members are not affected."""
    monkeypatch.setattr(viewing, "MAX_PLAYS", 3)
    plays = [some_play(f"p{n}", played_ms=START_MS + n) for n in range(5)] + [some_play("other", member_id="bob")]
    bench.handle(messages_of(plays))
    assert [dict(dead.headers)["keyart.code"] for dead in bench.written[DEAD_LETTERS]] == [b"too_many_plays"] * 2
    assert {member: taste.views for member, taste in bench.tastes().items()} == {"ann": 3, "bob": 1}


def forget(member_id, offset=0):
    """The wish to forget a member, as it is read."""
    return FakeMessage("keyart.plays", 2, offset, member_id.encode(), None)


@pytest.mark.parametrize("known", [True, False])
def test_who_asks_is_forgotten(bench, known):
    """State and taste get tombstones in the member's own partition, whether or not the worker knows the member."""
    bench.handle(messages_of([some_play("p1", member_id="ann" if known else "cleo"), some_play(member_id="bob")]))
    outputs = bench.handle([forget("ann")])
    assert [(o.topic, o.key, o.value, o.partition) for o in outputs] == [
        (VIEWING_CHANGELOG, b"ann", None, 2),
        (TASTES, b"ann", None, 2),
    ]
    assert bench.count("forgotten") == 1
    bench.restart()
    assert "ann" not in bench.task._members
    assert "bob" in bench.task._members


def test_who_comes_back_is_new(bench):
    """What was earned before stays earned; what is played, or repeated, after a tombstone counts from nothing."""
    play = some_play(impression=some_impression())
    bench.handle(messages_of([play]))
    bench.handle([message_of(play, 1), forget("ann", 2), message_of(play, 3)])
    assert [change.credit for change in bench.rewards()] == [0.5, 0.5]
    assert bench.tastes()["ann"].views == 1
    assert bench.count("duplicates") == 1


members = st.sampled_from(["ann", "bob"])
plays = st.builds(
    lambda member, n, hours, watched, led: some_play(
        f"{member}-{n}",
        watched,
        member_id=member,
        played_ms=START_MS + round(hours * HOUR_MS),
        impression=some_impression(f"i-{member}-{n % 2}", member_id=member) if led else None,
    ),
    members,
    st.integers(0, 3),
    st.floats(0, 60),
    st.sampled_from([0.0, 130.0, 700.7, 900.0, 2000.0]),
    st.booleans(),
)


@few
@given(st.lists(plays, max_size=15), st.sets(st.integers(0, 15)), st.sets(st.integers(0, 15)))
def test_restored_is_as_if_never_stopped(story, cuts, crashes):
    """However plays are cut into checkpoints, and wherever the worker starts over, the same rewards and tastes."""
    kept, restarted = Bench(), Bench()
    kept.handle(messages_of(story))
    places = sorted({0, len(story), *(cut for cut in cuts if cut < len(story))})
    for a, b in itertools.pairwise(places):
        restarted.handle(messages_of(story[a:b], a))
        if a in crashes:
            restarted.task.handle(PLAYS, messages_of(story[b:], b))  # in memory only: never committed
            restarted.restart()
    assert restarted.rewards() == kept.rewards()
    assert restarted.tastes() == kept.tastes()


def test_a_tombstone_forgets_a_member(bench):
    """A member that the changelog forgets is new again; nothing of the old taste comes back."""
    bench.handle(messages_of([some_play(), some_play("p2", member_id="bob")]))
    stored = [FakeMessage("c", 2, i, o.key, o.value) for i, o in enumerate(bench.written[VIEWING_CHANGELOG])]
    bench.task = bench.new_task()
    bench.task.restore([*stored, FakeMessage("c", 2, 9, b"ann", None), FakeMessage("c", 2, 10, b"nobody", None)])
    bench.handle(messages_of([some_play("p3", 1800), some_play("p4", 1800, member_id="bob")]))
    assert {member: taste.views for member, taste in bench.tastes().items()} == {"ann": 1, "bob": 2}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"ann", b"{"),
        (b"ann", b""),
        (b"ann", b'{"format": 1, "member": {"views": "x"}}'),
        (b"ann", b'{"format": 1, "member": {"weights": {"\xff": 1}}}'),
        (b"ann", b'{"format": 2, "member": {}}'),
        (b"\xff", b'{"format": 1, "member": {}}'),
        (None, b'{"format": 1, "member": {}}'),
    ],
    ids=repr,
)
def test_a_changelog_that_cannot_be_trusted_is_refused(bench, key, value):
    """Damaged, or of another version: a sentence, and the worker does not go on."""
    with pytest.raises(StateMismatch, match="viewing changelog"):
        bench.task.restore([FakeMessage("c", 2, 0, key, value)])


def test_rewards_and_changelog_hold_no_more_than_they_must(bench):
    """Rewards name no member; the changelog alone has the plays."""
    bench.handle([message_of(some_play(impression=some_impression()))])
    (reward,) = bench.written[REWARDS]
    assert b"ann" not in reward.key + reward.value
    assert "member_id" not in json.loads(reward.value)
