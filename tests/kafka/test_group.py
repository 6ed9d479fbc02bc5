"""stream.kafka.GroupReader: a worker's share of its inputs, through joins, losses and changes of the topics."""

from __future__ import annotations

import pytest
from kafka.admin import NewPartitions
from members import INPUTS, turn_all
from waiting import until

from stream.errors import WorkerFailed
from stream.kafka import Committer, GroupReader
from stream.topics import IMPRESSIONS, REWARDS


def test_members_share_the_partitions_and_the_same_of_every_input(join, wire):
    """Two members divide the partitions; each reads impressions and rewards of the same ones, and all are read."""
    members = [join(), join()]
    turn_all(members, lambda: all(member.owned for member in members), "both own partitions")
    assert members[0].owned.isdisjoint(members[1].owned)
    assert members[0].owned | members[1].owned == {0, 1, 2}
    sent = wire.send((topic, f"title-{i}", b"%d" % i) for i in range(30) for topic in ("impressions", "rewards"))
    turn_all(members, lambda: sum(len(member.read) for member in members) == sent, "all is read")
    for member in members:
        of = {
            topic: {value for name, _, value in member.read if name == topic}
            for topic in ("impressions", "rewards")
        }
        assert of["impressions"] == of["rewards"] != set()


@pytest.mark.apache_kafka
def test_a_join_that_ends_between_two_polls_is_not_thrown_away(settings, wire):
    """A worker that is busy while the group answers takes the answer up later, and nobody has to join again."""
    reader = GroupReader(settings, "learner", INPUTS)
    until(lambda: (reader.poll(0.0), wire.state("learner"))[1] != "Dead", "it has begun to join")
    until(lambda: wire.state("learner") == "Stable", "the group is complete, while nobody polls")
    until(lambda: (reader.poll(0.0), reader.assignment())[1], "it has its share")
    assert reader.metadata().generation_id == 1
    assert reader.poll(0.2) == []
    assert not reader.rebalancing
    reader.close()


def test_the_share_of_a_member_that_leaves_goes_to_those_who_stay(join):
    """When a member hangs up, the others own everything as soon as they have noticed."""
    staying, leaving = join(), join()
    turn_all([staying, leaving], lambda: staying.owned and leaving.owned, "both own partitions")
    leaving.reader.close()
    turn_all([staying], lambda: staying.owned == {0, 1, 2}, "the one who stays owns all", 5)


@pytest.mark.apache_kafka
def test_nothing_is_read_and_no_membership_given_while_partitions_move(join, wire):
    """From the moment a rebalance is noticed there is nothing to commit under, until the new share is opened."""
    first = join()
    turn_all([first], lambda: first.owned == {0, 1, 2}, "the first owns all")
    assert first.reader.metadata().generation_id > 0
    second = join()
    until(
        lambda: (second.reader.poll(0.02), first.reader.poll(0.02), first.reader.rebalancing)[-1], "it is noticed"
    )
    wire.send(("impressions", f"title-{i}", b"x") for i in range(20))
    assert first.reader.metadata() is None
    before = len(first.read)

    def ended():
        second.reader.poll(0.02)
        assert first.reader.poll(0.02) == []
        return (assigned := first.reader.assignment()) is not None and assigned

    share = until(ended, "the rebalance has ended")
    assert first.reader.poll(0.2) == []  # assigned, and not yet opened
    assert len(first.read) == before
    for partition in share:
        first.reader.open(partition, {"impressions": 0, "rewards": 0})
    until(lambda: (second.turn(), first.turn(), first.read)[-1], "it reads what it has opened")


@pytest.mark.apache_kafka
def test_positions_move_past_what_is_no_record(join, wire, transactional):
    """Markers and aborted records are passed, so that a drained input looks drained."""
    member = join()
    turn_all([member], lambda: member.owned, "it owns partitions")
    producer = transactional("one")
    for value, end in ((b"kept", producer.commit_transaction), (b"taken back", producer.abort_transaction)):
        producer.begin_transaction()
        wire.send_with(producer, "rewards", b"title", value, partition=1)
        producer.flush()
        end()
    until(lambda: wire.ends("rewards")[wire.places("rewards")[1]] == 4, "both markers are written")
    turn_all([member], lambda: member.reader.position(REWARDS, 1) == 4, "it is at the end")
    assert member.read == [("rewards", 1, b"kept")]
    assert member.reader.position(IMPRESSIONS, 1) == 0


