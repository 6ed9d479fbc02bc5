"""Keyart in this benchmark: a viewing worker, a learner and a serving node, without Kafka."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry

from benchmarks.arrived import ANY_TIME, Arrived
from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask, SharedPriorView
from consumers.viewing import ViewingTask
from stream.choosing.choice import bucket_length, key_of, policy_of, time_bucket
from stream.choosing.servable import ServableTitle
from stream.codec import decode, decode_key, encode
from stream.features import CAST_PREFIX
from stream.metrics import WorkerMetrics
from stream.records import Impression, Snapshot, Taste
from stream.settings import Settings
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

    from stream.kafka import Output
    from stream.records import Play, Policy, Record, Title
    from stream.topics import Topic

_NO_TASTE: dict[str, float] = {}
_KEPT = LEARNER_CHANGELOG, VIEWING_CHANGELOG, SHARED_PRIOR, SNAPSHOTS


class Shown(NamedTuple):
    """What a member is shown, by its number, and why."""

    artwork: int
    propensity: float
    policy: Policy
    context: dict[str, float]


class Service:
    """A viewing worker, a learner and a serving node.

    Parameters
    ----------
    titles
        The catalogue.
    **settings
        Those that differ from the defaults. Neither ``keyart.toml`` nor the environment is read, so that what is
        measured is the same everywhere.
    """

    def __init__(self, titles: Sequence[Title], **settings: Any) -> None:
        self.settings = Settings.model_construct(None, **({"worker_id": "bench"} | ANY_TIME | settings))
        self.registry = CollectorRegistry()
        self._titles = titles
        self._catalogue = CatalogueView()
        self._shared = SharedPriorView()
        parts = 0, self.settings, self._catalogue, WorkerMetrics(self.registry), lambda: None
        self._viewing = ViewingTask(*parts)
        self._learner = LearnerTask(*parts, shared=self._shared)
        self._kept: dict[Topic, dict[bytes, bytes]] = {topic: {} for topic in _KEPT}
        self._served: dict[str, ServableTitle] = {}
        self._shown: dict[str, dict[tuple[str, int], Shown]] = {}  # by title: a choice is a pure function
        self._tastes: dict[str, dict[str, float]] = {}
        self._read = 0
        self._catalogue.apply(self._arrive(CATALOGUE, titles))

    def restored(self, **settings: Any) -> Service:
        """Another one with these settings, that goes on from here as from a changelog."""
        other = Service(self._titles, **settings)
        other._kept = {topic: dict(kept) for topic, kept in self._kept.items()}
        other._tastes = dict(self._tastes)
        other._viewing.restore(_arrived(VIEWING_CHANGELOG, self._kept[VIEWING_CHANGELOG].items()))
        other._learner.restore(_arrived(LEARNER_CHANGELOG, self._kept[LEARNER_CHANGELOG].items()))
        other._shared.apply(_arrived(SHARED_PRIOR, self._kept[SHARED_PRIOR].items()))
        return other

    # --- learning

    def take(self, records: Iterable[Impression | Play], now_ms: int) -> None:
        """What was shown and played is learned, checkpointed and published."""
        every = list(records)
        shown = [record for record in every if isinstance(record, Impression)]
        played = [record for record in every if not isinstance(record, Impression)]
        self._learner.handle(IMPRESSIONS, self._arrive(IMPRESSIONS, shown))
        self._viewing.handle(PLAYS, self._arrive(PLAYS, played))
        outputs = list(self._viewing.checkpoint())
        self._keep(outputs)
        rewards = [(output.key, output.value) for output in outputs if output.topic is REWARDS]
        self._learner.handle(REWARDS, _arrived(REWARDS, rewards))
        self._checkpoint()
        self._shared.apply(_arrived(SHARED_PRIOR, self._kept[SHARED_PRIOR].items()))
        self._keep(self._learner.publish(now_ms, math.inf))

    def _checkpoint(self) -> None:
        """Until lessons are the same twice: a checkpoint gives them little time, and here time decides nothing."""
        before = None
        while True:
            outputs = list(self._learner.checkpoint())
            self._keep(outputs)
            lessons = next((output.value for output in outputs if output.topic is SHARED_PRIOR), None)
            if lessons is not None and lessons == before:
                return
            before = lessons

    def _arrive(self, topic: Topic, records: Sequence[Record]) -> list[Arrived]:
        pairs = [(getattr(record, topic.key.value).encode(), encode(record)) for record in records]
        self._read += len(pairs)
        return _arrived(topic, pairs, self._read - len(pairs))

    def _keep(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if output.key is None or output.value is None:
                continue
            if output.topic in self._kept:
                self._kept[output.topic][output.key] = output.value
            if output.topic is SNAPSHOTS:
                self._served.pop(decode_key(output.key), None)
                self._shown.pop(decode_key(output.key), None)
            elif output.topic is TASTES:
                taste = decode(Taste, output.value).taste
                likes = {name: share for name, share in taste.items() if not name.startswith(CAST_PREFIX)}
                self._tastes[decode_key(output.key)] = likes

    # --- choosing

    def choose(self, member_id: str, title_id: str, at_ms: int) -> Shown:
        """As a serving node does."""
        served = self._served.get(title_id)
        if served is None:
            published = self._kept[SNAPSHOTS][title_id.encode()]
            served = self._served[title_id] = ServableTitle(decode(Snapshot, published, limit=None))
        settings, key, context = self.settings, key_of(member_id), self._tastes.get(member_id, _NO_TASTE)
        bucket = time_bucket(key, key_of(title_id), at_ms, bucket_length(settings.sticky_days))
        before = self._shown.setdefault(title_id, {}).get((member_id, bucket))
        if before is not None and before.context is context:
            return before
        policy = policy_of(key, settings.explore_share, settings.popular_share)
        floor, exploration = settings.uniform_floor, settings.exploration
        choice = served.choose(context, policy, key, bucket, floor=floor, exploration=exploration)
        shown = self._shown[title_id][member_id, bucket] = Shown(*choice, policy, context)
        return shown


def _arrived(topic: Topic, pairs: Iterable[tuple[bytes | None, bytes | None]], first: int = 0) -> list[Arrived]:
    return [Arrived(topic.name, 0, first + i, 0, key, value) for i, (key, value) in enumerate(pairs)]
