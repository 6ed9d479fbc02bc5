"""Freshness: how soon a play tells on choices, while an audience looks and plays at a steady rate."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.speed.broker import topics_of_our_own
from benchmarks.speed.measure import Bar, Report, Row
from benchmarks.speed.raw import WATCHED_SECONDS
from benchmarks.speed.side import Side, SideEnded, core_seconds_of
from consumers import ArtworkChooser
from producers import EventProducer
from producers.catalogue import publish_catalogue
from stream.records import Artwork, Title

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.speed.broker import Broker
    from benchmarks.speed.workload import Workload
    from stream.choosing.choice import Choice

P50, P99 = Bar(0.8, below=True), Bar(1.5, below=True)
#: Features that a context of the audience gives.
GIVEN = 5
PATIENCE = 300.0
_PLAY_SHARE = 0.05
_LOOK_SECONDS = 0.005


def told_of(work: Workload) -> dict[str, int]:
    """What a process needs to know to make the same records."""
    return {"titles": len(work.titles), "features": len(work.columns), "given": GIVEN}


class Probes:
    """Plays of titles that nobody else looks at, one at a time of each: versions say when one is held.

    All impressions are sent and learned before the first play. From then on a title's version grows by one with
    each of its plays.

    Parameters
    ----------
    titles
        Theirs.
    each
        The most plays of one.
    """

    def __init__(self, titles: list[Title], each: int, chooser: ArtworkChooser, events: EventProducer) -> None:
        self._chooser, self._events, self._each = chooser, events, each
        self._rng = random.Random(1)  # noqa: S311 - it keeps plays out of step with the workers' cadences
        self._of = {title.title_id: self._look_at(title) for title in titles}
        events.flush(30)

    def _look_at(self, title: Title) -> list[Choice]:
        made = []
        for number in range(self._each):
            choice = self._chooser.choose(f"prober-{title.title_id}-{number}", title.title_id)
            self._events.impression(choice)
            made.append(choice)
        return made

    def wait_learned(self, seconds: float) -> None:
        """Until every impression is in a snapshot that is served here."""
        deadline = time.monotonic() + seconds
        while any(self._version(title_id) < self._each for title_id in self._of):
            if time.monotonic() > deadline:
                raise SideEnded("the probes' impressions are not learned: does the loop keep up?")
            time.sleep(_LOOK_SECONDS)

    def _version(self, title_id: str) -> int:
        held = self._chooser.snapshot(title_id)
        return 0 if held is None else held.version

    def run(self, seconds: float) -> list[float]:
        """From each play's send to the first choice from a snapshot that holds it, in seconds."""
        found: list[float] = []
        played = dict.fromkeys(self._of, 0)
        sent: dict[str, float] = {}
        end = time.monotonic() + seconds
        due = {title_id: time.monotonic() + self._rng.random() for title_id in self._of}
        while sent or time.monotonic() < end:
            now = time.monotonic()
            for title_id in list(sent):
                if self._version(title_id) >= self._each + played[title_id]:
                    choice = self._chooser.choose("the next member", title_id)
                    if (choice.snapshot_version or 0) >= self._each + played[title_id]:
                        found.append(time.monotonic() - sent.pop(title_id))
                        due[title_id] = time.monotonic() + self._rng.uniform(0.2, 1.2)
            for title_id, at in list(due.items()):
                if now >= at and now < end and played[title_id] < self._each:
                    del due[title_id]
                    sent[title_id] = time.monotonic()
                    self._events.play(self._of[title_id][played[title_id]].token, WATCHED_SECONDS)
                    played[title_id] += 1
            if now > end + 30:
                raise SideEnded(f"{len(sent)} plays are in no snapshot 30 s after the last was sent")
            time.sleep(_LOOK_SECONDS)
        return found


def _probe_titles(count: int, like: Title) -> list[Title]:
    return [
        Title(
            f"probe-{number:03}",
            f"Probe {number}",
            6000.0,
            like.themes,
            tuple(Artwork(*_of(a)) for a in like.artworks),
        )
        for number in range(count)
    ]


def _of(artwork: Artwork) -> tuple[str, dict[str, float]]:
    return artwork.artwork_id, artwork.themes


def add_rows(
    report: Report, broker: Broker, work: Workload, rate: int, seconds: float, said: Callable[[str], None]
) -> None:
    """Measure it at so many impressions a second, for so long."""
    probes, warm = _probe_titles(30, work.titles[0]), min(5.0, seconds)
    with topics_of_our_own(broker) as ours:
        publish_catalogue(ours, [*work.titles, *probes])
        said("starting workers")
        with (
            Side("work", ours, kind="viewing") as viewing,
            Side("work", ours, kind="learner") as learner,
            ArtworkChooser(ours) as chooser,
            EventProducer(ours) as events,
        ):
            viewing.wait("ready", PATIENCE)
            learner.wait("ready", PATIENCE)
            chooser.wait_ready(PATIENCE)
            probing = Probes(probes, max(round(2 * seconds), 4), chooser, events)
            probing.wait_learned(60)
            told = told_of(work) | {"rate": rate, "seconds": warm + seconds, "play_share": _PLAY_SHARE}
            said("the audience prepares")
            with Side("audience", ours, **told) as audience:
                audience.wait("ready", PATIENCE)
                said(f"{rate:,} impressions a second, for {warm + seconds:g} s")
                time.sleep(warm)
                watched = {"the audience": audience, "the viewing worker": viewing, "the learner": learner}
                before, since = _core_seconds(watched, broker), time.monotonic()
                took = probing.run(seconds)
                shares = _shares(before, _core_seconds(watched, broker), time.monotonic() - since)
                sent = audience.wait("done", PATIENCE)
    if not took:
        raise SideEnded("no play was sent: measure for longer")
    p50, p99 = (float(np.quantile(took, share)) for share in (0.5, 0.99))
    reached = sent["records"] / sent["seconds"]
    report.figures |= {"freshness_seconds": {"p50": p50, "p99": p99}, "impressions_per_second": reached}
    note = f"{len(took):,} plays, at {reached:,.0f} impressions/s"
    report.rows += [
        Row("from a play to choices that know of it, p50", p50, "s", min(took), max(took), bar=P50, note=note),
        Row("from a play to choices that know of it, p99", p99, "s", bar=P99),
        *(Row(f"{name}, meanwhile", share, "cores") for name, share in shares.items()),
    ]
    report.figures["cores"] = shares


def _core_seconds(watched: Mapping[str, Side], broker: Broker) -> dict[str, float | None]:
    """What each process has taken so far."""
    return {
        **{name: side.core_seconds() for name, side in watched.items()},
        "the chooser, and this": time.process_time(),
        "the broker": None if broker.pid is None else core_seconds_of(broker.pid),
    }


def _shares(
    before: Mapping[str, float | None], after: Mapping[str, float | None], seconds: float
) -> dict[str, float]:
    """How many cores each has kept busy, of those that tell."""
    return {
        name: (then - now) / seconds
        for name, now in before.items()
        if now is not None and (then := after[name]) is not None
    }
