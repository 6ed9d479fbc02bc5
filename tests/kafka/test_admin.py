"""stream.kafka.Admin: topics as the graph wants them, and where partitions end."""

from __future__ import annotations

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from waiting import until

from stream import topics
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka import Admin

apache_kafka = pytest.mark.apache_kafka


@pytest.fixture
def admin(settings):
    """The admin client under test."""
    with Admin(settings) as ours:
        yield ours


def without(settings, *missing):
    """Settings with a prefix of their own, and topics under it except for some."""
    elsewhere = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}elsewhere."})
    with Admin(elsewhere) as admin:
        admin.create([topic for topic in topics.ALL if topic not in missing])
    return elsewhere


def alter(wire, topic, **config):
    """Give one topic another setting, behind Keyart's back."""
    name = wire.prefix + topic.name
    named = {key.replace("_", "."): value for key, value in config.items()}
    wire.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=named)])
    until(lambda: described(wire, topic).items() >= named.items(), "the broker knows of the change")


def described(wire, topic):
    """A topic's settings, as the broker tells them."""
    resource = ConfigResource(ConfigResourceType.TOPIC, wire.prefix + topic.name)
    (found,) = wire.admin.describe_configs([resource], config_filter="all").values()
    return {key: row["value"] for key, row in found[resource.name].items()}


def test_topics_are_created_once(settings):
    """What is missing is created with the partitions of the settings; doing it again does nothing."""
    with Admin(without(settings, topics.PLAYS, topics.TASTES)) as admin:
        assert admin.create() == [topics.PLAYS, topics.TASTES]
        assert admin.create() == []
        assert admin.verify() == {topic.name: settings.partitions for topic in topics.ALL}


@apache_kafka
def test_too_few_brokers_for_the_copies_is_one_sentence(settings):
    """It names the setting; the client's own error holds all that was asked and answered."""
    greedy = without(settings, topics.PLAYS).model_copy(update={"replication_factor": 100})
    with Admin(greedy) as admin, pytest.raises(TopicError) as raised:
        admin.create()
    assert str(raised.value) == (
        f"the cluster at {settings.bootstrap_servers} has too few brokers for topics with 100 copies: "
        "add brokers, or set replication_factor"
    )


@apache_kafka
def test_a_created_topic_has_the_settings_of_the_graph(wire):
    """The broker tells of every topic the settings that the graph gives it."""
    for topic in topics.ALL:
        assert described(wire, topic).items() >= topic.config().items(), topic.name


def test_a_missing_topic_is_named(settings):
    """The sentence names the topic, and the command that makes it."""
    with Admin(without(settings, topics.REWARDS)) as admin, pytest.raises(TopicError) as raised:
        admin.verify()
    assert str(raised.value) == (
        f"topic '{settings.topic_prefix}elsewhere.rewards' does not exist on {settings.bootstrap_servers}: "
        "run keyart topics"
    )


def test_topics_of_one_key_must_be_partitioned_alike(settings):
    """Impressions and rewards with different partition counts would part a title's records: refused by name."""
    elsewhere = without(settings, topics.REWARDS)
    with Admin(elsewhere.model_copy(update={"partitions": 5})) as admin:
        admin.create()
        with pytest.raises(
            TopicError, match=r"catalogue' and '.*rewards' share a key but have 3 and 5 partitions"
        ):
            admin.verify()
        assert admin.verify([topics.REWARDS, topics.PLAYS]) == {"rewards": 5, "plays": 3}


@apache_kafka
@pytest.mark.parametrize(
    ("topic", "policy", "said"),
    [
        (topics.LEARNER_CHANGELOG, "delete", "has cleanup.policy=delete, it needs compact: run keyart topics"),
        (topics.SNAPSHOTS, "compact,delete", "deletes old records"),
        (topics.IMPRESSIONS, "compact", "has cleanup.policy=compact, it needs delete: run keyart topics"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_topic_that_would_lose_records_is_refused_and_repaired(topic, policy, said, admin, wire):
    """A wrong cleanup policy is one sentence that names the topic and the remedy, and the remedy works."""
    alter(wire, topic, cleanup_policy=policy)
    with pytest.raises(TopicError) as raised:
        admin.verify()
    assert said in str(raised.value)
    assert wire.prefix + topic.name in str(raised.value)
    assert "\n" not in str(raised.value)
    admin.repair()
    admin.verify()


@apache_kafka
def test_the_end_counts_what_is_not_committed_yet(admin, wire, transactional):
    """A restore must know of a transaction still open: the end is that of the log, not of what is committed."""
    producer = transactional("one")
    producer.begin_transaction()
    for i in range(3):
        wire.send_with(producer, "snapshots", b"key", b"%d" % i, partition=1)
    producer.flush()
    assert admin.end_offsets(topics.SNAPSHOTS, [0, 1]) == {0: 0, 1: 3}
    producer.commit_transaction()
    # The marker has a place too; it is written after the commit is agreed.
    until(lambda: admin.end_offsets(topics.SNAPSHOTS, [1]) == {1: 4}, "the marker is written")
    assert admin.begin_offsets(topics.SNAPSHOTS, [1]) == {1: 0}
    assert admin.end_offsets(topics.SNAPSHOTS, []) == {}


def test_nobody_answers(settings):
    """An address without a broker is one sentence that names it and the setting, soon."""
    away = settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 0.5})
    with pytest.raises(BrokerUnavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1; .*BOOTSTRAP_SERVERS"):
        Admin(away)
