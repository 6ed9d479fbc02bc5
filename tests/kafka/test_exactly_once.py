"""Exactly once: workers come, go and are killed under load, and afterwards all equals a recount of the input.

The workers are processes that ``keyart`` starts; what they did is judged by the records on the topics alone.
"""

from __future__ import annotations

import random
import signal
import urllib.request
from collections import defaultdict
from contextlib import closing

import pytest
import recount
import traffic
from audit import audit_learner, audit_viewing
from chaos.broker import MortalBroker
from load import Load
from waiting import until
from wire import Wire, values

from consumers.embedded import free_port
from stream.settings import UNLIMITED

pytestmark = pytest.mark.apache_kafka
INPUTS = ("impressions", "rewards")
SPAN_MS = 10 * traffic.MINUTE_MS
REPEATED_WITHIN_MS = 40_000


def learner_traffic(seed, titles, count):
    """Impressions in the order of time; rewards, and repetitions within a minute of event time, come later."""
    rng = random.Random(seed)
    shown = traffic.impressions(rng, titles, count, span_ms=SPAN_MS)
    credits_of = defaultdict(list)
    for change in traffic.rewards(rng, shown):
        credits_of[change["impression_id"]].append(change)
    due = []  # (place in the order, record); an impression's credits keep their order
    for i, impression in enumerate(shown):
        due.append((i, ("impressions", impression["title_id"], impression)))
        if rng.random() < 0.1:
            later = rng.randrange(REPEATED_WITHIN_MS * count // SPAN_MS)
            due.append((i + later, ("impressions", impression["title_id"], impression)))
        changes = credits_of[impression["impression_id"]]
        due.extend((i + 200, ("rewards", change["title_id"], change)) for change in changes)
    return [record for _, record in sorted(due, key=lambda one: one[0])]


def check_learner(wire, titles):
    """Snapshots and changelog hold exactly what is on the input topics; returns how many impressions."""
    found = audit_learner(wire, titles)
    assert found.clean, found.faults
    return found.counted


def viewing_traffic(rng, titles, count):
    """Plays of so many impressions, some of them sent twice."""
    played = traffic.plays(rng, traffic.impressions(rng, titles, count, members=60))
    again = [play for play in played for _ in range(1 + (rng.random() < 0.2))]
    return [("plays", play["member_id"], play) for play in again]


def check_viewing(wire, titles, limits=None):
    """Each impression has its reward, by credits that add up with none too many; tastes count each play."""
    found = audit_viewing(wire, titles, limits)
    assert found.clean, found.faults
    assert found.counted
    assert wire.read("dead-letters") == []


@pytest.fixture
def settings(settings):
    """Without limits to what members may teach, but where a test sets them: their story is told in minutes."""
    return settings.model_copy(update=UNLIMITED)


@pytest.fixture
def mortal_broker():
    """An Apache Kafka of this test's own, to be killed with transactions open."""
    with MortalBroker() as ours:
        yield ours


def moved_past(wire, group, before):
    """Whether a group has committed something beyond these offsets in each of their partitions."""
    now = wire.committed(group)
    return all(now.get(place, 0) > offset for place, offset in before.items())


def scraped(port):
    """What a worker tells Prometheus, by series."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def load_catalogue(wire, titles):
    """Publish a catalogue."""
    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())


def test_a_learner_joins_and_another_is_killed_under_load(settings, wire, keyart):
    """Two learners share the partitions, a third joins, one is killed: every number then equals a recount."""
    titles = traffic.catalogue(titles=12, artworks=2)
    load_catalogue(wire, titles)
    records = learner_traffic(11, titles, 80_000)
    with Load(wire, records, per_second=1000) as load:
        learners = [keyart(settings, "learner", "--ready") for _ in range(2)]
        for learner in learners:
            learner.wait_ready()
        until(lambda: wire.members("learner") == 2, "both learners are members")
        until(lambda: moved_past(wire, "learner", dict.fromkeys(wire.places("impressions"), 0)), "both learn")
        learners.append(keyart(settings, "learner", "--ready"))
        learners[-1].wait_ready()
        at_join = wire.committed("learner")
        until(lambda: moved_past(wire, "learner", at_join), "three learners learn")
        victim = learners.pop(0)
        victim.kill()
        at_death = wire.committed("learner")
        until(lambda: moved_past(wire, "learner", at_death), "the others have taken over", 40)
        assert load.running, "the load ended too soon to show anything"
        load.stop()
        until(lambda: wire.drained("learner", INPUTS), "everything is learned")
    for learner in learners:
        learner.terminate()
    for learner in learners:
        learner.succeed(10)
    assert "Traceback" not in "".join(learner.output() for learner in (victim, *learners))
    assert check_learner(wire, titles) > 5000


def test_a_learner_that_slept_does_not_commit_what_it_had(settings, wire, keyart):
    """A learner frozen at work wakes up when another has gone on with its partitions: its checkpoint is fenced."""
    titles = traffic.catalogue(titles=9, artworks=2)
    load_catalogue(wire, titles)
    sleeper, other = (keyart(settings, "learner", "--ready") for _ in range(2))
    sleeper.wait_ready()
    other.wait_ready()
    until(lambda: wire.members("learner") == 2, "both learners are members")
    with Load(wire, learner_traffic(17, titles, 60_000), per_second=1000) as load:
        until(
            lambda: moved_past(wire, "learner", dict.fromkeys(wire.places("impressions"), 0)), "both are at work"
        )
        sleeper.freeze()
        until(lambda: wire.members("learner") == 1, "it is put out", 40)
        at_sleep = wire.committed("learner")
        until(lambda: moved_past(wire, "learner", at_sleep), "the other learns in its place")
        sleeper.thaw()
        until(lambda: wire.members("learner") == 2, "it is back")
        assert load.running, "the load ended too soon to show anything"
        load.stop()
        until(lambda: wire.drained("learner", INPUTS), "everything is learned", 60)
    for learner in (sleeper, other):
        learner.terminate()
        learner.succeed(10)
    check_learner(wire, titles)


def test_a_viewing_worker_that_slept_credits_nothing_twice(settings, wire, keyart):
    """A frozen worker's members go to another, which credits and leaves: the sleeper takes over its state.

    So it does what was credited under limits: credits that one of them gave are taken back by the other.
    """
    limits = recount.Limits(plays_per_day=3, title_once=True, flood_plays=9)
    settings = settings.model_copy(update=vars(limits))
    rng = random.Random(18)
    titles = traffic.catalogue(titles=5)
    load_catalogue(wire, titles)
    records = viewing_traffic(rng, titles, 1500)
    third = len(records) // 3
    sleeper, other = (keyart(settings, "viewing", "--ready") for _ in range(2))
    sleeper.wait_ready()
    other.wait_ready()
    until(lambda: wire.members("viewing") == 2, "both workers are members")
    wire.send(records[:third])
    until(lambda: wire.drained("viewing", ("plays",)), "the first part is credited")
    sleeper.freeze()
    until(lambda: wire.members("viewing") == 1, "it is put out", 40)
    wire.send(records[third : 2 * third])
    until(lambda: wire.drained("viewing", ("plays",)), "the other credits in its place")
    other.terminate()
    other.succeed(10)
    sleeper.thaw()
    wire.send(records[2 * third :])
    until(lambda: wire.drained("viewing", ("plays",)), "it credits again", 60)
    sleeper.terminate()
    sleeper.succeed(10)
    check_viewing(wire, titles, limits)
    assert any(change["credit"] < 0 for change in values(wire.read("rewards")))
    played = list(values(wire.read("plays")))
    assert recount.credited(played, titles, limits) != recount.credited(played, titles)


def test_a_named_learner_comes_back_at_once(settings, wire, keyart):
    """A learner with a name of its own is killed and started again: it goes on before its session has run out."""
    named = settings.model_copy(update={"worker_id": "one", "session_seconds": 25.0})
    titles = traffic.catalogue(titles=6, artworks=2)
    load_catalogue(wire, titles)
    with Load(wire, learner_traffic(12, titles, 60_000), per_second=1000) as load:
        for _ in range(2):
            learner = keyart(named, "learner", "--ready")
            learner.wait_ready(15)
            before = wire.committed("learner")
            until(
                lambda before=before: moved_past(wire, "learner", before) and wire.committed("learner"),
                "it learns",
            )
            learner.kill()
        assert load.running
        load.stop()
        keyart(named, "learner", "--until-drained").succeed(20)
    check_learner(wire, titles)


def test_a_viewing_worker_is_killed_under_load(settings, wire, keyart):
    """A viewing worker is killed alone, then one with a peer: each impression is credited exactly once."""
    rng = random.Random(13)
    titles = traffic.catalogue(titles=5)
    load_catalogue(wire, titles)
    with Load(wire, viewing_traffic(rng, titles, 40_000), per_second=700) as load:
        first = keyart(settings, "viewing", "--ready")
        first.wait_ready()
        until(lambda: wire.committed("viewing"), "it works")
        first.kill()
        second, third = (keyart(settings, "viewing", "--ready") for _ in range(2))
        second.wait_ready()
        third.wait_ready()
        until(lambda: wire.members("viewing") == 2, "two workers share the members")
        before = wire.committed("viewing")
        until(lambda: moved_past(wire, "viewing", before), "both work")
        second.kill()
        before = wire.committed("viewing")
        until(lambda: moved_past(wire, "viewing", before), "the other has taken over", 40)
        assert load.running, "the load ended too soon to show anything"
        load.stop()
        until(lambda: wire.drained("viewing", ("plays",)), "everything is credited")
        third.terminate()
        third.succeed(10)

    check_viewing(wire, titles)


def test_a_learner_outlives_its_broker(settings, mortal_broker, keyart):
    """The broker is killed under a learner and comes back: nothing is lost and nothing repeated."""
    theirs = mortal_broker.settings(settings)
    titles = traffic.catalogue(titles=6, artworks=2)
    records = learner_traffic(14, titles, 3000)
    half = len(records) // 2
    learner = keyart(theirs, "learner", "--ready")
    with closing(Wire(theirs)) as wire:
        load_catalogue(wire, titles)
        wire.send(records[:half])
        until(lambda: wire.committed("learner"), "it learns")
    mortal_broker.kill()
    mortal_broker.restart()
    with closing(Wire(theirs)) as wire:
        wire.send(records[half:])
        until(lambda: wire.drained("learner", INPUTS), "it has learned the rest", 60)
        learner.terminate()
        learner.succeed(10)
        check_learner(wire, titles)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("worker", ["learner", "viewing"])
def test_a_worker_that_is_asked_to_leave_commits_first(worker, number, settings, wire, keyart):
    """On SIGTERM or Ctrl-C a worker commits, leaves its group at once, and is gone in under 10 seconds."""
    port = free_port()
    slow = settings.model_copy(update={"checkpoint_seconds": 600.0, "reward_seconds": 600.0, "metrics_port": port})
    rng = random.Random(15)
    titles = traffic.catalogue()
    load_catalogue(wire, titles)
    shown = traffic.impressions(rng, titles, 500)
    inputs = {"learner": INPUTS, "viewing": ("plays",)}[worker]
    sent = {
        "learner": [("impressions", one["title_id"], one) for one in shown],
        "viewing": [("plays", one["member_id"], one) for one in traffic.plays(rng, shown)],
    }[worker]
    process = keyart(slow, worker, "--ready")
    process.wait_ready()
    wire.send(sent)
    read = f'keyart_worker_records_total{{topic="{inputs[0]}"}}'
    until(lambda: scraped(port).get(read) == len(sent), "it has read everything")
    assert wire.committed(worker) == {}
    process.send(number)
    process.succeed(10)
    assert wire.members(worker) == 0
    assert wire.drained(worker, inputs)


def test_a_worker_that_is_asked_to_leave_without_a_broker_is_gone_in_time(settings, private_broker, keyart):
    """What cannot be committed is left to the next owner: the process ends in under 10 seconds, and says why."""
    port = free_port()
    theirs = private_broker.settings(settings)
    slow = theirs.model_copy(update={"checkpoint_seconds": 600.0, "metrics_port": port})
    titles = traffic.catalogue(titles=3)
    records = learner_traffic(16, titles, 200)
    shown = [record for record in records if record[0] == "impressions"]
    learner = keyart(slow, "learner", "--ready")
    learner.wait_ready()
    with closing(Wire(theirs)) as wire:
        load_catalogue(wire, titles)
        wire.send(shown)
    read = 'keyart_worker_records_total{topic="impressions"}'
    until(lambda: scraped(port).get(read) == len(shown), "it has read everything")
    private_broker.kill()
    learner.terminate()
    assert learner.wait(10) == 75, learner.output()
    assert "leaving did not return in time" in learner.output()
    private_broker.restart()
    keyart(theirs, "learner", "--until-drained").succeed()
    with closing(Wire(theirs)) as wire:
        check_learner(wire, titles)


@pytest.mark.parametrize("worker", ["learner", "viewing"])
def test_of_two_workers_with_one_name_the_later_stays(worker, settings, wire, keyart):
    """Started twice with one worker_id, the first says so in a sentence and ends; nothing is lost or repeated."""
    named = settings.model_copy(update={"worker_id": "one"})
    rng = random.Random(19)
    titles = traffic.catalogue(titles=6, artworks=2)
    load_catalogue(wire, titles)
    records = learner_traffic(19, titles, 20_000) if worker == "learner" else viewing_traffic(rng, titles, 20_000)
    with Load(wire, records, per_second=500):
        first = keyart(named, worker, "--ready")
        first.wait_ready()
        until(lambda: wire.committed(worker), "it works")
        second = keyart(named, worker, "--ready")
        assert first.wait(20) == 78, first.output()
        second.wait_ready()
        before = wire.committed(worker)
        until(lambda: moved_past(wire, worker, before), "the second goes on")
    inputs = {"learner": INPUTS, "viewing": ("plays",)}[worker]
    until(lambda: wire.drained(worker, inputs), "everything is learned")
    second.terminate()
    second.succeed(10)
    said = [line for line in first.output().splitlines() if not line.startswith("{")]
    assert len(said) == 1
    assert "another process has joined" in said[0]
    assert "worker_id 'one'" in said[0]
    {"learner": check_learner, "viewing": check_viewing}[worker](wire, titles)


def test_a_worker_that_is_idle_notices_that_its_name_has_gone(settings, wire, keyart):
    """Fenced while there is nothing to commit, it ends all the same, and does not sit there for ever."""
    named = settings.model_copy(update={"worker_id": "one"})
    first = keyart(named, "viewing", "--ready")
    first.wait_ready()
    second = keyart(named, "viewing", "--ready")
    assert first.wait(20) == 78, first.output()
    second.wait_ready()
    second.terminate()
    second.succeed(10)
