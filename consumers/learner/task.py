"""One partition of a learner: what comes in is learned, and what was learned is kept."""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import structlog

from consumers.learner.publishing import Publisher
from consumers.learner.shared_prior import SharedPriorView
from consumers.learner.teaching import Teacher
from stream.codec import encode_fields
from stream.dead_letters import WaitingLetters
from stream.errors import DecodeError
from stream.features import CAST_PREFIX, default_features
from stream.kafka import Output
from stream.learning.book import LearningRules, TitleBook
from stream.learning.spread import Spread
from stream.reading.duplicates import RecentIds
from stream.reading.event_time import wall_clock_ms
from stream.reading.frequency import HourlyLimit
from stream.reading.intake import Arrived, Intake
from stream.records import Impression, RewardChange
from stream.running.job import Job
from stream.topics import (
    CATALOGUE,
    DEAD_LETTERS,
    IMPRESSIONS,
    LEARNER_CHANGELOG,
    REWARDS,
    SHARED_PRIOR,
    SNAPSHOTS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from consumers.catalogue_view import CatalogueView
    from stream.kafka import Message
    from stream.metrics import WorkerMetrics
    from stream.settings import Settings
    from stream.topics import Topic

    Slots = NDArray[np.intp]

R = TypeVar("R", Impression, RewardChange)

log = structlog.get_logger("keyart")


def learner_job(
    settings: Settings,
    catalogue: CatalogueView,
    metrics: WorkerMetrics,
    *,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> Job:
    """What a learner reads, keeps and writes."""
    shared = SharedPriorView() if settings.shared_prior else None

    def new_task(partition: int, refresh: Callable[[], object]) -> LearnerTask:
        return LearnerTask(partition, settings, catalogue, metrics, refresh, shared=shared, now_ms=now_ms)

    def show(tasks: Collection[LearnerTask]) -> None:
        metrics.titles.set(sum(task.titles for task in tasks))
        spreads = [task.spread() for task in tasks]
        even, of = sum(even for even, _ in spreads), sum(of for _, of in spreads)
        metrics.choice_entropy.set(even / of if of else math.nan)

    return Job(
        name="learner",
        inputs=(IMPRESSIONS, REWARDS),
        changelog=LEARNER_CHANGELOG,
        outputs=(SNAPSHOTS, DEAD_LETTERS) if shared is None else (SNAPSHOTS, SHARED_PRIOR, DEAD_LETTERS),
        tables={CATALOGUE: catalogue.apply} | ({} if shared is None else {SHARED_PRIOR: shared.apply}),
        new_task=new_task,
        checkpoint_seconds=settings.checkpoint_seconds,
        publish_seconds=settings.publish_seconds,
        show=show,
    )


class LearnerTask:
    """One partition's titles.

    Parameters
    ----------
    partition
        Its number.
    refresh
        Reads the catalogue to its end: called before a title is declared unknown.
    shared
        What the catalogue teaches; None: every artwork learns by itself.
    now_ms
        The wall clock, which no event may be too far ahead of.
    """

    def __init__(
        self,
        partition: int,
        settings: Settings,
        catalogue: CatalogueView,
        metrics: WorkerMetrics,
        refresh: Callable[[], object],
        *,
        shared: SharedPriorView | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._partition = partition
        self._intake = Intake(settings)
        self._now_ms = now_ms
        self._configured = settings.features
        self._catalogue = catalogue
        self._catalogue_version = -1
        self._metrics = metrics
        self._refresh = refresh
        self._recent = RecentIds(round(settings.duplicate_seconds * 1000))
        self._limit = HourlyLimit(settings.impressions_per_hour, secrets.token_bytes(16))
        self._book = TitleBook(self._columns(), LearningRules.of(settings))
        self._changed: dict[str, None] = {}  # titles whose state is not in the changelog, in order of change
        self._publisher = Publisher(partition, self._book, catalogue, metrics, shared=shared)
        self._teacher = None if shared is None else Teacher(partition, self._book, catalogue, shared)
        self._dead = WaitingLetters(settings.worker_name, metrics)
        self._spread = Spread()
        self._uncounted: dict[str, float] = {}  # by policy: reward learned that its metric does not show yet

    def _columns(self, known: Sequence[str] = ()) -> tuple[str, ...]:
        people = (CAST_PREFIX,) if self._catalogue.shows_people else ()
        return default_features((*(self._configured or self._catalogue.themes), *people), known)

    # --- state

    @property
    def titles(self) -> int:
        """How many titles it knows something of."""
        return len(self._book.titles)

    def spread(self) -> tuple[float, float]:
        """How evenly the latest impressions went to artworks: :meth:`stream.learning.spread.Spread.look`."""
        return self._spread.look(self._book)

    def restore(self, messages: Sequence[Message]) -> None:
        """Take back titles from the changelog."""
        for message in messages:
            if message.value is not None:
                title_id = self._book.restore(message.value)
                if self._teacher is not None:
                    self._teacher.mark([title_id])

    def remember(self, topic: Topic, messages: Sequence[Message]) -> None:
        """See impressions again that were learned in the last minute."""
        if topic is not IMPRESSIONS:
            return
        arrived = self._intake.of_titles(Impression, messages, self._now_ms())
        self._fresh(arrived.only(self._slots(arrived) >= 0), told=False)

    @property
    def held_bytes(self) -> int:
        """What the dead letters take that wait for a checkpoint."""
        return self._dead.held_bytes

    def reread(self) -> dict[str, int]:
        """The first impression that is still remembered."""
        oldest = self._recent.oldest_offset
        return {} if oldest is None else {IMPRESSIONS.name: oldest}

    def checkpoint(self) -> Iterable[Output]:
        """Changed titles, what the partition's titles teach, and dead letters."""
        if self._teacher is not None:
            self._teacher.mark(self._changed)
        outputs = [
            Output(
                LEARNER_CHANGELOG,
                title_id.encode(),
                encode_fields(self._book.store(title_id)),
                self._partition,
            )
            for title_id in self._changed
        ]
        if self._teacher is not None:
            outputs += self._teacher.teach()
        outputs += self._dead.take()
        self._changed.clear()
        return outputs

    # --- learning

    def handle(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Learn a batch; what cannot be learned becomes a dead letter, and its neighbours are learned."""
        self._follow_catalogue()
        started = time.monotonic()
        if topic is IMPRESSIONS:
            shown, slots = self._arrived(Impression, messages)
            decoded = time.monotonic()
            wanted = self._fresh(shown)
            fresh = shown.only(wanted).records
            slots = self._book.settled(fresh, slots[wanted])
            self._metrics.unknown_features.inc(self._book.learn_impressions(fresh, slots))
            for policy, count in Counter([record.policy for record in fresh]).items():
                self._metrics.impressions.labels(policy).inc(count)
        else:
            earned, slots = self._arrived(RewardChange, messages)
            decoded = time.monotonic()
            slots = self._book.settled(earned.records, slots)
            self._book.learn_rewards(earned.records, slots)
            self._count_rewards(earned.records)
        self._mark(self._book.titles_at(slots))
        self._metrics.decode_seconds.labels(topic.name).observe(decoded - started)
        self._metrics.learn_seconds.labels(topic.name).observe(time.monotonic() - decoded)
        self._say_what_turned()

    def _say_what_turned(self) -> None:
        turned = self._book.turned
        self._metrics.turned.inc(len(turned))
        for title_id in turned:
            log.warning("reward turned, forgetting", title=title_id, partition=self._partition)
        turned.clear()

    def _fresh(self, shown: Arrived[Impression], *, told: bool = True) -> NDArray[np.bool_]:
        """Which impressions to learn, shape (n,): new, and within what a member can teach in an hour.

        What is beyond is not learned, but its reward is: no state says which impressions were. That adds to c
        what S lacks, and is bounded where credit is given: a day's impressions of a title to a member hold one
        credit (setting ``title_once``), and the first of them in each hour are learned. So of a member and title
        no more rewards are learned than impressions.
        """
        reached_ms = self._intake.reached_ms(shown.shown_ms, shown.written_ms)
        wanted = self._recent.are_new(
            [record.impression_id for record in shown.records],
            shown.shown_ms,
            [message.offset for message in shown.messages],
            reached_ms,
        )
        new, count = shown.only(wanted), int(np.count_nonzero(wanted))
        members = [record.member_id for record in new.records]
        wanted[wanted] = self._limit.allow(members, new.titles, reached_ms[wanted])
        if told:
            self._metrics.duplicates.inc(len(wanted) - count)
            self._metrics.over_limit.inc(count - int(np.count_nonzero(wanted)))
        return wanted

    def _count_rewards(self, rewards: Sequence[RewardChange]) -> None:
        """By policy. A counter cannot fall: what is taken back is held against what is credited next."""
        for record in rewards:
            self._uncounted[record.policy] = self._uncounted.get(record.policy, 0.0) + record.credit
        for policy, credit in self._uncounted.items():
            if credit > 0:
                self._metrics.rewards.labels(policy).inc(credit)
                self._uncounted[policy] = 0.0

    def _slots(self, arrived: Arrived[R]) -> Slots:
        return self._book.slots(arrived.titles, [record.artwork_id for record in arrived.records])

    def _arrived(self, kind: type[R], messages: Sequence[Message]) -> tuple[Arrived[R], Slots]:
        """The records of a batch that can be learned, and their slots; the others become dead letters."""
        arrived = self._intake.of_titles(kind, messages, self._now_ms())
        refused = list(arrived.refused)
        slots = self._slots(arrived)
        known = slots >= 0
        refreshed = False
        for i in np.flatnonzero(~known).tolist():
            record = arrived.records[i]
            try:
                if not refreshed and not self._is_known(record.title_id, record.artwork_id):
                    self._refresh()
                    self._follow_catalogue()
                    refreshed = True
                self._check_known(record.title_id, record.artwork_id)
                known[i] = True
            except DecodeError as error:
                refused.append((arrived.messages[i], error))
        for message, fault in sorted(refused, key=lambda found: found[0].offset):
            self._dead.add(message, fault)
        return arrived.only(known), slots[known]

    def _is_known(self, title_id: str, artwork_id: str) -> bool:
        """Listed in the catalogue, or listed once: what was shown before a withdrawal still counts."""
        return self._book.knows(title_id, artwork_id) or self._catalogue.lists(title_id, artwork_id)

    def _check_known(self, title_id: str, artwork_id: str) -> None:
        if self._is_known(title_id, artwork_id):
            return
        if self._catalogue.get(title_id) is None:
            raise DecodeError(
                "unknown_title",
                f"title {title_id!r} is not in the catalogue: load it, then replay this record",
            )
        raise DecodeError(
            "unknown_artwork",
            f"title {title_id!r} has no artwork {artwork_id!r} in the catalogue: add it, then replay this record",
        )

    def _mark(self, title_ids: Iterable[str]) -> None:
        named = dict.fromkeys(title_ids)
        self._changed |= named
        self._publisher.mark(named)

    def _follow_catalogue(self) -> None:
        """Publish what the catalogue changed: new titles, withdrawn ones, new features."""
        catalogue = self._catalogue
        if catalogue.version == self._catalogue_version:
            return
        columns = self._columns(self._book.sums.space.columns)
        self._book.widen(columns)
        left_out = len(catalogue.themes.difference(columns))
        if left_out and not self._configured:
            log.warning(
                "themes left out",
                partition=self._partition,
                count=left_out,
                advice="name those to learn: features",
            )
        changed = catalogue.changed_since(self._catalogue_version)
        self._catalogue_version = catalogue.version
        places = catalogue.partition_of
        self._publisher.mark(title_id for title_id in changed if places.get(title_id) == self._partition)

    # --- publishing

    def publish(self, now_ms: int, deadline: float) -> Iterable[Output]:
        """Snapshots of what changed, until the deadline; tombstones of withdrawn titles."""
        self._follow_catalogue()
        return self._publisher.publish(now_ms, deadline)

    def mark_unpublished(self, key: bytes) -> None:
        """Publish this title again, if it is one of ours."""
        self._publisher.mark_lost(key.decode(errors="replace"))
