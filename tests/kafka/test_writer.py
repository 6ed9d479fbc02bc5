"""stream.kafka.Writer: records whose loss is counted and never raised."""

from __future__ import annotations

import pytest

from stream import topics
from stream.errors import BrokerUnavailable
from stream.kafka import Output, Writer


@pytest.fixture
def lost():
    """What the writer said was lost."""
    return []


@pytest.fixture
def writer(settings, lost):
    """The writer under test."""
    ours = Writer(
        settings, "test", max_block_seconds=2.0, on_lost=lambda output, error: lost.append((output, error))
    )
    yield ours
    ours.close()


def test_what_is_delivered_is_counted(writer, wire, lost):
    """Records arrive with key, headers and partition, and the count is that of the broker's acknowledgements."""
    for i in range(10):
        headers = (("n", b"%d" % i),)
        assert writer.write(Output(topics.SNAPSHOTS, b"title", b"%d" % i, partition=2, headers=headers))
    writer.flush(10)
    found = wire.read("snapshots")
    assert [(r.partition, r.key, r.value, r.headers) for r in found] == [
        (2, b"title", b"%d" % i, [("n", b"%d" % i)]) for i in range(10)
    ]
    assert (writer.delivered, writer.lost, lost) == (10, 0, [])


def test_a_tombstone_is_a_record(writer, wire):
    """A key without a value withdraws."""
    writer.write(Output(topics.SNAPSHOTS, b"title", None))
    writer.flush(10)
    assert [(record.key, record.value) for record in wire.read("snapshots")] == [(b"title", None)]


def test_what_cannot_be_queued_is_counted_and_never_raised(writer, lost):
    """A record that is too large for any broker: False, one lost, and which it was."""
    too_large = Output(topics.SNAPSHOTS, b"title", bytes(topics.MAX_MESSAGE_BYTES + 1))
    assert not writer.write(too_large)
    assert writer.lost == 1
    assert [output for output, _ in lost] == [too_large]


def test_without_a_broker_it_says_so_at_once(settings):
    """There is no writer without a cluster: the one error that is raised, when it is made."""
    away = settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 0.5})
    with pytest.raises(BrokerUnavailable, match="no Kafka broker answers"):
        Writer(away, "test")


@pytest.mark.apache_kafka
def test_a_broker_that_goes_away_loses_records_not_the_caller(settings, private_broker, lost):
    """Records that were queued when the broker died are counted as lost after their time; the caller goes on."""
    theirs = private_broker.settings(settings)
    ours = Writer(
        theirs,
        "test",
        max_block_seconds=0.2,
        delivery_seconds=1.5,
        on_lost=lambda *what: lost.append(what),
    )
    ours.write(Output(topics.SNAPSHOTS, b"title", b"before"))
    ours.flush(10)
    private_broker.kill()
    for _ in range(3):
        ours.write(Output(topics.SNAPSHOTS, b"title", b"after"))
    ours.close(5)
    assert (ours.delivered, ours.lost) == (1, 3)
    assert {output.value for output, _ in lost} == {b"after"}
