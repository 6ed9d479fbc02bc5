"""stream.running.session: which state survives a rebalance, and what becomes of the rest."""

from __future__ import annotations

import threading

import pytest
import traffic
from counting import counting_job
from kafka.future import Future
from prometheus_client import CollectorRegistry
from waiting import until

from consumers.catalogue_view import CatalogueView
from consumers.learner.task import learner_job
from stream.kafka import Committer, Output, Writer
from stream.metrics import WorkerMetrics
from stream.running.job import Counts
from stream.running.restore import FORMAT, Position
from stream.running.session import Session
from stream.running.worker import Worker
from stream.topics import VIEWING_CHANGELOG

SENT = 60


@pytest.fixture
def start(settings):
    """Starts sessions that count plays, each until everything is counted."""
    job = counting_job()
    sessions = []

    def counted():
        metrics, counts = WorkerMetrics(CollectorRegistry()), Counts()
        session = Session(
            settings,
            job,
            metrics,
            lambda: 0,
            counts,
            stopping=lambda: False,
            on_hang=pytest.fail,
        )
        sessions.append(session)
        session.run(threading.Event(), until_drained=True)
        return session, counts

    yield counted
    for session in sessions:
        session.close()


def counts_of(session):
    """The count of each partition."""
    return {partition: task.count for partition, task in session._tasks.items()}


@pytest.mark.apache_kafka
def test_state_comes_back_as_it_was_committed(start, wire):
    """A session that ends leaves its state to the next, with the place to go on from."""
    wire.send(("plays", f"member-{i}", b"x") for i in range(SENT))
    first, _ = start()
    expected = {place.partition: end for place, end in wire.ends("plays").items()}
    assert counts_of(first) == expected
    first.close()
    second, counts = start()
    assert counts_of(second) == expected
    assert (counts.restores, counts.records) == (3, 0)


@pytest.mark.apache_kafka
def test_only_what_nobody_else_has_moved_is_kept_through_a_rebalance(start, settings, wire):
    """Dealt the same partitions again, a worker keeps all state but that which another has gone on with."""
    wire.send(("plays", f"member-{i}", b"x") for i in range(SENT))
    session, counts = start()
    before, tasks = counts_of(session), dict(session._tasks)
    wire.send(("plays", f"member-{i}", b"x") for i in range(SENT))
    end = wire.ends("plays")[wire.places("plays")[1]]
    other = Committer(settings, f"{settings.topic_prefix}viewing.other")
    theirs = [
        Output(VIEWING_CHANGELOG, b"count", b"%d" % end, 1),
        Position(FORMAT, {"plays": end}).output(VIEWING_CHANGELOG, 1),
    ]
    other.commit(theirs, {tuple(wire.places("plays")[1]): end}, session._group.metadata())
    other.close()

    session._take(frozenset({0, 1, 2}))
    assert counts_of(session) == before | {1: end}
    assert [session._tasks[partition] is tasks[partition] for partition in range(3)] == [True, False, True]
    assert counts.restores == 3 + 1
    session.run(threading.Event(), until_drained=True)
    assert counts_of(session) == {place.partition: end for place, end in wire.ends("plays").items()}


def test_a_client_that_keeps_what_it_was_given_is_not_waited_for(settings, wire, monkeypatch):
    """Snapshots that are neither sent nor given up, as by a client that waits for a producer id: begun anew."""
    brisk = settings.model_copy(update={"transaction_seconds": 2.0})
    titles = traffic.catalogue()
    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())
    given = []

    class FirstKeepsAll(Writer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            given.append([])
            if len(given) == 1:
                monkeypatch.setattr(self._client, "send", self._keep)

        def _keep(self, *_, **options):
            given[0].append(options["key"].decode())
            return Future()

    monkeypatch.setattr("stream.running.session.Writer", FirstKeepsAll)
    metrics = WorkerMetrics(CollectorRegistry())
    worker = Worker(brisk, learner_job(brisk, CatalogueView(), metrics), metrics, on_hang=pytest.fail)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    until(lambda: wire.latest("snapshots").keys() == titles.keys(), "every title has a snapshot")
    assert sorted(given[0]) == sorted(titles)
    assert (len(given), worker.counts.failures) == (2, 1)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
