"""Keyart in a benchmark: its learner, its snapshots and its choice, with records as they would be on the topics.

Nothing is reimplemented. A :class:`~consumers.learner.LearnerTask` is handed encoded records, publishes encoded
snapshots and lessons, and a :class:`~stream.choosing.servable.ServableTitle` made of what was published chooses.
Only Kafka is left out, and of members' split among policies everybody is ``personal``, as what is measured is that
policy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry

from benchmarks.arrived import ANY_TIME, Arrived
from consumers.catalogue_view import CatalogueView
from consumers.learner import LearnerTask, SharedPriorView
from stream.choosing.choice import bucket_length, key_of, propensities, time_bucket
from stream.choosing.page import MIN_SD
from stream.choosing.servable import ServableTitle
from stream.codec import decode, decode_key, encode
from stream.features import CAST, CAST_PREFIX, cast_affinity
from stream.metrics import WorkerMetrics
from stream.records import Artwork, Impression, RewardChange, Snapshot, Title
from stream.settings import Settings
from stream.topics import CATALOGUE, IMPRESSIONS, REWARDS, SHARED_PRIOR, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.quality.audience import Floats, Ints
    from benchmarks.quality.feedback import Heard, Shown, Visits
    from benchmarks.quality.worlds import World
    from stream.records import Record
    from stream.topics import Topic

#: A title's runtime does not matter here: rewards come ready made.
_RUNTIME_SECONDS = 6000.0
#: A checkpoint, with which lessons are exchanged, comes when so much more has been learned; often enough: the
#: result differs by less than 0.003 from one after each batch, and a million impressions take half the time.
_GROWTH = 0.02


class Ours:
    """Keyart as shipped, or with settings changed.

    Parameters
    ----------
    world
        Where; its seed also decides the members' draws.
    shared
        What learners exchange; None: as the settings say.
    people
        Whether the catalogue says which people artworks show.
    **settings
        Those that differ from the defaults. Neither ``keyart.toml`` nor the environment is read, so that what is
        measured is the same everywhere.

    Attributes
    ----------
    published
        The last snapshot of each title.
    """

    def __init__(
        self, world: World, *, shared: SharedPriorView | None = None, people: bool = True, **settings: Any
    ) -> None:
        self.settings = Settings.model_construct(None, **({"worker_id": "bench"} | ANY_TIME | settings))
        self._salt = f"{world.seed}-"
        self._tells_people = people and world.truth.people > 0
        self._shared = shared or (SharedPriorView() if self.settings.shared_prior else None)
        self._catalogue = CatalogueView()
        metrics = WorkerMetrics(CollectorRegistry())
        self._task = LearnerTask(
            0, self.settings, self._catalogue, metrics, refresh=lambda: None, shared=self._shared
        )
        self._bucket_ms = bucket_length(self.settings.sticky_days)
        self._offset = 0
        self._heard = self._checkpointed = 0
        self.published: dict[str, bytes] = {}
        self._served: dict[str, ServableTitle] = {}
        self._member_keys: dict[int, int] = {}

    def meet(self, world: World) -> None:
        """Load the catalogue, and publish."""
        self._title_ids = [f"t{t}" for t in range(len(world.offered))]
        self._title_keys = [key_of(title_id) for title_id in self._title_ids]
        names = world.truth.names
        self._themes = [name for name in names if not name.startswith(CAST_PREFIX)]
        self._people = names[len(self._themes) :] if self._tells_people else []
        self._shows = {(t, a): self._liked(world.truth.tags[t, a]) for t, a in np.argwhere(world.offered).tolist()}
        listed = (self._title(world, t) for t in np.flatnonzero(world.offered.any(axis=1)).tolist())
        before = self._catalogue.titles
        changed = [title for title in listed if before.get(title.title_id) != title]
        self._catalogue.apply(self._arrive(CATALOGUE, changed))
        self._publish(0)

    def _title(self, world: World, t: int) -> Title:
        artworks = tuple(
            Artwork(str(a), self._context(world.truth.tags[t, a]) | self._shows[t, a])
            for a in np.flatnonzero(world.offered[t]).tolist()
        )
        return Title(self._title_ids[t], self._title_ids[t], _RUNTIME_SECONDS, {}, artworks)

    def _context(self, values: Floats) -> dict[str, float]:
        """Themes, of a taste or of an artwork's tags."""
        return _named(self._themes, values[: len(self._themes)])

    def _liked(self, values: Floats) -> dict[str, float]:
        """People, likewise."""
        return _named(self._people, values[len(self._themes) :]) if self._people else {}

    def _affinity(self, liked: dict[str, float], title: int, artwork: int) -> float:
        return cast_affinity(liked, self._shows[title, artwork])

    # --- choosing

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """From the snapshots that were published last."""
        artwork, propensity = np.empty(len(visits), dtype=np.intp), np.empty(len(visits))
        floor, exploration = self.settings.uniform_floor, self.settings.exploration
        rows = zip(visits.title.tolist(), visits.member.tolist(), visits.shown_ms.tolist(), strict=True)
        for i, (title, member, shown_ms) in enumerate(rows):
            served, key = self._title_served(self._title_ids[title]), self._key(member)
            place, propensity[i] = served.choose(
                self._context(visits.taste[i]),
                "personal",
                key,
                time_bucket(key, self._title_keys[title], shown_ms, self._bucket_ms),
                floor=floor,
                exploration=exploration,
                cast=self._cast(served, title, visits.taste[i]),
            )
            artwork[i] = int(served.artwork_ids[place])
        return artwork, propensity

    def propensity(self, visits: Visits, artwork: Ints) -> Floats:
        """How likely each visit is to be shown this artwork, whatever its draws: shape (n,)."""
        found = np.empty(len(visits))
        for i, (title, wanted) in enumerate(zip(visits.title.tolist(), artwork.tolist(), strict=True)):
            served = self._title_served(self._title_ids[title])
            cast = self._cast(served, title, visits.taste[i])
            mean, sd = served.scores(self._context(visits.taste[i]), "personal", cast)
            sd = np.maximum(self.settings.exploration * sd, MIN_SD)
            place, count = np.array([served.artwork_ids.index(str(wanted))]), np.array([len(mean)])
            found[i] = propensities(mean[None], sd[None], place, count, self.settings.uniform_floor)[0]
        return found

    def _cast(self, served: ServableTitle, title: int, taste: Floats) -> list[float] | None:
        """The affinity to the people each artwork shows."""
        if not self._people:
            return None
        liked = self._liked(taste)
        return [self._affinity(liked, title, int(artwork)) for artwork in served.artwork_ids]

    def _title_served(self, title_id: str) -> ServableTitle:
        """Parsed when it is first needed: of many titles few are looked at between two snapshots."""
        served = self._served.get(title_id)
        if served is None:
            snapshot = decode(Snapshot, self.published[title_id], limit=None)
            served = self._served[title_id] = ServableTitle(snapshot)
        return served

    def _key(self, member: int) -> int:
        key = self._member_keys.get(member)
        if key is None:
            key = self._member_keys[member] = key_of(f"{self._salt}{member}")
        return key

    # --- learning

    def learn(self, heard: Heard) -> None:
        """Impressions, rewards, a checkpoint every now and then, snapshots."""
        impressions = self._impressions(heard.shown)
        self._task.handle(IMPRESSIONS, self._arrive(IMPRESSIONS, impressions))
        credited = zip(self._impressions(heard.rewarded), heard.rewarded.reward.tolist(), strict=True)
        rewards = [_reward(impression, reward, heard.now_ms) for impression, reward in credited]
        self._task.handle(REWARDS, self._arrive(REWARDS, rewards))
        self._heard += len(heard.shown)
        if self._heard >= (1.0 + _GROWTH) * self._checkpointed:
            self._checkpointed = self._heard
            self._checkpoint()
        self._publish(heard.now_ms)

    def _impressions(self, shown: Shown) -> list[Impression]:
        visits = shown.visits
        columns = visits.number, visits.shown_ms, visits.member, visits.title, shown.artwork, shown.propensity
        rows = zip(*(column.tolist() for column in columns), visits.taste, strict=True)
        return [
            Impression(
                impression_id=str(number),
                shown_ms=shown_ms,
                member_id=f"{self._salt}{member}",
                title_id=self._title_ids[title],
                artwork_id=str(artwork),
                context=self._seen(taste, title, artwork),
                policy="personal",
                propensity=propensity,
                snapshot_version=0,
            )
            for number, shown_ms, member, title, artwork, propensity, taste in rows
        ]

    def _seen(self, taste: Floats, title: int, artwork: int) -> dict[str, float]:
        """The context that an impression is logged with: of the people, those whom the artwork shows."""
        context = self._context(taste)
        affinity = self._affinity(self._liked(taste), title, artwork) if self._people else 0.0
        return context | {CAST: affinity} if affinity else context

    def _arrive(self, topic: Topic, records: Sequence[Record]) -> list[Arrived]:
        found = []
        for record in records:
            key = record.title_id.encode()  # type: ignore[attr-defined]
            found.append(Arrived(topic.name, 0, self._offset, 0, key, encode(record)))
            self._offset += 1
        return found

    def _checkpoint(self) -> None:
        """Until the lessons are worked out: a checkpoint stops at its deadline, and the next goes on.

        Between two batches of visits there is time for many. Nothing here may depend on how fast the machine is.
        """
        lessons: list[Arrived] = []
        while True:
            before = lessons
            lessons = [
                Arrived(SHARED_PRIOR.name, 0, 0, 0, output.key, output.value)
                for output in self._task.checkpoint()
                if output.topic is SHARED_PRIOR
            ]
            if self._shared is None:
                return
            if lessons and lessons == before:
                self._shared.apply(lessons)
                return

    def _publish(self, now_ms: int) -> None:
        for output in self._task.publish(now_ms, math.inf):
            if output.topic is SNAPSHOTS and output.value is not None:
                title_id = decode_key(output.key)
                self.published[title_id] = output.value
                self._served.pop(title_id, None)


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return {name: value for name, value in zip(names, values.tolist(), strict=True) if value}


def _reward(impression: Impression, reward: float, credited_ms: int) -> RewardChange:
    return RewardChange(
        impression_id=impression.impression_id,
        shown_ms=impression.shown_ms,
        credited_ms=credited_ms,
        title_id=impression.title_id,
        artwork_id=impression.artwork_id,
        context=impression.context,
        policy=impression.policy,
        propensity=impression.propensity,
        credit=reward,
        reward=reward,
    )