@pytest.mark.apache_kafka
def test_reading_starts_where_it_is_told(join, wire):
    """Opening a partition decides where to read from; the group's own offsets do not."""
    wire.send(("impressions", f"title-{i}", b"%d" % i) for i in range(40))
    assert min(wire.ends("impressions").values()) > 4
    expected = sorted(r.value for r in wire.read("impressions") if r.offset >= 4)
    member = join()
    until(lambda: member.turn(shown_from=4) and member.read, "it reads")
    until(lambda: member.turn() and len(member.read) == len(expected), "it has read all")
    assert sorted(value for _, _, value in member.read) == expected


@pytest.mark.apache_kafka
def test_a_member_that_does_not_poll_is_put_out_and_may_not_commit(join, settings, wire):
    """A worker stuck for longer than poll_seconds loses its partitions, and its checkpoint is refused."""
    stuck, other = join(poll_seconds=6.0), join()
    turn_all([stuck, other], lambda: stuck.owned and other.owned, "both own partitions")
    old = stuck.reader.metadata()
    assert old is not None
    turn_all([other], lambda: other.owned == {0, 1, 2}, "the other owns all")
    committer = Committer(settings, f"{settings.topic_prefix}learner.stuck")
    offsets = {tuple(wire.places("impressions")[0]): 5}
    # The client has left by itself: the membership it gives now is nobody's, and the one it gave before is over.
    assert stuck.reader.metadata().generation_id == -1
    with pytest.raises(WorkerFailed, match="no longer in its group"):
        committer.commit([], offsets, stuck.reader.metadata())
    committer.close()
    committer = Committer(settings, f"{settings.topic_prefix}learner.stuck")
    with pytest.raises(WorkerFailed, match="did not commit"):
        committer.commit([], offsets, old)
    committer.close()
    assert wire.committed("learner") == {}
    turn_all([stuck, other], lambda: stuck.owned and other.owned and stuck.owned != other.owned, "it is back")


@pytest.mark.apache_kafka
def test_new_partitions_are_taken_in(join, wire):
    """A rebalance that begins because the topics have grown ends too, though polls time out before it does."""
    member = join()
    turn_all([member], lambda: member.owned == {0, 1, 2}, "it owns all")
    wire.admin.create_partitions({wire.prefix + topic.name: NewPartitions(5) for topic in INPUTS})

    def grown():
        member.reader._client.topics()  # looks at the topics now; left alone the client does so every few minutes
        return member.owned == {0, 1, 2, 3, 4}

    turn_all([member], grown, "it owns the new ones too")
    wire.partitions = 5
    sent = wire.send(("impressions", f"title-{i}", b"x") for i in range(40))
    turn_all([member], lambda: len(member.read) == sent, "it reads them")
    assert member.reader.metadata().generation_id > 0


def test_offsets_of_the_group(join, settings, wire):
    """What the group has committed is told by input, and None where it never has."""
    member = join()
    turn_all([member], lambda: member.owned, "it owns partitions")
    assert member.reader.committed(2) == {"impressions": None, "rewards": None}
    committer = Committer(settings, f"{settings.topic_prefix}learner.w")
    committer.commit([], {tuple(wire.places("rewards")[2]): 5}, member.reader.metadata())
    committer.close()
    assert member.reader.committed(2) == {"impressions": None, "rewards": 5}


@pytest.mark.apache_kafka
def test_a_name_that_has_gone_is_noticed_in_the_middle_of_a_rebalance(join):
    """A transaction that another has ended says nothing of names; whoever has to join again asks all the same."""
    failure = WorkerFailed("the checkpoint did not commit")
    first = join(worker_id="one")
    turn_all([first], lambda: first.owned == {0, 1, 2}, "the first owns all")
    first.reader._client._coordinator.request_rejoin()
    assert not first.reader.is_replaced(failure)
    turn_all([first], lambda: first.rebalances == 2, "it has joined again")
    assert not first.reader.is_replaced(failure)
    second = join(worker_id="one")
    turn_all([second], lambda: second.owned == {0, 1, 2}, "the second has taken its name")
    first.reader._client._coordinator.request_rejoin()
    assert first.reader.is_replaced(failure)
    assert not second.reader.is_replaced(failure)
