"""Whatever bytes come: a record, or a dead letter with its bytes intact, and its neighbours are learned."""

from __future__ import annotations

import json
import random

import pytest
from builders import START_MS, FakeMessage, some_impression, some_play, some_reward, some_settings, some_title
from fuzz import READ, outcome
from hostile import MAKERS, NEVER_A_RECORD, hostile
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask
from consumers.viewing import ViewingTask
from stream.codec import decode, encode
from stream.errors import DecodeError
from stream.metrics import WorkerMetrics
from stream.reasons import REASONS
from stream.records import Impression, Play, RewardChange
from stream.topics import DEAD_LETTERS, IMPRESSIONS, LEARNER_CHANGELOG, PLAYS, REWARDS

COUNT = 20_000
#: Members and times without limits: what is fuzzed is the reading.
SETTINGS = some_settings(impressions_per_hour=0, max_ahead_seconds=0)


def good(kind: type) -> dict:
    """A record as a mapping."""
    shown = some_impression()
    made = {Impression: shown, Play: some_play(impression=shown), RewardChange: some_reward(shown, 0.5)}
    return json.loads(encode(made[kind]))


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.__name__)
def test_bytes_become_a_record_or_a_reason(kind: type) -> None:
    """20,000 mutations of a good record: decoded, or refused with a code that is in the table; nothing else."""
    rng = random.Random(7)
    of = good(kind if kind in (Impression, Play, RewardChange) else Play)
    found = {outcome(kind, hostile(rng, of)) for _ in range(COUNT // len(READ))}
    assert found <= {"record", *REASONS}
    assert {"invalid", "not_json", "not_utf8", "too_deep", "too_large"} <= found


@given(
    value=st.binary(max_size=300)
    | st.text(max_size=100).map(str.encode)
    | st.from_type(dict).map(repr).map(str.encode)
)
def test_any_bytes_at_all(value: bytes) -> None:
    """Hypothesis' bytes, likewise."""
    for kind in READ:
        assert outcome(kind, value) in {"record", *REASONS}


@pytest.mark.parametrize("maker", NEVER_A_RECORD, ids=lambda maker: maker.__name__)
def test_what_never_is_a_record_never_is(maker) -> None:
    """The makers that other tests rely on make nothing that can be read."""
    rng = random.Random(1)
    for kind in (Impression, Play, RewardChange):
        for _ in range(50):
            with pytest.raises(DecodeError):
                decode(kind, maker(rng, good(kind)))


class TestWorkers:
    """Hostile records among good ones, through the workers' own tasks."""

    def batches(self, topic, kind, seed: int, count: int):
        """Messages in batches, half of them good with ids of their own, and those that are no record."""
        rng, messages, bad, expected = random.Random(seed), [], [], 0
        for offset in range(count):
            record = good(kind)
            name = "play_id" if kind is Play else "impression_id"
            record |= {name: f"{kind.__name__}-{offset}"}
            if kind is Play:
                record |= {"impression": None, "member_id": f"member-{offset}"}
            value = json.dumps(record).encode()
            key = record["member_id" if kind is Play else "title_id"].encode()
            if offset % 2:
                expected += 1
            else:
                maker = rng.choice(NEVER_A_RECORD)
                value = maker(rng, record)
            message = FakeMessage(topic.full_name("keyart."), 0, offset, key, value, timestamp=START_MS)
            messages.append(message)
            if not offset % 2:
                bad.append(message)
        return [messages[i : i + 97] for i in range(0, count, 97)], bad, expected

    def letters(self, outputs):
        """Dead letters as what was read: (offset, key, value)."""
        return [
            (int(dict(output.headers)["keyart.offset"]), output.key, output.value)
            for output in outputs
            if output.topic is DEAD_LETTERS
        ]

    @pytest.mark.parametrize("topic", [IMPRESSIONS, REWARDS], ids=lambda topic: topic.name)
    def test_a_learner(self, topic) -> None:
        """Every good one is learned once, every other one is a dead letter once, its bytes as they came."""
        catalogue = CatalogueView()
        catalogue.apply([FakeMessage("keyart.catalogue", 0, 0, b"film", encode(some_title()))])
        task = LearnerTask(0, SETTINGS, catalogue, WorkerMetrics(CollectorRegistry()), lambda: None)
        kind = Impression if topic is IMPRESSIONS else RewardChange
        batches, bad, expected = self.batches(topic, kind, 3, 2000)
        outputs = []
        for batch in batches:
            task.handle(topic, batch)
            outputs += task.checkpoint()
        assert self.letters(outputs) == [(one.offset, one.key, one.value) for one in bad]
        stored = [output for output in outputs if output.topic is LEARNER_CHANGELOG]
        (face,) = json.loads(stored[-1].value)["artworks"]
        assert face["impressions" if kind is Impression else "plays"] == expected

    def test_a_viewing_worker(self) -> None:
        """The same of plays: each good one gives its member a view."""
        catalogue, metrics = CatalogueView(), WorkerMetrics(CollectorRegistry())
        catalogue.apply([FakeMessage("keyart.catalogue", 0, 0, b"film", encode(some_title()))])
        task = ViewingTask(0, SETTINGS, catalogue, metrics, lambda: None)
        batches, bad, expected = self.batches(PLAYS, Play, 4, 2000)
        outputs = []
        for batch in batches:
            task.handle(PLAYS, batch)
            outputs += task.checkpoint()
        assert self.letters(outputs) == [(one.offset, one.key, one.value) for one in bad]
        assert len({output.key for output in outputs if output.topic.name == "tastes"}) == expected

    @pytest.mark.parametrize("seed", [1, 2])
    def test_nothing_stops_a_worker(self, seed: int) -> None:
        """Mutations that may still be records, under keys that may be anything: learned or dead, and no error."""
        rng, catalogue = random.Random(seed), CatalogueView()
        catalogue.apply([FakeMessage("keyart.catalogue", 0, 0, b"film", encode(some_title()))])
        metrics = WorkerMetrics(CollectorRegistry())
        task = LearnerTask(0, SETTINGS, catalogue, metrics, lambda: None)
        messages = [
            FakeMessage(
                "keyart.impressions",
                0,
                offset,
                rng.choice([b"film", b"film", None, b"\xff", b"", rng.randbytes(5)]),
                rng.choice([rng.choice(MAKERS)(rng, good(Impression)), b"", None]),
                timestamp=START_MS,
            )
            for offset in range(3000)
        ]
        for first in range(0, len(messages), 50):
            task.handle(IMPRESSIONS, messages[first : first + 50])
        dead = self.letters(task.checkpoint())
        state = task._book.titles.get("film")
        learned = 0 if state is None else sum(task._book.sums.impressions[slot] for slot in state.slots.values())
        duplicates = metrics.duplicates._value.get()
        assert len({offset for offset, _, _ in dead}) == len(dead)
        assert len(dead) + learned + duplicates == len(messages)
