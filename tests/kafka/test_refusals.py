"""What stops a worker, it says in one sentence: exit code, words, and how soon."""

from __future__ import annotations

import random
import time

import pytest
import traffic
from kafka import KafkaConsumer
from kafka.structs import OffsetAndMetadata

TITLES = traffic.catalogue(titles=3)


@pytest.fixture
def learned(settings, wire, keyart):
    """A learner has learned something and left."""
    wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
    shown = traffic.impressions(random.Random(1), TITLES, 60)
    wire.send(("impressions", one["title_id"], one) for one in shown)
    keyart(settings, "learner", "--until-drained").succeed()


def refused(process, code, seconds=30.0):
    """The sentence that a process ended with."""
    assert process.wait(seconds) == code, process.output()
    said = [line for line in process.output().splitlines() if not line.startswith("{")]
    assert len(said) == 1, process.output()
    assert said[0].startswith("keyart: ")
    return said[0]


def commit(wire, offset):
    """Move the group's offset of the first partition of impressions, as a careless person would."""
    consumer = KafkaConsumer(
        bootstrap_servers=wire.servers, group_id=f"{wire.prefix}learner", enable_auto_commit=False
    )
    place = max(wire.places("impressions"), key=lambda place: wire.committed("learner").get(place, 0))
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(offset, "", -1)})
    consumer.close()


def delete_group(wire):
    """Forget what the group has committed."""
    wire.admin.delete_groups([f"{wire.prefix}learner"])


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (lambda wire: commit(wire, 0), "but the group has committed 0"),
        (lambda wire: commit(wire, 10_000), "but the group has committed 10000"),
        (delete_group, "but the group has committed None"),
    ],
    ids=["reset", "moved ahead", "deleted"],
)
@pytest.mark.apache_kafka
def test_offsets_that_contradict_the_state_are_refused(meddle, said, learned, settings, wire, keyart):
    """State without its offsets, or offsets without their state: one loud sentence with the remedy, and 70."""
    before = wire.committed("learner")
    assert max(before.values()) not in (0, 10_000)
    meddle(wire)
    process = keyart(settings, "learner")
    sentence = refused(process, 70)
    assert said in sentence
    assert f"delete the group {wire.prefix}learner and the topic {wire.prefix}learner-changelog" in sentence


@pytest.mark.apache_kafka
def test_input_that_was_made_anew_is_refused(learned, settings, wire, keyart):
    """The state has learned records that the topic no longer holds, or never held: 70."""
    wire.admin.delete_records({place: end for place, end in wire.ends("impressions").items() if end})
    wire.send(("impressions", "title-0", {}) for _ in range(3))
    wire.admin.delete_records({place: end for place, end in wire.ends("impressions").items() if end})
    assert "records were deleted before they were learned" in refused(keyart(settings, "learner"), 70)


@pytest.mark.parametrize("command", ["learner", "viewing", "topics"])
def test_a_broker_that_does_not_answer(command, settings, keyart):
    """69 within connect_seconds, and the sentence names the address."""
    away = settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 1.0})
    begun = time.monotonic()
    assert "no Kafka broker answers at 127.0.0.1:1" in refused(keyart(away, command), 69)
    assert time.monotonic() - begun < 15  # most of it is Python starting on a busy machine


@pytest.mark.parametrize(
    "command", [("learner",), ("viewing",), ("topics", "--check")], ids=lambda given: given[0]
)
def test_a_topic_that_does_not_exist(command, settings, keyart):
    """78, and the sentence says which command makes it."""
    nowhere = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}nowhere."})
    sentence = refused(keyart(nowhere, *command), 78)
    assert "nowhere." in sentence
    assert "does not exist" in sentence
    assert sentence.endswith("run keyart topics")
