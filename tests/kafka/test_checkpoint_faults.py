"""Whatever goes wrong at whatever step of a checkpoint, success is never reported for something that failed."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from members import Member, turn_all
from waiting import until
from wire import Wire

from stream.errors import WorkerFailed
from stream.kafka import Committer, Output
from stream.topics import IMPRESSIONS, LEARNER_CHANGELOG, REWARDS

pytestmark = pytest.mark.apache_kafka

#: What the deed comes right before; in "ending" the client has been asked to commit and has not begun to.
STEPS = ("begin", "first record", "second record", "flush", "offsets", "commit", "ending")
CALLS = {
    "begin": "begin_transaction",
    "flush": "flush",
    "offsets": "send_offsets_to_transaction",
    "commit": "commit_transaction",
}
RECORDS = [Output(LEARNER_CHANGELOG, b"title", b"state", 0), Output(REWARDS, b"title", b"reward", 1)]


class Checkpoint:
    """Checkpoints of one name, each by a committer that lives until it fails.

    Attributes
    ----------
    done
        How many deeds have been done.
    """

    def __init__(self, settings, metadata):
        self.settings, self.metadata = settings, metadata
        self.made = []
        self.committer = self.fresh()
        self.done = 0

    def fresh(self):
        """A committer of this name; ends what the last one left open."""
        self.made.append(Committer(self.settings, f"{self.settings.topic_prefix}learner.w", on_hang=pytest.fail))
        return self.made[-1]

    def close(self):
        """Hang up."""
        for committer in self.made:
            committer.close()

    def commit(self, offset, step=None, deed=None):
        """Whether it reports success, with a deed done to it at a step."""
        client = self.committer._client

        before = self.done

        def now():
            if self.done == before:  # closing flushes too
                self.done += 1
                deed(self.committer)

        def outputs():
            for name, record in zip(("first record", "second record"), RECORDS, strict=True):
                if step == name:
                    now()
                yield record

        def ending():
            manager = client._transaction_manager
            with manager._lock:  # the client's thread finds the end asked for and the deed done
                result = manager.begin_commit()
                now()
            client._sender.wakeup()
            result.wait()

        if step in CALLS:
            call = getattr(client, CALLS[step])
            setattr(client, CALLS[step], lambda *given, **named: (now(), call(*given, **named))[1])
        elif step == "ending":
            client.commit_transaction = ending
        place = self.settings.topic_prefix + IMPRESSIONS.name, 0
        try:
            self.committer.commit(outputs(), {place: offset}, self.metadata)
        except WorkerFailed:
            with pytest.raises(WorkerFailed, match="has failed before"):
                self.committer.commit([], {place: offset}, self.metadata)
            return False
        return True


@pytest.fixture
def member(join):
    """One that owns all partitions."""
    alone = join()
    turn_all([alone], lambda: alone.owned == {0, 1, 2}, "a place in the group")
    return alone


@pytest.fixture
def checkpoint(settings, member):
    """Checkpoints under its membership."""
    ours = Checkpoint(settings.model_copy(update={"transaction_seconds": 4.0}), member.reader.metadata())
    yield ours
    ours.close()


def judge(wire, checkpoint, reported, offset, before):
    """All of it is there or nothing; if success was reported, all of it. Returns what is there now."""
    checkpoint.committer.close()
    checkpoint.committer = checkpoint.fresh()
    place = wire.places("impressions")[0]

    def seen():
        values = [record.value for name in ("learner-changelog", "rewards") for record in wire.read(name)]
        return values.count(b"state"), values.count(b"reward"), wire.committed("learner").get(place)

    landed = (before[0] + 1, before[1] + 1, offset)
    now = until(lambda: (found := seen()) in (before, landed) and found, f"{before} or {landed}", 15)
    assert now == landed or not reported, "success was reported for a checkpoint that did not land"
    return now


def bump(committer):
    """The client gives itself another epoch, as it does when the broker has lost track of it."""
    committer._client._transaction_manager.bump_producer_id_and_epoch()


def expire(committer):
    """Every batch that the client holds, or is given, is out of time."""
    committer._client._accumulator.config["delivery_timeout_ms"] = 0
    committer._client._sender.wakeup()


@pytest.mark.parametrize(
    ("deed", "harmful"),
    [(bump, set(STEPS)), (expire, {"begin", "first record", "second record"})],
    ids=["epoch bump", "batch expiry"],
)
def test_the_client_loses_it(deed, harmful, checkpoint, wire):
    """The client bumps its epoch, or lets batches expire, at each step: never a success that is none."""
    assert checkpoint.commit(1)
    before, outcomes = (1, 1, 1), {}
    for number, step in enumerate(STEPS):
        outcomes[step] = checkpoint.commit(10 + number, step, deed)
        assert checkpoint.done == number + 1
        before = judge(wire, checkpoint, outcomes[step], 10 + number, before)
    failed = {step for step, reported in outcomes.items() if not reported}
    assert failed >= harmful


def test_another_process_takes_the_name(checkpoint, wire):
    """Another producer of the same name begins at each step: the checkpoint fails, or had landed before it."""
    before = (0, 0, None)
    for number, step in enumerate(STEPS[:-1]):
        reported = checkpoint.commit(number, step, lambda _: checkpoint.fresh().close())
        assert not reported, step
        before = judge(wire, checkpoint, reported, number, before)
    assert before == (0, 0, None)


def test_the_group_moves_on(checkpoint, member, join, wire):
    """The generation ends at each step up to the offsets: nothing lands. After them it is too late to matter."""
    before, others = (0, 0, None), []

    def another(_):
        others.append(join())
        turn_all([member, *others], lambda: member.owned and others[-1].owned, "another is in")

    steps = ("begin", "first record", "offsets", "commit")
    for number, step in enumerate(steps):
        checkpoint.metadata = member.reader.metadata()
        reported = checkpoint.commit(number, step, another)
        assert reported == (step == "commit"), step
        before = judge(wire, checkpoint, reported, number, before)
        others.pop().reader.close()
        turn_all([member], lambda: member.owned == {0, 1, 2}, "it is alone again")
    assert before == (1, 1, steps.index("commit"))


def test_offsets_that_were_refused_do_not_come_back(checkpoint, member, join, wire):
    """What a stale generation left pending in a client is not in what its successor commits."""
    other = join()
    turn_all([member, other], lambda: member.owned and other.owned, "both own partitions")
    assert not checkpoint.commit(7)
    assert checkpoint.committer._client._transaction_manager._pending_txn_offset_commits
    checkpoint.committer.close()
    place = wire.places("impressions")[1]
    checkpoint.fresh().commit([], {tuple(place): 3}, member.reader.metadata())
    until(lambda: wire.committed("learner") == {place: 3}, "the new offset, and none but it")


def test_the_broker_hangs_until_time_has_run_out(settings, private_broker):
    """A broker that sleeps through every time limit and wakes up: all is there, or it is said to have failed."""
    theirs = private_broker.settings(settings).model_copy(update={"transaction_seconds": 2.0})
    member = Member(theirs)
    turn_all([member], lambda: member.owned, "a place in the group")

    def hang(committer):
        committer._client.flush()
        private_broker.freeze()
        threading.Timer(1.2 * theirs.transaction_seconds, private_broker.thaw).start()

    checkpoint = Checkpoint(theirs, member.reader.metadata())
    assert checkpoint.commit(1)
    with closing(Wire(theirs)) as wire:
        before = (1, 1, 1)
        for number, step in enumerate(("second record", "offsets", "commit")):
            reported = checkpoint.commit(10 + number, step, hang)
            assert checkpoint.done == number + 1
            before = judge(wire, checkpoint, reported, 10 + number, before)
            turn_all([member], lambda: member.owned, "it is a member")
            checkpoint.metadata = member.reader.metadata()
    checkpoint.close()
    member.reader.close()
