"""What bots can make honest members see, with the limits on what one member can teach, and without.

An audience with known tastes comes for some days, and is shown what Keyart chooses. On the last day bots join, a
tenth of all members, that send nine tenths of that day's plays: each of them pushes one artwork, the least of its
title, that it is shown again and again and that it plays each time. Their tokens are real, as they do what members
do. Honest members do exactly the same with and without them, so the evidence that they give is equal; and then
everything that honest members looked at on that day is chosen once more, from the snapshots of its end.

All that learns and chooses is the product's own: a viewing worker's task, a learner's, and snapshots as a node serves
them, with records as they are on the topics. Only Kafka is left out::

    keyart bench poisoning [--seed N] [--members N] [--days N] [--json FILE]
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask, SharedPriorView
from consumers.viewing import ViewingTask
from producers.audience import Audience
from producers.audience_world import World, WorldRules
from producers.token import sign, verify
from stream.choice import key_of, policy_of, time_bucket
from stream.codec import decode, decode_key, encode
from stream.features import CAST_PREFIX
from stream.metrics import WorkerMetrics
from stream.records import Impression, Play, Snapshot, Taste, Title
from stream.settings import Settings
from stream.snapshot import ServableTitle
from stream.topics import (
    CATALOGUE,
    IMPRESSIONS,
    LEARNER_CHANGELOG,
    PLAYS,
    REWARDS,
    SHARED_PRIOR,
    SNAPSHOTS,
    TASTES,
    VIEWING_CHANGELOG,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from stream.kafka import Output
    from stream.topics import Topic

HOUR_MS = 3_600_000
DAY_HOURS = 24
START_MS = 1_760_054_400_000  # midnight, UTC
SECRET = b"the secret of the bench's tokens"
#: What a member can teach is not limited with these.
NO_LIMITS: dict[str, Any] = {"plays_per_day": 0, "title_once": False, "impressions_per_hour": 0}

#: A made-up world has a time of its own.
_ANY_TIME: dict[str, Any] = {"max_ahead_seconds": 0, "max_behind_days": 0}


class Arrived(NamedTuple):
    """A record as a worker reads it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Shown(NamedTuple):
    """What somebody is shown, and why."""

    artwork: int
    propensity: float
    policy: str
    context: dict[str, float]


class Service:
    """A viewing worker, a learner and a serving node.

    Parameters
    ----------
    titles
        The catalogue.
    **settings
        Those that differ from the defaults; neither ``keyart.toml`` nor the environment is read.
    """

    def __init__(self, titles: Sequence[Title], **settings: Any) -> None:
        self.settings = Settings.model_construct(None, **({"worker_id": "bench"} | _ANY_TIME | settings))
        self.metrics = WorkerMetrics(CollectorRegistry())
        self._titles = titles
        self._catalogue = CatalogueView()
        self._shared = SharedPriorView()
        parts = 0, self.settings, self._catalogue, self.metrics, lambda: None
        self._viewing = ViewingTask(*parts)
        self._learner = LearnerTask(*parts, shared=self._shared)
        self._offset = 0
        self._kept: dict[Topic, dict[bytes, bytes]] = {
            topic: {} for topic in (LEARNER_CHANGELOG, VIEWING_CHANGELOG, SHARED_PRIOR, SNAPSHOTS)
        }
        self._served: dict[str, ServableTitle] = {}
        self._tastes: dict[str, dict[str, float]] = {}
        self._catalogue.apply(self._arrive(CATALOGUE, titles))

    def restored(self, **settings: Any) -> Service:
        """Another one with these settings that goes on from here, as its changelogs have it."""
        other = Service(self._titles, **settings)
        for topic, task in ((LEARNER_CHANGELOG, other._learner), (VIEWING_CHANGELOG, other._viewing)):
            task.restore(_arrived(topic, self._kept[topic].items()))
        other._shared.apply(_arrived(SHARED_PRIOR, self._kept[SHARED_PRIOR].items()))
        other._kept = {topic: dict(kept) for topic, kept in self._kept.items()}
        other._tastes = dict(self._tastes)
        return other

    # --- learning

    def take(self, records: Iterable[Impression | Play], now_ms: int) -> None:
        """What was shown and played: learned, checkpointed and published."""
        shown, played = [], []
        for record in records:
            (shown if isinstance(record, Impression) else played).append(record)
        self._learner.handle(IMPRESSIONS, self._arrive(IMPRESSIONS, shown))
        self._viewing.handle(PLAYS, self._arrive(PLAYS, played))
        rewards = []
        for output in self._viewing.checkpoint():
            self._keep(output)
            if output.topic is TASTES and output.value is not None:
                liked = decode(Taste, output.value).taste
                self._tastes[decode_key(output.key)] = {
                    name: share for name, share in liked.items() if not name.startswith(CAST_PREFIX)
                }
            elif output.topic is REWARDS:
                rewards.append((output.key, output.value))
        self._learner.handle(REWARDS, _arrived(REWARDS, rewards))
        for output in self._learner.checkpoint():
            self._keep(output)
        self._shared.apply(_arrived(SHARED_PRIOR, self._kept[SHARED_PRIOR].items()))
        for output in self._learner.publish(now_ms, math.inf):
            self._keep(output)
            self._served.pop(decode_key(output.key), None)

    def _arrive(self, topic: Topic, records: Sequence[Impression] | Sequence[Play] | Sequence[Title]) -> list[Arrived]:
        pairs = [(getattr(record, topic.key.value).encode(), encode(record)) for record in records]
        self._offset += len(pairs)
        return _arrived(topic, pairs, self._offset - len(pairs))

    def _keep(self, output: Output) -> None:
        if output.topic in self._kept and output.key is not None and output.value is not None:
            self._kept[output.topic][output.key] = output.value

    # --- choosing

    def choose(self, member_id: str, title_id: str, at_ms: int) -> Shown:
        """As a serving node does."""
        served = self._served.get(title_id)
        if served is None:
            published = self._kept[SNAPSHOTS][title_id.encode()]
            served = self._served[title_id] = ServableTitle(decode(Snapshot, published, limit=None))
        settings, key = self.settings, key_of(member_id)
        context = self._tastes.get(member_id, {})
        policy = policy_of(key, settings.explore_share, settings.popular_share)
        place, propensity = served.choose(
            context,
            policy,
            key,
            time_bucket(key, key_of(title_id), at_ms, round(settings.sticky_days * DAY_HOURS * HOUR_MS)),
            floor=settings.uniform_floor,
            exploration=settings.exploration,
        )
        return Shown(place, propensity, policy, context)

    def taste(self, member_id: str) -> dict[str, float]:
        return self._tastes.get(member_id, {})


