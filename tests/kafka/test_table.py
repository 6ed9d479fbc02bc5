"""stream.kafka.TableReader: a view of whole tables that follows them."""

from __future__ import annotations

import pytest
from waiting import until

from stream import topics
from stream.errors import TopicError
from stream.kafka import Admin, TableReader


@pytest.fixture
def admin(settings):
    """Asked for ends by the reader."""
    with Admin(settings) as ours:
        yield ours


@pytest.fixture
def view():
    """What a process keeps of two tables: the last value of each key."""
    return {topics.CATALOGUE: {}, topics.TASTES: {}}


@pytest.fixture
def reader(settings, admin, view):
    """The reader under test, filling the view."""
    tables = {
        topic: (lambda records, of=of: of.update((r.key, r.value) for r in records)) for topic, of in view.items()
    }
    ours = TableReader(settings, admin, tables)
    yield ours
    ours.close()


def test_it_reads_everything_there_is_and_then_follows(reader, view, wire):
    """Catching up takes in every partition of every table; later records come with later polls, tombstones too."""
    wire.send(("catalogue", f"title-{i}", b"first") for i in range(20))
    wire.send([("tastes", "member", b"taste")])
    assert reader.catch_up(20) == 21
    assert view == {
        topics.CATALOGUE: {b"title-%d" % i: b"first" for i in range(20)},
        topics.TASTES: {b"member": b"taste"},
    }
    wire.send([("catalogue", "title-3", b"second"), ("catalogue", "title-4", None)])
    applied = 0

    def both_have_come():
        nonlocal applied
        applied += reader.poll(0.05)
        return applied >= 2

    until(both_have_come, "the changes have come")
    assert view[topics.CATALOGUE][b"title-3"] == b"second"
    assert view[topics.CATALOGUE][b"title-4"] is None


def test_an_empty_table_is_caught_up_at_once(reader):
    """Nothing on the topics is no reason to wait."""
    assert reader.catch_up(5) == 0


@pytest.mark.apache_kafka
def test_what_was_aborted_is_never_seen(reader, view, wire, transactional):
    """A table written by transactions shows those that committed."""
    producer = transactional("one")
    for value, end in ((b"kept", producer.commit_transaction), (b"taken back", producer.abort_transaction)):
        producer.begin_transaction()
        wire.send_with(producer, "tastes", b"member", value, partition=0)
        producer.flush()
        end()
    reader.catch_up(20)
    assert view[topics.TASTES] == {b"member": b"kept"}


def test_a_table_that_does_not_exist_is_named(settings, wire):
    """The sentence says what to do."""
    elsewhere = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}nowhere."})
    with Admin(elsewhere) as admin, pytest.raises(TopicError, match=r"nowhere\.snapshots' does not exist"):
        TableReader(elsewhere, admin, {topics.SNAPSHOTS: lambda _: None})
