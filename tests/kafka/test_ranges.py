"""stream.kafka.RangeReader: stretches of partitions, committed records only, to their very ends."""

from __future__ import annotations

import pytest

from stream.errors import BrokerUnavailable
from stream.kafka import Admin, RangeReader
from stream.topics import LEARNER_CHANGELOG, SNAPSHOTS

pytestmark = pytest.mark.apache_kafka  # the embedded broker shows aborted records to readers of committed ones


def once(do):
    """Something for the reader to call between reads that does its deed the first time only."""
    deeds = [do]
    return lambda: deeds.pop()() if deeds else None


@pytest.fixture
def read(settings):
    """Reads both partitions 0 and 1 of a topic to their ends; returns the values."""
    reader = RangeReader(settings)

    def to_the_end(topic=LEARNER_CHANGELOG, first=0, patience_seconds=10.0, keep_alive=lambda: None):
        found = []
        with Admin(settings) as admin:
            ends = admin.end_offsets(topic, [0, 1])
        count = reader.read(
            {(topic, partition): (first, end) for partition, end in ends.items()},
            lambda _topic, partition, messages: found.extend((partition, m.value) for m in messages),
            keep_alive=keep_alive,
            patience_seconds=patience_seconds,
        )
        assert count == len(found)
        return sorted(found)

    yield to_the_end
    reader.close()


def write(wire, producer, values, *, commit, partition=0):
    """One transaction."""
    producer.begin_transaction()
    for value in values:
        wire.send_with(producer, "learner-changelog", b"key", value, partition=partition)
    producer.flush()
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


@pytest.mark.parametrize(
    ("transactions", "expected"),
    [
        ([], []),
        ([(b"ab", True)], [b"a", b"b"]),
        ([(b"ab", False)], []),
        ([(b"ab", True), (b"cd", False)], [b"a", b"b"]),
        ([(b"ab", False), (b"cd", True)], [b"c", b"d"]),
        ([(b"a", True), (b"b", False), (b"c", True), (b"d", False), (b"e", False)], [b"a", b"c"]),
    ],
    ids=["nothing", "committed", "aborted", "aborted tail", "aborted head", "mixed"],
)
def test_it_ends_at_the_end_whatever_is_there(transactions, expected, read, wire, transactional):
    """Markers and aborted records at the end are no records, and yet the reader gets past them and stops."""
    producer = transactional("one")
    for values, commit in transactions:
        write(wire, producer, [bytes([value]) for value in values], commit=commit)
    assert read() == [(0, value) for value in expected]


def test_it_reads_several_partitions_and_not_beyond_their_ends(read, wire, transactional):
    """Each partition has its own range; what comes after the end was asked for is left alone."""
    producer = transactional("one")
    write(wire, producer, [b"a", b"b"], commit=True)
    write(wire, producer, [b"c", b"d"], commit=True, partition=1)
    later = once(lambda: write(wire, producer, [b"later"], commit=True))
    assert read(keep_alive=later) == [(0, b"a"), (0, b"b"), (1, b"c"), (1, b"d")]
    assert read(first=1) == [(0, b"b"), (0, b"later"), (1, b"d")]


def test_a_transaction_left_open_is_waited_for_and_then_named(read, wire, transactional):
    """An open transaction holds the reader back; patience ends in a sentence; once it commits, all is read."""
    producer = transactional("one")
    write(wire, producer, [b"a"], commit=True)
    producer.begin_transaction()
    wire.send_with(producer, "learner-changelog", b"key", b"b", partition=0)
    producer.flush()
    with pytest.raises(BrokerUnavailable, match=r"changelog partition 0 stays at offset 2, before its end 3"):
        read(patience_seconds=0.5)
    assert read(keep_alive=once(producer.commit_transaction)) == [(0, b"a"), (0, b"b")]


def test_nothing_to_read_asks_nobody(settings):
    """Empty ranges are done at once."""
    reader = RangeReader(settings)
    assert reader.read({(SNAPSHOTS, 0): (0, 0)}, lambda *_: None, patience_seconds=0.1) == 0
    reader.close()
