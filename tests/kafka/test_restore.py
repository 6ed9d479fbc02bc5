"""Restoring: it ends whatever the changelog ends with, is in nobody's way, and says soon if it cannot be done."""

from __future__ import annotations

import threading
import time

import pytest
from chaos import restoring
from counting import CountingTask, counting_job
from prometheus_client import CollectorRegistry
from waiting import until

from consumers.embedded import free_port
from stream.errors import KeyartError, StateMismatch
from stream.kafka import GroupReader, Output
from stream.metrics import WorkerMetrics
from stream.running.worker import Worker
from stream.topics import PLAYS, VIEWING_CHANGELOG

pytestmark = pytest.mark.apache_kafka
SENT = 600


class KeepingTask(CountingTask):
    """Writes its count under a new key for every play, so that there is much to restore; and restores slowly."""

    seconds_each = 0.0

    def __init__(self, partition, refresh):
        super().__init__(partition, refresh)
        self._written = 0

    def restore(self, messages):
        """Take a while."""
        super().restore(messages)
        self._written = self.count
        time.sleep(self.seconds_each * len(messages))

    def checkpoint(self):
        """A record for each play since the last."""
        news = range(self._written + 1, self.count + 1)
        self._written = self.count
        return [Output(VIEWING_CHANGELOG, b"count-%d" % i, b"%d" % i, self.partition) for i in news]


class Running:
    """A worker on a thread."""

    def __init__(self, settings, task):
        self.metrics = WorkerMetrics(CollectorRegistry())
        self.tasks = {}

        def new_task(partition, refresh):
            self.tasks[partition] = task(partition, refresh)
            return self.tasks[partition]

        self.worker = Worker(settings, counting_job(new_task), self.metrics, on_hang=pytest.fail)
        self.failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.worker.run()
        except KeyartError as failure:
            self.failure = failure

    @property
    def counts(self):
        """The count of each partition."""
        return {partition: task.count for partition, task in self.tasks.items()}

    @property
    def rebalances(self):
        """How often its partitions were dealt."""
        return self.metrics.rebalances._value.get()

    def stop(self):
        """Ask it to leave and wait for it."""
        self.worker.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def start():
    """Starts workers on threads; stops those that are left."""
    started = []

    def begin(settings, task=CountingTask):
        started.append(Running(settings, task))
        return started[-1]

    yield begin
    for one in started:
        one.stop()


def send(wire, first):
    """Some plays."""
    wire.send(("plays", f"member-{i}", b"x") for i in range(first, first + SENT))


def ends(wire):
    """How many plays each partition has."""
    return {place.partition: end for place, end in wire.ends("plays").items()}


def learned(settings, wire, start, task):
    """A worker has counted some plays and left."""
    send(wire, 0)
    worker = start(settings, task)
    until(lambda: wire.drained("viewing", ("plays",)), "all is counted")
    worker.stop()
    assert worker.counts == ends(wire)


def test_a_restore_that_is_interrupted_twenty_times_skips_nothing(settings, wire, start, monkeypatch):
    """Others come and go all the while a worker restores; in the end it has all there was and all that came."""
    ours = settings.model_copy(update={"session_seconds": 2.0, "max_poll_records": 20})
    learned(ours, wire, start, KeepingTask)
    monkeypatch.setattr(KeepingTask, "seconds_each", 0.02)  # 12 seconds, if it is left alone
    worker = start(ours, KeepingTask)
    until(lambda: worker.rebalances >= 1, "it has begun")
    send(wire, SENT)
    others = 0
    while worker.rebalances < 21:
        assert worker.worker.counts.restores == 0, "it was left in peace for long enough to finish"
        other = GroupReader(ours, "viewing", (PLAYS,))
        others += 1
        until(lambda other=other: (other.poll(0.02), other.assignment())[1] is not None, "another is in")
        other.close()
    monkeypatch.setattr(KeepingTask, "seconds_each", 0.0)
    until(lambda: wire.drained("viewing", ("plays",)), "all is counted")
    assert worker.counts == ends(wire)
    assert worker.worker.counts.failures == 0
    assert others >= 9


def test_a_long_restore_costs_nobody_the_membership(settings, wire, start, monkeypatch):
    """A piece of a restore that takes longer than a session does not stop the heartbeat: nobody is put out."""
    ours = settings.model_copy(update={"session_seconds": 1.5})
    learned(ours, wire, start, KeepingTask)
    monkeypatch.setattr(KeepingTask, "seconds_each", 3.0 / SENT)
    worker = start(ours, KeepingTask)
    until(worker.worker.ready.is_set, "it has restored")
    assert wire.members("viewing") == 1
    assert (worker.rebalances, worker.worker.counts.failures) == (1, 0)
    assert worker.metrics.restore_seconds._sum.get() > 2 * ours.session_seconds / 1.5


@pytest.mark.parametrize("tail", ["a marker", "aborted records", "nothing"])
def test_it_ends_whatever_comes_last(tail, settings, wire, start, transactional):
    """Where there is nothing to read at the end of the changelog, or nothing at all, the worker goes on."""
    if tail != "nothing":
        learned(settings, wire, start, CountingTask)
    if tail == "aborted records":
        producer = transactional("one")
        for place in wire.places("viewing-changelog"):
            producer.begin_transaction()
            wire.send_with(producer, "viewing-changelog", b"count", b"999", partition=place.partition)
            producer.flush()
            producer.abort_transaction()
    send(wire, SENT)
    worker = start(settings)
    until(lambda: wire.drained("viewing", ("plays",)), "all is counted")
    assert worker.counts == ends(wire)


def test_records_that_were_deleted_before_they_were_counted(settings, wire, start):
    """A committed offset that retention has overtaken is refused within 5 seconds, by a sentence that names it."""
    learned(settings, wire, start, CountingTask)
    send(wire, SENT)
    wire.admin.delete_records({place: end for place, end in wire.ends("plays").items() if end})
    begun = time.monotonic()
    worker = start(settings)
    until(lambda: worker.failure, "it refuses")
    assert time.monotonic() - begun < 5
    assert isinstance(worker.failure, StateMismatch)
    assert "were deleted before they were learned" in str(worker.failure)


def test_a_large_state_is_back_soon(settings, wire, keyart):
    """A twentieth of 10,000 titles with 9 artworks each is restored within a second or two."""
    port = free_port()
    restoring.fill(wire, settings, titles=500)
    learner = keyart(settings.model_copy(update={"metrics_port": port}), "learner", "--ready")
    learner.wait_ready()
    assert restoring.scraped(port)["keyart_worker_restore_seconds_sum"] < 3
