"""What a scenario plays on: an Apache Kafka, topics of its own, a catalogue, a load, and an audit at the end."""

from __future__ import annotations

import random
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import traffic
from audit import audit_learner, audit_viewing
from waiting import until
from wire import Wire

from stream.kafka import Admin
from stream.settings import Settings

from .fleet import Fleet
from .pressure import Pressure, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .broker import MortalBroker
    from .report import Row

PARTITIONS = 9
#: How long a scenario may take to catch up with its load after the last deed.
_CATCH_UP_SECONDS = 240.0
#: How long until what was learned is published: a client that is stuck is noticed before.
_PUBLISH_SECONDS = 60.0
_INPUTS = {"viewing": ("plays",), "learner": ("impressions", "rewards")}


@dataclass
class Stage:
    """One scenario's.

    Attributes
    ----------
    broker
        To be killed, if the scenario is about that.
    folder
        For what its processes write.
    seed
        Everything follows from it.
    impressions
        How large the load is.
    say
        Tells a person how far it is.
    """

    broker: MortalBroker
    folder: Path
    seed: int
    impressions: int
    say: Callable[[str], None]
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.titles = traffic.catalogue(titles=30, artworks=3)
        self.settings = Settings(
            **{
                "bootstrap_servers": self.broker.bootstrap,
                "topic_prefix": f"chaos-{uuid.uuid4().hex[:8]}.",
                "partitions": PARTITIONS,
                "session_seconds": 6,
                "checkpoint_seconds": 0.5,
                "publish_seconds": 0.2,
                "reward_seconds": 0.2,
                # No limits to what members may teach: one of them is an estimate, which no recount can know.
                "impressions_per_hour": 0,
                "plays_per_day": 0,
                "title_once": False,
                "flood_plays": 0,
                "token_secrets": ("a secret for the tests",),
            }
            | self.changes
        )
        with Admin(self.settings) as admin:
            admin.create()
        with self.wire() as wire:
            wire.send(("catalogue", title_id, title) for title_id, title in self.titles.items())

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """The plain client on this stage's topics."""
        with closing(Wire(self.settings)) as ours:
            yield ours

    def fleet(self) -> Fleet:
        """Three learners and two viewing workers."""
        return Fleet(self.settings, self.folder, rng=self.rng)

    def pressure(self, per_second: float = 1500.0) -> Pressure:
        """A load, of which nothing is allowed yet."""
        now_ms, seed = time.time_ns() // 1_000_000, self.rng.getrandbits(32)
        return Pressure(self.settings, events(seed, self.titles, self.impressions, now_ms), per_second)

    def settle(self, row: Row, fleet: Fleet, pressure: Pressure) -> None:
        """Let the workers catch up with all of the load, send them home, and audit what they have learned."""
        pressure.allow(1.0)
        until(lambda: pressure.finished, "the load is written", _CATCH_UP_SECONDS)
        self.say("catching up")
        begun = time.monotonic()
        with self.wire() as wire:
            try:
                until(lambda: self.drained(wire), "everything is learned", _CATCH_UP_SECONDS)
                until(lambda: self.published(wire), "everything learned is published", _PUBLISH_SECONDS)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self._behind(wire)}\n{fleet.last_words()}") from None
            row.took(time.monotonic() - begun)
            fleet.close()
            self.say("counting again")
            row.add(audit_viewing(wire, self.titles))
            learner = audit_learner(wire, self.titles)
            row.counted = learner.counted  # impressions; their rewards are part of what was compared
            learner.counted = 0
            row.add(learner)
        row.faults += fleet.complaints
        ended = ", ".join(f"{code}: {times}" for code, times in sorted(fleet.ended.items()))
        row.told.append(f"processes ended, by exit code: {ended}; the slowest to leave took {fleet.slowest:.1f} s")

    def drained(self, wire: Wire) -> bool:
        """Whether both kinds of worker have committed everything."""
        return all(wire.drained(group, inputs) for group, inputs in _INPUTS.items())

    def published(self, wire: Wire) -> bool:
        """Whether the newest snapshot of every title is of all that its state holds."""
        states, snapshots = wire.latest("learner-changelog"), wire.latest("snapshots")
        return all(
            snapshots.get(title_id, {}).get("version") == states[title_id]["version"]
            for title_id in self.titles.keys() & states
        )

    def _behind(self, wire: Wire) -> str:
        return "\n".join(
            f"{group} has committed {committed} of {end} of {place.topic} {place.partition}"
            for group, inputs in _INPUTS.items()
            for place, (committed, end) in wire.behind(group, inputs).items()
        )
