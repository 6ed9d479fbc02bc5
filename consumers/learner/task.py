"""One partition of a learner: what comes in is learned, and what was learned is kept."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import structlog

from consumers.learner.publishing import Publisher
from consumers.learner.shared_prior import SharedPriorView
from consumers.learner.teaching import Teacher
from stream.codec import encode_fields
from stream.dead_letters import WaitingLetters
from stream.duplicates import RecentIds
from stream.errors import DecodeError
from stream.event_time import wall_clock_ms
from stream.features import CAST_PREFIX, default_features
from stream.frequency import HourlyLimit
from stream.intake import Intake
from stream.job import Job
from stream.kafka import Output
from stream.learning import LearningRules, TitleBook
from stream.records import Impression, RewardChange
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
    from collections.abc import Callable, Iterable, Sequence

    from consumers.catalogue_view import CatalogueView
    from stream.kafka import Message
    from stream.metrics import WorkerMetrics
    from stream.settings import Settings
    from stream.topics import Topic

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

    return Job(
        name="learner",
        inputs=(IMPRESSIONS, REWARDS),
        changelog=LEARNER_CHANGELOG,
        outputs=(SNAPSHOTS, DEAD_LETTERS) if shared is None else (SNAPSHOTS, SHARED_PRIOR, DEAD_LETTERS),
        tables={CATALOGUE: catalogue.apply} | ({} if shared is None else {SHARED_PRIOR: shared.apply}),
        new_task=new_task,
        checkpoint_seconds=settings.checkpoint_seconds,
        publish_seconds=settings.publish_seconds,
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
        self._uncounted: dict[str, float] = {}  # by policy: reward learned that its metric does not show yet

    def _columns(self, known: Sequence[str] = ()) -> tuple[str, ...]:
        people = (CAST_PREFIX,) if self._catalogue.shows_people else ()
        return default_features((*(self._configured or self._catalogue.themes), *people), known)

    # --- state

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
        clock_ms = self._now_ms()
        for message in messages:
            try:
                record = self._intake.of_title(Impression, message, clock_ms)
            except DecodeError:
                continue
            if self._book.knows(record.title_id, record.artwork_id):
                self._fresh([(record, message)], clock_ms)

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
        if topic is IMPRESSIONS:
            clock_ms = self._now_ms()
            records = self._decoded(Impression, messages, clock_ms)
            fresh, over_limit = self._fresh(records, clock_ms)
            self._metrics.duplicates.inc(len(records) - len(fresh) - over_limit)
            self._metrics.over_limit.inc(over_limit)
            self._metrics.unknown_features.inc(self._book.learn_impressions(fresh))
            for policy, count in Counter([record.policy for record in fresh]).items():
                self._metrics.impressions.labels(policy).inc(count)
            self._mark([record.title_id for record in fresh])
        else:
            rewards = [record for record, _ in self._decoded(RewardChange, messages, self._now_ms())]
            self._book.learn_rewards(rewards)
            self._count_rewards(rewards)
            self._mark(record.title_id for record in rewards)
        self._say_what_turned()

    def _say_what_turned(self) -> None:
        turned = self._book.turned
        self._metrics.turned.inc(len(turned))
        for title_id in turned:
            log.warning("reward turned, forgetting", title=title_id)
        turned.clear()

    def _fresh(self, records: Sequence[tuple[Impression, Message]], clock_ms: int) -> tuple[list[Impression], int]:
        """The impressions to learn, and how many are new but beyond what a member can teach in an hour.

        What is beyond is not learned, but its reward is: no state says which impressions were. That adds to c
        what S lacks, and is bounded where credit is given: a day's impressions of a title to a member hold one
        credit (setting ``title_once``), and the first of them in each hour are learned. So of a member and title
        no more rewards are learned than impressions.
        """
        reached, is_new, allows = self._intake.reached_ms, self._recent.is_new, self._limit.allows
        fresh, over_limit = [], 0
        for record, message in records:
            reached_ms = reached(record.shown_ms, message, clock_ms)
            if is_new(record.impression_id, record.shown_ms, message.offset, reached_ms):
                if allows(record.member_id, record.title_id, reached_ms):
                    fresh.append(record)
                else:
                    over_limit += 1
        return fresh, over_limit

    def _count_rewards(self, rewards: Sequence[RewardChange]) -> None:
        """By policy. A counter cannot fall: what is taken back is held against what is credited next."""
        for record in rewards:
            self._uncounted[record.policy] = self._uncounted.get(record.policy, 0.0) + record.credit
        for policy, credit in self._uncounted.items():
            if credit > 0:
                self._metrics.rewards.labels(policy).inc(credit)
                self._uncounted[policy] = 0.0

    def _decoded(self, kind: type[R], messages: Sequence[Message], clock_ms: int) -> list[tuple[R, Message]]:
        """The records of a batch that can be learned."""
        records: list[tuple[R, Message]] = []
        refreshed = False
        for message in messages:
            try:
                record = self._intake.of_title(kind, message, clock_ms)
                if not self._is_known(record.title_id, record.artwork_id):
                    if not refreshed:
                        self._refresh()
                        self._follow_catalogue()
                        refreshed = True
                    self._check_known(record.title_id, record.artwork_id)
            except DecodeError as error:
                self._dead.add(message, error)
            else:
                records.append((record, message))
        return records

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
