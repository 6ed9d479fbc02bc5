"""Drives a seeded audience: as fast as asked, for as long as asked, and to the end of what it began.

Event time runs faster than the wall clock and never ahead of it (:mod:`producers.event_clock`); what the audience
knows of its own doing is the :class:`~producers.audience_report.SimulationReport`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from producers.simulation import Simulation, ignore
from stream.kafka import Writer
from stream.plays.reward import ViewingRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from producers.audience import Audience
    from producers.audience_report import SimulationReport
    from producers.event_clock import EventClock
    from producers.events import EventProducer
    from producers.simulation import Chooser
    from stream.choosing.choice import Choice
    from stream.settings import Settings

_TICK_SECONDS = 0.02
_MOST_AT_ONCE = 64
_FINISH_SECONDS = 10.0
_TASTE_SECONDS = 10.0


def simulate(
    settings: Settings,
    audience: Audience,
    chooser: Chooser,
    events: EventProducer,
    clock: EventClock,
    *,
    impressions: int | None = None,
    seconds: float | None = None,
    rate: float | None = None,
    history: bool = True,
    stop: threading.Event | None = None,
    on_impression: Callable[[Choice, int], None] = ignore,
    watch: Callable[[SimulationReport], None] = ignore,
) -> SimulationReport:
    """Run an audience until it has seen so many impressions, or for so long, or until told to stop.

    Whatever ends it, plays that have begun are then watched to their end, and everything is delivered.

    Parameters
    ----------
    settings
        The reward rules, and where malformed records go.
    audience, chooser, events, clock
        See :class:`~producers.simulation.Simulation`. The chooser and the producer must have been given
        ``clock.now_ms``.
    impressions, seconds
        When to end; both None: at ``stop``.
    rate
        Impressions a second; None: as fast as it goes.
    history
        Whether to send first what the members have watched before, and to wait a few seconds for the tastes that
        come of it.
    stop
        Ends the run early.
    on_impression
        Called with each logged choice and its event time.
    watch
        Called about fifty times a second with the report so far; the same object is returned at the end.

    Raises
    ------
    BrokerUnavailable
        The end could not be delivered.
    """
    stop = stop or threading.Event()
    raw = Writer(settings, "malformed")
    simulation = Simulation(
        *(ViewingRules.of(settings), audience, chooser, events, clock),
        write_raw=raw.write,
        on_impression=on_impression,
    )
    report = simulation.report
    watch(report)
    try:
        if history:
            simulation.history()
            events.flush(_FINISH_SECONDS)
            simulation.await_tastes(time.monotonic() + _TASTE_SECONDS, stop)
        clock.start()
        began, shown = time.monotonic(), 0
        while not stop.is_set():
            elapsed = time.monotonic() - began
            if seconds is not None and elapsed >= seconds:
                break
            due = _MOST_AT_ONCE if rate is None else min(int(rate * elapsed) - shown, _MOST_AT_ONCE)
            if impressions is not None:
                if shown >= impressions:
                    break
                due = min(due, impressions - shown)
            if due > 0:
                simulation.visit(due)
                shown += due
            simulation.send_due()
            watch(report)
            if due <= 0:
                stop.wait(_TICK_SECONDS)
        simulation.finish(time.monotonic() + _FINISH_SECONDS)
        events.flush(_FINISH_SECONDS)
    finally:
        raw.close()
    watch(report)
    return report
