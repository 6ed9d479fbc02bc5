"""Drives a seeded audience through the public API: choose, log the impression, report plays minutes later.

Event time runs faster than the wall clock and never ahead of it (:mod:`producers.event_clock`); what the audience
knows of its own doing is the :class:`~producers.audience_report.SimulationReport`.
"""

from __future__ import annotations

import heapq
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from producers.audience_report import SimulationReport
from producers.malformed import malformed
from stream.kafka import Writer
from stream.viewing import ViewingRules, reward_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from producers.audience import Audience, Visits, Watched
    from producers.event_clock import EventClock
    from producers.events import EventProducer
    from stream.choice import Choice
    from stream.settings import Settings

_TICK_SECONDS = 0.02
_MOST_AT_ONCE = 64
_FINISH_SECONDS = 10.0
_TASTE_SECONDS = 10.0


def _ignore(*_: object) -> None:
    """Nobody listens."""


class Chooser(Protocol):
    """What the audience needs of an ``ArtworkChooser``."""

    def choose(self, member_id: str, title_id: str) -> Choice:
        """The artwork to show."""
        ...

    def taste(self, member_id: str) -> Mapping[str, float]:
        """What is known of the member; empty if nothing is."""
        ...


# --- what it does


class _Pending(NamedTuple):
    """A play report on its way. ``token`` None: an organic play."""

    token: str | None
    play_id: str
    member: int
    title: int
    played_ms: int
    watched_seconds: float
    repeats: bool


