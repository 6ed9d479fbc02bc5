"""stream.kafka.Committer: a checkpoint is written all or nothing, by one process at a time."""

from __future__ import annotations

import threading
from contextlib import closing
from types import SimpleNamespace

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from members import Member, turn_all
from waiting import until
from wire import Wire

from stream.errors import WorkerFailed
from stream.kafka import Committer, Output
from stream.topics import DEAD_LETTERS, IMPRESSIONS, LEARNER_CHANGELOG, MAX_MESSAGE_BYTES, REWARDS

OUTPUTS = [
    Output(LEARNER_CHANGELOG, b"title", b"state", 0),
    Output(REWARDS, b"title", b"reward"),
    Output(DEAD_LETTERS, None, b"bad", headers=(("keyart.reason", b"it is bad"),)),
]


@pytest.fixture
def metadata(join):
    """The membership of a worker that has joined alone."""
    member = join()
    turn_all([member], lambda: member.owned, "a place in the group")
    return member.reader.metadata()


@pytest.fixture
def committer(settings):
    """Makes committers of one transactional id."""
    made = []

    def make(**options):
        made.append(Committer(settings, f"{settings.topic_prefix}learner.w", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def written(wire):
    """What a reader of committed records sees of the topics that the tests write to."""
    return [
        record.value for topic in (LEARNER_CHANGELOG, REWARDS, DEAD_LETTERS) for record in wire.read(topic.name)
    ]


def offsets(wire, offset):
    """An offset for the first partition of impressions."""
    return {(wire.prefix + IMPRESSIONS.name, 0): offset}


@pytest.mark.apache_kafka
def test_records_and_offsets_come_together(committer, metadata, wire):
    """A commit makes every record and the group's offset visible, headers and partition as asked for."""
    ours = committer()
    assert ours.commit(OUTPUTS, offsets(wire, 7), metadata) == 3
    assert written(wire) == [b"state", b"reward", b"bad"]
    assert wire.read("dead-letters")[0].headers == [("keyart.reason", b"it is bad")]
    assert wire.read("learner-changelog")[0].partition == 0
    until(lambda: wire.committed("learner") == {wire.places("impressions")[0]: 7}, "the first offset")
    assert ours.commit([], offsets(wire, 8), metadata) == 0
    # A commit returns when the broker is bound to it; that it shows takes a moment longer.
    until(lambda: wire.committed("learner") == {wire.places("impressions")[0]: 8}, "the second offset")


@pytest.mark.apache_kafka
def test_a_record_that_was_not_delivered_undoes_the_checkpoint(committer, metadata, wire):
    """One record that the broker refuses: nothing of the checkpoint is ever seen, and the producer is spent."""
    name = wire.prefix + DEAD_LETTERS.name
    limit = ConfigResource(ConfigResourceType.TOPIC, name, configs={"max.message.bytes": "1000"})
    wire.admin.alter_configs([limit])
    ours = committer()
    random_bytes = bytes(range(256)) * 16  # lz4 makes it smaller, so much larger than the limit
    too_large = Output(DEAD_LETTERS, b"key", b"".join(bytes([i]) + random_bytes for i in range(250)))
    with pytest.raises(WorkerFailed, match="the checkpoint did not commit"):
        ours.commit([*OUTPUTS, too_large], offsets(wire, 7), metadata)
    with pytest.raises(WorkerFailed, match="has failed before"):
        ours.commit(OUTPUTS, offsets(wire, 7), metadata)
    assert committer().commit(OUTPUTS[:1], offsets(wire, 9), metadata) == 1
    assert written(wire) == [b"state"]
    assert wire.committed("learner") == {wire.places("impressions")[0]: 9}


@pytest.mark.apache_kafka
def test_a_record_whose_time_ran_out_undoes_the_checkpoint(settings, private_broker):
    """A broker that stalls until a record expires, and then is well again: the client would commit without it."""
    theirs = private_broker.settings(settings).model_copy(update={"transaction_seconds": 3.0})
    member = Member(theirs)
    turn_all([member], lambda: member.owned, "a place in the group")
    metadata = member.reader.metadata()
    ours = Committer(theirs, f"{theirs.topic_prefix}learner.w")
    with closing(Wire(theirs)) as wire:
        assert ours.commit(OUTPUTS[:1], offsets(wire, 1), metadata) == 1
        thawing = threading.Timer(0.9 * theirs.transaction_seconds, private_broker.thaw)

        def stalling():
            yield Output(LEARNER_CHANGELOG, b"title", b"delivered", 0)
            ours._client.flush()
            private_broker.freeze()
            thawing.start()
            yield Output(LEARNER_CHANGELOG, b"title", b"expires", 0)

        with pytest.raises(WorkerFailed, match="Expiring 1 record"):
            ours.commit(stalling(), offsets(wire, 7), metadata)
        thawing.join()
        ours.close()
        Committer(theirs, f"{theirs.topic_prefix}learner.w").close()  # ends what was left open
        assert written(wire) == [b"state"]
        assert wire.committed("learner") == {wire.places("impressions")[0]: 1}
    member.reader.close()


def test_a_second_producer_of_the_same_name_fences_the_first(committer, metadata, wire):
    """A worker that was taken for dead and started again elsewhere cannot commit beside its successor."""
    first = committer()
    first.commit(OUTPUTS[:1], offsets(wire, 1), metadata)
    second = committer()
    with pytest.raises(WorkerFailed, match="the checkpoint did not commit"):
        first.commit(OUTPUTS, offsets(wire, 5), metadata)
    with pytest.raises(WorkerFailed, match="has failed before"):
        first.commit(OUTPUTS, offsets(wire, 5), metadata)
    second.commit([], offsets(wire, 2), metadata)
    assert wire.committed("learner") == {wire.places("impressions")[0]: 2}
    assert [record.value for record in wire.read("learner-changelog")] == [b"state"]


@pytest.mark.apache_kafka
def test_a_membership_that_is_over_cannot_commit(committer, join, wire):
    """Once the group has moved on, a checkpoint under the old membership is refused, and nothing of it is seen."""
    ours, first = committer(), join()
    turn_all([first], lambda: first.owned, "a place in the group")
    old = first.reader.metadata()
    second = join()
    turn_all([first, second], lambda: first.owned and second.owned, "both own partitions")
    assert first.reader.metadata().generation_id > old.generation_id
    with pytest.raises(WorkerFailed, match="the checkpoint did not commit"):
        ours.commit(OUTPUTS, offsets(wire, 7), old)
    committer()  # ends the transaction that was left open
    assert written(wire) == []
    assert wire.committed("learner") == {}


def test_a_worker_outside_its_group_is_refused_before_anything_is_written(committer, wire):
    """Brokers take a generation below 0 unfenced, so it is refused here, and the producer is done with."""
    ours = committer()
    nobody = SimpleNamespace(generation_id=-1, member_id="", group_id="viewing", group_instance_id=None)
    for said in ("no longer in its group", "has failed before"):
        with pytest.raises(WorkerFailed, match=said):
            ours.commit(OUTPUTS, offsets(wire, 7), nobody)
    assert [r for topic in ("learner-changelog", "rewards") for r in wire.read(topic, committed=False)] == []


def test_a_record_that_cannot_be_sent_is_a_failed_worker(committer, metadata, wire):
    """What the client refuses before sending is as fatal as what the broker refuses."""
    ours = committer()
    with pytest.raises(WorkerFailed, match="the checkpoint did not commit"):
        ours.commit([Output(REWARDS, b"key", bytes(MAX_MESSAGE_BYTES + 1))], offsets(wire, 7), metadata)
    with pytest.raises(WorkerFailed, match="has failed before"):
        ours.commit([], offsets(wire, 7), metadata)


@pytest.mark.parametrize("call", ["send_offsets_to_transaction", "commit_transaction"])
@pytest.mark.apache_kafka
def test_a_commit_that_does_not_return_is_noticed(call, settings, wire, metadata, monkeypatch):
    """The client's calls have no time limit: ours ends the process, and the broker ends the transaction."""
    hung = threading.Event()
    said = []

    def on_hang(doing):
        said.append(doing)
        hung.set()

    brisk = settings.model_copy(update={"transaction_seconds": 2.0})
    ours = Committer(brisk, f"{settings.topic_prefix}learner.hangs", on_hang=on_hang)
    really = getattr(ours._client, call)
    monkeypatch.setattr(ours._client, call, lambda *given: (hung.wait(30), really(*given)))
    with pytest.raises(WorkerFailed, match="the checkpoint did not commit"):
        ours.commit(OUTPUTS[:1], offsets(wire, 7), metadata)
    assert said == ["committing a transaction"]
    assert written(wire) == []
    assert wire.committed("learner") == {}
    ours.close()


def test_a_beginning_that_does_not_return_is_noticed(settings, monkeypatch):
    """A producer that never gets its id is noticed too."""
    hung = threading.Event()
    said = []

    def on_hang(doing):
        said.append(doing)
        hung.set()

    really = KafkaProducer.init_transactions
    monkeypatch.setattr(KafkaProducer, "init_transactions", lambda client: (hung.wait(30), really(client)))
    brisk = settings.model_copy(update={"transaction_seconds": 2.0, "connect_seconds": 1.0})
    Committer(brisk, f"{settings.topic_prefix}learner.hangs", on_hang=on_hang).close()
    assert said == ["init_transactions"]
