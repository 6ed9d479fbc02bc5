"""``keyart evaluate --topics``: impressions joined with their rewards, straight from the topics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from waiting import until
from wire import values

from benchmarks.evaluation.logs import KnownLog, explored
from consumers.chooser import ArtworkChooser
from consumers.evaluation import topics
from consumers.evaluation.files import Files
from consumers.evaluation.run import evaluate
from consumers.evaluation.source import Wanted
from consumers.evaluation.topics import Topics
from producers.audience import Audience
from producers.audience_world import World, WorldRules
from producers.catalogue import load_catalogue, publish_catalogue
from producers.event_clock import EventClock
from producers.events import EventProducer
from producers.simulate import simulate
from stream.errors import TopicError
from stream.evaluation.log import Logged

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Process
    from wire import Wire

    from stream.settings import Settings

CATALOGUE = Path(__file__).parents[2] / "deploy" / "catalogue.json"
POLICIES = ("uniform", "best", "thompson")


@pytest.fixture(scope="module")
def log() -> KnownLog:
    """6,000 impressions of twelve titles by uniform choice."""
    return explored(1, 6000)


def put(wire: Wire, log: KnownLog) -> None:
    """Write the log as apps and workers do, and things among it that are no impressions or rewards."""
    wire.send(("catalogue", title.title_id, msgspec.json.encode(title)) for title in log.titles)
    wire.send(("impressions", one.title_id, msgspec.json.encode(one)) for one in log.impressions)
    title_of = {one.impression_id: one.title_id for one in log.impressions}
    for part, done in ((0.5, 0), (1.0, 1)):
        wire.send(
            (
                "rewards",
                title_of[one.impression_id],
                {"impression_id": one.impression_id, "reward": part, "credited_ms": one.known_ms - 1 + done},
            )
            for one in log.earned
        )
    wire.send([("impressions", "film", b"\xff"), ("rewards", "film", b"{}"), ("impressions", "film", None)])


def test_topics_say_what_a_file_says(
    settings: Settings, wire: Wire, log: KnownLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same estimates to the last digit: rewards are joined, and partitions merged by time."""
    put(wire, log)
    log.write(tmp_path / "log.jsonl")
    wanted = evaluate(Files([tmp_path / "log.jsonl"], settings), settings, POLICIES)
    for at_once in (20_000, 700):
        monkeypatch.setattr(topics, "_AT_ONCE", at_once)
        with Topics(settings) as source:
            found = evaluate(source, settings, POLICIES)
        assert found.as_rows() == wanted.as_rows()
        assert (found.rows, found.taken) == (6000, len(log.earned))


def test_a_stretch_of_time(settings: Settings, wire: Wire, log: KnownLog) -> None:
    """Impressions shown in it, with rewards that came later."""
    put(wire, log)
    times = [one.shown_ms for one in log.impressions]
    with Topics(settings) as source:
        found = evaluate(source, settings, ("uniform",), wanted=Wanted(times[1000], times[3000]))
    within = {one.impression_id for one in log.impressions[1000:3000]}
    assert found.rows == 2000
    assert found.taken == sum(one.impression_id in within for one in log.earned)


def test_what_comes_later_is_not_seen(settings: Settings, wire: Wire, log: KnownLog) -> None:
    """Impressions that arrive between the two readings would have no rewards: they are left for the next time."""
    put(wire, log)
    with Topics(settings) as source:
        late = msgspec.structs.replace(log.impressions[0], impression_id="late")
        wire.send([("impressions", late.title_id, msgspec.json.encode(late))])
        for records in (source.everything(), source.impressions()):
            assert sum(isinstance(record, Logged) for record in records) == 6000


def test_the_command(
    settings: Settings, wire: Wire, log: KnownLog, keyart: Callable[..., Process], tmp_path: Path
) -> None:
    """It reads the topics of its settings, and writes what it has found."""
    put(wire, log)
    process = keyart(
        settings, "evaluate", "--topics", "--policy", "uniform", "--json", str(tmp_path / "rows.json"), "--strict"
    )
    said = process.succeed(120)
    assert "no check found anything against it" in said
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["policy"] for row in rows} == {"logged", "uniform"}


def test_an_honest_loop_is_let_pass(settings: Settings, wire: Wire, keyart: Callable[..., Process]) -> None:
    """What the loop logged while it learned, tastes and all: no check finds anything against its explore slice.

    Of the rest they find at most that it says little of other policies.
    """
    ours = settings.model_copy(update={"explore_share": 0.5, "popular_share": 0.2})
    catalogue = load_catalogue(CATALOGUE)[:6]
    publish_catalogue(ours, catalogue)
    for name in ("viewing", "learner"):
        keyart(ours, name, "--ready").wait_ready()
    audience = Audience(World(catalogue, 3, WorldRules(members=400)))
    clock = EventClock.ending_now(30.0, 2000.0, audience.longest_ms)
    with ArtworkChooser(ours, now_ms=clock.now_ms) as chooser, EventProducer(ours, now_ms=clock.now_ms) as events:
        chooser.wait_ready(30)
        until(lambda: len(chooser.titles) == len(catalogue), "the catalogue is there")
        report = simulate(ours, audience, chooser, events, clock, impressions=5000)
    until(
        lambda: len({one["impression_id"] for one in values(wire.read("rewards"))}) == report.rewards_expected,
        "every reward is credited",
        60,
    )
    with Topics(ours) as source:
        explore = evaluate(source, ours, ("uniform", "best", "ours"), wanted=Wanted(policies=("explore",)))
        everything = evaluate(source, ours, ("uniform", "ours"))
    assert everything.rows == 5000
    assert 1500 < explore.rows < 3500
    assert list(explore.findings) == []
    assert "sample-ratio" not in explore.unchecked
    assert {finding.check for finding in everything.findings} <= {"overlap"}


def test_topics_that_are_missing(settings: Settings) -> None:
    """They are named."""
    with pytest.raises(TopicError, match="elsewhere"):
        Topics(settings.model_copy(update={"topic_prefix": "elsewhere."}))