class Simulation:
    """One run of an audience.

    Parameters
    ----------
    settings
        What is in force: the reward rules, and where malformed records go.
    audience
        Who comes.
    chooser, events, clock
        The public API, and the event time that it was given as ``now_ms``.
    on_impression
        Called with each choice that was logged, after it was, with its event time.
    """

    def __init__(
        self,
        settings: Settings,
        audience: Audience,
        chooser: Chooser,
        events: EventProducer,
        clock: EventClock,
        *,
        on_impression: Callable[[Choice, int], None] = _ignore,
    ) -> None:
        self.report = SimulationReport()
        self._audience = audience
        self._chooser = chooser
        self._events = events
        self._clock = clock
        self._on_impression = on_impression
        self._rules = ViewingRules.of(settings)
        self._raw = Writer(settings, "malformed")
        self._next = 0
        self._order = count()
        self._pending: list[tuple[int, int, _Pending]] = []
        self._best: dict[str, float] = {}  # the reward so far of impressions whose play still goes on
        world = audience.world
        self._artwork_number = [{a: i for i, a in enumerate(ids)} for ids in world.artwork_ids]

    def close(self) -> None:
        """Deliver the malformed records, and hang up."""
        self._raw.close()

    def history(self) -> None:
        """Send what the members have watched before: `viewing` makes their tastes of it."""
        start = self._clock.now_ms()
        for play in self._audience.history():
            if self._organic(play, start + play.played_ms):
                self.report.history += 1

    def await_tastes(self, deadline: float, stop: threading.Event) -> None:
        """Wait until the chooser knows what (almost) everybody likes: until the monotonic deadline at most."""
        members = self._audience.world.member_ids
        while time.monotonic() < deadline and not stop.is_set():
            unknown = sum(not self._chooser.taste(member) for member in members)
            if unknown <= 0.01 * len(members):
                return
            stop.wait(0.1)

    def visit(self, visits: int) -> None:
        """Show so many artworks, and set the plays that follow on their way."""
        audience, report = self._audience, self.report
        batch = audience.visits(self._next, visits)
        self._next += visits
        repeated = set(audience.repeated_impressions(batch))
        artworks = np.full(visits, -1)
        choices: list[tuple[Choice, int] | None] = []
        for row, (member, title) in enumerate(zip(batch.members.tolist(), batch.titles.tolist(), strict=True)):
            shown_ms = self._clock.now_ms()
            choice = self._chooser.choose(audience.world.member_ids[member], audience.world.titles[title].title_id)
            artworks[row] = self._artwork_number[title].get(choice.artwork_id, -1)
            if not self._events.impression(choice):
                report.unqueued += 1
                choices.append(None)
                continue
            report.impressions += 1
            choices.append((choice, shown_ms))
            self._on_impression(choice, shown_ms)
            if row in repeated:
                report.repeated_impressions += self._events.impression(choice)
        self._react(batch, artworks, choices)
        now_ms = self._clock.now_ms()
        for watched in audience.organic(batch):
            report.organic += self._organic(watched, now_ms)
        for kind in audience.malformed(batch):
            report.malformed += self._raw.write(malformed(kind, now_ms))

    def _react(self, batch: Visits, artworks: NDArray[np.intp], choices: list[tuple[Choice, int] | None]) -> None:
        audience = self._audience
        taken, plays = audience.react(batch, artworks)
        shown, best, uniform = audience.oracle(batch, artworks)
        for row, logged in enumerate(choices):
            if logged is None:
                continue
            tally = self.report.policies[logged[0].policy]
            tally.impressions += 1
            tally.taken += int(taken[row])
            tally.shown += float(shown[row])
            tally.best += float(best[row])
            tally.uniform += float(uniform[row])
        for row, reports in plays:
            logged = choices[row]
            if logged is None:
                continue
            choice, shown_ms = logged
            member, title = int(batch.members[row]), int(batch.titles[row])
            for report in reports:
                pending = _Pending(
                    *(choice.token, choice.impression_id, member, title, shown_ms + report.played_ms),
                    *(report.watched_seconds, False),
                )
                self._send_at(shown_ms + report.sent_ms, pending)
                if report.again_ms is not None:
                    self._send_at(shown_ms + report.again_ms, pending._replace(repeats=True))

    def _send_at(self, due_ms: int, pending: _Pending) -> None:
        heapq.heappush(self._pending, (due_ms, next(self._order), pending))

    def _organic(self, watched: Watched, from_ms: int) -> bool:
        """Send a play that no impression led to."""
        world = self._audience.world
        queued = self._events.play(
            None,
            watched.watched_seconds,
            play_id=watched.play_id,
            played_ms=from_ms + watched.played_ms,
            member_id=world.member_ids[watched.member],
            title_id=world.titles[watched.title].title_id,
        )
        self.report.unqueued += not queued
        return queued

    # --- plays

    @property
    def outstanding(self) -> int:
        """Reports of plays that have not been sent yet."""
        return len(self._pending)

    def send_due(self) -> None:
        """Send the reports whose time has come."""
        now_ms = self._clock.now_ms()
        while self._pending and self._pending[0][0] <= now_ms:
            self._send(heapq.heappop(self._pending)[2])

    def finish(self, deadline: float) -> None:
        """Let the audience watch to the end what it began: event time passes as fast as reports can be sent.

        Stops at the monotonic deadline.
        """
        while self._pending and time.monotonic() < deadline:
            self._clock.advance_to(self._pending[0][0])
            self._send(heapq.heappop(self._pending)[2])

    def _send(self, pending: _Pending) -> None:
        report = self.report
        if not self._events.play(pending.token, pending.watched_seconds, played_ms=pending.played_ms):
            report.unqueued += 1
            return
        if pending.repeats:
            report.repeated_plays += 1
            return
        report.play_reports += 1
        before = self._best.get(pending.play_id)
        report.plays += before is None
        runtime = float(self._audience.world.runtime[pending.title])
        now = max(reward_of(pending.watched_seconds, runtime, self._rules), before or 0.0)
        self._best[pending.play_id] = now
        report.rewards_expected += now > 0 and not before
        report.credit_expected += now - (before or 0.0)


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
    on_impression: Callable[[Choice, int], None] = _ignore,
    watch: Callable[[SimulationReport], None] = _ignore,
) -> SimulationReport:
    """Run an audience until it has seen so many impressions, or for so long, or until told to stop.

    Whatever ends it, plays that have begun are then watched to their end, and everything is delivered.

    Parameters
    ----------
    settings, audience, chooser, events, clock
        See :class:`Simulation`. The chooser and the producer must have been given ``clock.now_ms``.
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
    simulation = Simulation(settings, audience, chooser, events, clock, on_impression=on_impression)
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
        simulation.close()
    watch(report)
    return report
