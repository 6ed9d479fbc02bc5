"""Watching the demo: frames while it runs, and the summary at its end."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from consumers.demo.scene import PERSONAS
from consumers.demo.tally import Freshness, Tally
from consumers.demo.view import POLICIES, Frame
from producers.audience_report import SimulationReport

if TYPE_CHECKING:
    from consumers.chooser import ArtworkChooser
    from consumers.demo.scene import Scene
    from stream.choosing.choice import Choice
    from stream.settings import Settings

_STRETCHES = 24
_ASKED, _ASKED_AT_END = 40, 400
_RECENT = 5000
_ROUNDING = 1e-6
_LEAST = 20
_RATE_SECONDS = 0.4  # over less than that a rate says little


class Watch:
    """Looks at a running loop from where an app stands: its topics, its chooser, and what the audience knows.

    Parameters
    ----------
    settings, scene, chooser
        The loop, the audience, and what serves it.

    Attributes
    ----------
    report
        What the audience knows.
    """

    def __init__(self, settings: Settings, scene: Scene, chooser: ArtworkChooser) -> None:
        self.report = SimulationReport()
        self._settings = settings
        self._scene = scene
        self._chooser = chooser
        self._tally = Tally(settings)
        self._fresh = Freshness(chooser.snapshot)
        self._began = self._last = time.monotonic()
        self._events, self._rate = 0, 0.0
        self._stretches: list[dict[str, tuple[int, int]]] = []

    def close(self) -> None:
        """Stop looking."""
        self._fresh.close()
        self._tally.close()

    # --- called by the audience

    def on_impression(self, choice: Choice, shown_ms: int) -> None:
        """An impression was sent."""
        self._fresh.sent(choice, shown_ms)
        self._scene.see(choice)

    def on_report(self, report: SimulationReport) -> None:
        """So far the audience has come."""
        self.report = report

    # --- while it runs

    def look(self) -> Frame:
        """This moment."""
        self._tally.update()
        tally, report, now = self._tally, self.report, time.monotonic()
        if not report.impressions:
            self._began = now  # the audience still tells what it watched before
        if now - self._last > _RATE_SECONDS:
            self._rate = (report.events - self._events) / (now - self._last)
            self._events, self._last = report.events, now
        scene = self._scene
        liked = scene.liked(self._chooser, self._settings, scene.compared, PERSONAS, _ASKED)
        return Frame(
            elapsed=now - self._began,
            rates=self._rates(),
            overall={policy: one.take_rate for policy, one in report.policies.items()},
            compared=scene.names[scene.compared],
            liked=liked,
            spread=scene.names[scene.spread],
            shares=scene.shares(),
            fresh=(self._fresh.percentile(0.5, _RECENT), self._fresh.percentile(0.99, _RECENT)),
            events_per_second=self._rate,
            impressions=tally.impressions,
            plays=tally.plays,
            rewards=tally.rewarded,
            snapshots=tally.records["snapshots"],
            dead_letters=tally.records["dead-letters"],
        )

    def _rates(self) -> dict[str, list[float | None]]:
        """The time so far, cut into at most so many stretches, and each one's take rates."""
        self._stretches.append({p: (one.impressions, one.taken) for p, one in self.report.policies.items()})
        step = -(-len(self._stretches) // _STRETCHES)
        cuts = [dict.fromkeys(POLICIES, (0, 0)), *self._stretches[step - 1 :: step]]
        return {
            policy: [_rate(since[policy], to[policy]) for since, to in itertools.pairwise(cuts)]
            for policy in POLICIES
        }

    # --- the end

    def settled(self) -> bool:
        """Whether everything that was sent has been learned or put aside, and what was learned is served here."""
        self._tally.update(0.1)
        served = [self._chooser.snapshot(title_id) for title_id in self._scene.names]
        learned = sum(one.version for one in served if one is not None)
        return (
            abs(self._tally.credit - self.report.credit_expected) < _ROUNDING
            and learned == self._tally.learnable
            and not self._fresh.waiting
            and self._tally.records["dead-letters"] >= self.report.malformed
        )

    def summary(self) -> dict[str, Any]:
        """Numbers of the topics, and what the audience knows beside them."""
        tally, scene = self._tally, self._scene
        chosen = {}
        for title_id in (scene.compared, scene.spread):
            liked = scene.liked(self._chooser, self._settings, title_id, scene.world.personas, _ASKED_AT_END)
            chosen[title_id] = {persona: one.artwork_id for persona, one in liked.items()}
        return empty_summary() | {
            "impressions": tally.impressions,
            "plays": tally.plays,
            "rewards": tally.rewarded,
            "snapshots": tally.records["snapshots"],
            "dead_letters": tally.records["dead-letters"],
            "take_rate": {p: tally.earned[p] / tally.shown[p] if tally.shown[p] else None for p in POLICIES},
            "freshness_seconds": {"p50": self._fresh.percentile(0.5), "p99": self._fresh.percentile(0.99)},
            "chosen": chosen,
            "records": dict(tally.records),
            "audience": self.report.as_dict(),
        }


def _rate(since: tuple[int, int], to: tuple[int, int]) -> float | None:
    """The take rate between two moments; None where too little was shown to say."""
    shown, taken = to[0] - since[0], to[1] - since[1]
    return taken / shown if shown >= _LEAST else None


def empty_summary() -> dict[str, Any]:
    """The summary of a demo whose audience never came.

    ``impressions`` and ``plays`` count different ones on the topics, ``rewards`` the impressions that earned any,
    ``snapshots`` and ``dead_letters`` records; ``records`` has the records of each topic, repeated ones and all.
    ``take_rate`` is the part of each policy's impressions that earned a reward. ``chosen`` has for some titles, by
    id, the artwork that most `personal` members of each persona get. ``audience`` is what the audience says that
    it did.
    """
    return {
        **dict.fromkeys(("impressions", "plays", "rewards", "snapshots", "dead_letters"), 0),
        "take_rate": dict.fromkeys(POLICIES),
        "freshness_seconds": {"p50": None, "p99": None},
        "chosen": {},
        "learned_everything": True,
        "started_in_seconds": None,
        "records": {},
        "audience": SimulationReport().as_dict(),
    }