def _arrived(topic: Topic, pairs: Iterable[tuple[bytes | None, bytes | None]], first: int = 0) -> list[Arrived]:
    return [Arrived(topic.name, 0, first + i, 0, key, value) for i, (key, value) in enumerate(pairs)]


# --- who comes


@dataclass
class Story:
    """Records by the hour in which they are sent, and what honest members looked at."""

    hours: dict[int, list[Impression | Play]] = field(default_factory=dict)
    looks: list[tuple[str, int, int]] = field(default_factory=list)

    def send(self, at_ms: int, record: Impression | Play) -> None:
        """Add a record."""
        self.hours.setdefault(at_ms // HOUR_MS, []).append(record)


class Honest:
    """Honest members, who look and play for some days."""

    def __init__(self, world: World, per_day: int) -> None:
        self.world = world
        self.audience = Audience(world)
        self.per_day = per_day
        self._next = 0

    def history(self, story: Story) -> None:
        """What they watched before."""
        for play in self.audience.history():
            title = self.world.titles[play.title]
            member = self.world.member_ids[play.member]
            at = START_MS + play.played_ms
            story.send(START_MS - HOUR_MS, Play(play.play_id, at, member, title.title_id, play.watched_seconds, None))

    def hour(self, story: Story, service: Service, start_ms: int) -> None:
        """Look at titles for an hour, and play some of them."""
        world = self.world
        batch = self.audience.visits(self._next, self.per_day // DAY_HOURS)
        numbers = range(self._next, self._next + self.per_day // DAY_HOURS)
        self._next += len(numbers)
        artworks, shown = np.empty(len(numbers), dtype=np.intp), []
        for row, number in enumerate(numbers):
            member, title = int(batch.members[row]), int(batch.titles[row])
            at_ms = start_ms + row * HOUR_MS // len(numbers)
            name, about = world.member_ids[member], world.titles[title]
            choice = service.choose(name, about.title_id, at_ms)
            artworks[row] = choice.artwork
            shown.append(
                Impression(
                    f"i{number}",
                    at_ms,
                    name,
                    about.title_id,
                    about.artworks[choice.artwork].artwork_id,
                    choice.context,
                    choice.policy,  # type: ignore[arg-type]
                    choice.propensity,
                    None,
                )
            )
            story.looks.append((name, title, at_ms))
            story.send(at_ms, shown[-1])
        _, plays = self.audience.react(batch, artworks)
        for row, reports in plays:
            seen = shown[row]
            for report in reports:
                played_ms = seen.shown_ms + report.played_ms
                record = Play(
                    seen.impression_id, played_ms, seen.member_id, seen.title_id, report.watched_seconds, seen
                )
                story.send(seen.shown_ms + report.sent_ms, record)
