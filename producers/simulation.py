"""An audience at work through the public API: it is shown artwork, and reports its plays minutes later."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from producers.audience_report import SimulationReport
from producers.malformed import malformed
from stream.errors import KeyartError
from stream.plays.reward import ViewingRules, reward_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from producers.audience import Audience, Visits, Watched
    from producers.event_clock import EventClock
    from stream.choosing.choice import Choice
    from stream.kafka import Output


def ignore(*_: object) -> None:
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


@dataclass(slots=True)
class _Playing:
    """A play, and what its reports have earned so far; None before the first was sent."""

    token: str
    title: int
    reward: float | None = None


class _Pending(NamedTuple):
    """A report of a play on its way."""

    playing: _Playing
    played_ms: int
    watched_seconds: float
    repeats: bool


class Events(Protocol):
    """What the audience needs of an :class:`~producers.events.EventProducer`."""

    def impression(self, choice: Choice) -> bool:
        """An artwork was shown; says whether that was queued."""
        ...

    def play(
        self,
        token: str | None,
        watched_seconds: float,
        *,
        play_id: str | None = None,
        played_ms: int | None = None,
        member_id: str | None = None,
        title_id: str | None = None,
    ) -> bool:
        """Something was watched; says whether that was queued."""
        ...


class Simulation:
    """One run of an audience.

    Parameters
    ----------
    rules
        What a play is worth.
    audience
        Who comes.
    chooser, events, clock
        The public API, and the event time that it was given as ``now_ms``.
    write_raw
        Writes a record past the API, for the malformed ones; says whether it was queued.
    on_impression
        Called with each choice that was logged, after it was, with its event time.
    """

    def __init__(
        self,
        rules: ViewingRules,
        audience: Audience,
        chooser: Chooser,
        events: Events,
        clock: EventClock,
        *,
        write_raw: Callable[[Output], bool],
        on_impression: Callable[[Choice, int], None] = ignore,
    ) -> None:
        self.report = SimulationReport()
        self._audience = audience
        self._chooser = chooser
        self._events = events
        self._clock = clock
        self._on_impression = on_impression
        self._rules = rules
        self._write_raw = write_raw
        self._next = 0
        self._order = count()
        self._pending: list[tuple[int, int, _Pending]] = []
        world = audience.world
        self._artwork_number = [{a: i for i, a in enumerate(ids)} for ids in world.artwork_ids]

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
            try:
                choice = self._chooser.choose(
                    audience.world.member_ids[member], audience.world.titles[title].title_id
                )
            except KeyartError:  # the title was withdrawn meanwhile
                report.unknown += 1
                choices.append(None)
                continue
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
            report.malformed += self._write_raw(malformed(kind, now_ms))

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
            playing = _Playing(choice.token, int(batch.titles[row]))
            for report in reports:
                pending = _Pending(playing, shown_ms + report.played_ms, report.watched_seconds, repeats=False)
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
        report, playing = self.report, pending.playing
        if not self._events.play(playing.token, pending.watched_seconds, played_ms=pending.played_ms):
            report.unqueued += 1
            return
        if pending.repeats:
            report.repeated_plays += 1
            return
        report.play_reports += 1
        report.plays += playing.reward is None
        before = playing.reward or 0.0
        runtime = float(self._audience.world.runtime[playing.title])
        playing.reward = max(reward_of(pending.watched_seconds, runtime, self._rules), before)
        report.rewards_expected += playing.reward > 0 and not before
        report.credit_expected += playing.reward - before
