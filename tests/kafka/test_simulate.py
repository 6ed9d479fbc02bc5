"""The seeded audience on a cluster: what it says it sent is there, and the workers make of it what it expects."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recount import added_up, once
from waiting import until
from wire import values

from consumers.chooser import ArtworkChooser
from producers.audience import Audience, Habits
from producers.audience_world import World, WorldRules
from producers.catalogue import load_catalogue, publish_catalogue
from producers.event_clock import EventClock, wall_clock_ms
from producers.events import EventProducer
from producers.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Process
    from wire import Wire

    from producers.audience_report import SimulationReport
    from stream.settings import Settings

CATALOGUE = Path(__file__).parents[2] / "deploy" / "catalogue.json"


def run(settings: Settings, *, members: int = 60, **options: object) -> SimulationReport:
    """An audience of a few members, through the public API."""
    audience = Audience(
        World(load_catalogue(CATALOGUE), 3, WorldRules(members=members, shown=8, strength=5.0)),
        Habits(malformed_share=0.02, repeated_share=0.2),
    )
    clock = EventClock.ending_now(20.0, 600.0, audience.longest_ms)
    with (
        ArtworkChooser(settings, now_ms=clock.now_ms) as chooser,
        EventProducer(settings, now_ms=clock.now_ms) as events,
    ):
        chooser.wait_ready(30)
        until(lambda: len(chooser.titles) == len(audience.world.titles), "the catalogue is there")
        return simulate(settings, audience, chooser, events, clock, **options)  # type: ignore[arg-type]


@pytest.mark.apache_kafka  # the embedded broker says wrongly where topics end
def test_what_it_says_is_what_comes_of_it(settings: Settings, wire: Wire, keyart: Callable[..., Process]) -> None:
    """Every number of its report can be counted on the topics, and the workers credit the rewards it expects."""
    publish_catalogue(settings, load_catalogue(CATALOGUE))
    workers = [keyart(settings, "viewing", "--ready"), keyart(settings, "learner", "--ready")]
    for worker in workers:
        worker.wait_ready()
    report = run(settings, impressions=1500)

    def credited() -> bool:
        rewards = added_up(values(wire.read("rewards")))
        return (
            len(rewards) == report.rewards_expected
            and abs(sum(rewards.values()) - report.credit_expected) < 1e-6
            and len(wire.read("dead-letters")) == report.malformed
        )

    until(credited, "every reward is credited and every malformed record is a dead letter", 60)
    broken = {record.value for record in wire.read("dead-letters")}
    shown = [record for record in wire.read("impressions") if record.value not in broken]
    played = [record for record in wire.read("plays") if record.value not in broken]
    assert len(shown) == report.impressions + report.repeated_impressions
    assert len(once(values(shown))) == report.impressions == 1500
    asked = [play for play in values(played) if play["impression"] is not None]
    assert len(asked) == report.play_reports + report.repeated_plays
    assert len({play["play_id"] for play in asked}) == report.plays
    assert len(played) - len(asked) == report.organic + report.history
    assert min(report.malformed, report.repeated_plays, report.organic, report.rewards_expected) > 0
    now_ms = wall_clock_ms()
    assert max(play["played_ms"] for play in values(played)) <= now_ms

    def learned() -> bool:
        return sum(
            artwork["impressions"] for title in wire.latest("snapshots").values() for artwork in title["artworks"]
        ) == len(once(values(shown)))

    until(learned, "every impression is learned, once", 60)


def test_choices_start_from_what_was_watched_before(
    settings: Settings, wire: Wire, keyart: Callable[..., Process]
) -> None:
    """The first impressions carry tastes as their context: the audience waits for `viewing` to make them."""
    publish_catalogue(settings, load_catalogue(CATALOGUE))
    keyart(settings, "viewing", "--ready").wait_ready()
    run(settings, impressions=100)
    contexts = [
        impression["context"] for impression in values(wire.read("impressions")) if "context" in impression
    ]
    assert len(contexts) > 50
    assert all(context and sum(context.values()) == pytest.approx(1.0) for context in contexts)


def test_it_keeps_to_its_rate_and_ends_in_time(settings: Settings) -> None:
    """So many impressions a second, for so long; a request to stop ends it at once."""
    publish_catalogue(settings, load_catalogue(CATALOGUE))
    began = time.monotonic()
    report = run(settings, seconds=3.0, rate=60.0, history=False)
    assert 160 <= report.impressions <= 180
    assert report.history == 0
    assert time.monotonic() - began < 30
    stop = threading.Event()

    def enough(seen: SimulationReport) -> None:
        if seen.impressions >= 20:
            stop.set()

    assert 20 <= run(settings, rate=60.0, history=False, stop=stop, watch=enough).impressions < 60
