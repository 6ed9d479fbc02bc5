"""The learner: impressions and rewards in, one model per artwork, snapshots out."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import structlog

from stream.codec import decode, decode_key, encode_fields
from stream.dead_letters import dead_letter
from stream.duplicates import RecentIds
from stream.errors import DecodeError
from stream.features import default_features
from stream.job import Job
from stream.kafka import Output
from stream.learning import LearningRules, TitleBook, Unsound
from stream.records import Impression, RewardChange
from stream.topics import (
    CATALOGUE,
    DEAD_LETTERS,
    IMPRESSIONS,
    LEARNER_CHANGELOG,
    REWARDS,
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


def learner_job(settings: Settings, catalogue: CatalogueView, metrics: WorkerMetrics) -> Job:
    """What a learner reads, keeps and writes."""

    def new_task(partition: int, refresh: Callable[[], object]) -> LearnerTask:
        return LearnerTask(partition, settings, catalogue, metrics, refresh)

    return Job(
        name="learner",
        inputs=(IMPRESSIONS, REWARDS),
        changelog=LEARNER_CHANGELOG,
        outputs=(SNAPSHOTS, DEAD_LETTERS),
        tables={CATALOGUE: catalogue.apply},
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
    """

    def __init__(
        self,
        partition: int,
        settings: Settings,
        catalogue: CatalogueView,
        metrics: WorkerMetrics,
        refresh: Callable[[], object],
    ) -> None:
        self._partition = partition
        self._worker = settings.worker_name
        self._configured = settings.features
        self._catalogue = catalogue
        self._catalogue_version = -1
        self._metrics = metrics
        self._refresh = refresh
        self._recent = RecentIds(round(settings.duplicate_seconds * 1000))
        self._book = TitleBook(self._columns(), LearningRules.of(settings))
        self._changed: dict[str, None] = {}  # titles whose state is not in the changelog, in order of change
        self._unpublished: dict[str, None] = {}
        self._dead: list[Output] = []
        self._uncounted: dict[str, float] = {}  # by policy: reward learned that its metric does not show yet

    def _columns(self, known: Sequence[str] = ()) -> tuple[str, ...]:
        return default_features(self._configured or self._catalogue.themes, known)

    # --- state

    def restore(self, messages: Sequence[Message]) -> None:
        """Take back titles from the changelog."""
        for message in messages:
            if message.value is not None:
                self._book.restore(message.value)

    def remember(self, topic: Topic, messages: Sequence[Message]) -> None:
        """See impressions again that were learned in the last minute."""
        if topic is not IMPRESSIONS:
            return
        for message in messages:
            try:
                record = _read(Impression, message)
            except DecodeError:
                continue
            if self._book.knows(record.title_id, record.artwork_id):
                self._recent.is_new(record.impression_id, record.shown_ms, message.offset)

    def reread(self) -> dict[str, int]:
        """The first impression that is still remembered."""
        oldest = self._recent.oldest_offset
        return {} if oldest is None else {IMPRESSIONS.name: oldest}

    def checkpoint(self) -> Iterable[Output]:
        """Changed titles, and dead letters."""
        outputs = [
            Output(
                LEARNER_CHANGELOG,
                title_id.encode(),
                encode_fields(self._book.store(title_id)),
                self._partition,
            )
            for title_id in self._changed
        ]
        outputs += self._dead
        self._changed.clear()
        self._dead.clear()
        return outputs

    # --- learning

    def handle(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Learn a batch; what cannot be learned becomes a dead letter, and its neighbours are learned."""
        self._follow_catalogue()
        if topic is IMPRESSIONS:
            records = self._decoded(Impression, messages)
            fresh = [
                record
                for record, message in records
                if self._recent.is_new(record.impression_id, record.shown_ms, message.offset)
            ]
            self._metrics.duplicates.inc(len(records) - len(fresh))
            self._metrics.unknown_features.inc(self._book.learn_impressions(fresh))
            for policy, count in Counter(record.policy for record in fresh).items():
                self._metrics.impressions.labels(policy).inc(count)
            self._mark(record.title_id for record in fresh)
        else:
            rewards = [record for record, _ in self._decoded(RewardChange, messages)]
            self._book.learn_rewards(rewards)
            self._count_rewards(rewards)
            self._mark(record.title_id for record in rewards)

    def _count_rewards(self, rewards: Sequence[RewardChange]) -> None:
        """By policy. A counter cannot fall: what is taken back is held against what is credited next."""
        for record in rewards:
            self._uncounted[record.policy] = self._uncounted.get(record.policy, 0.0) + record.credit
        for policy, credit in self._uncounted.items():
            if credit > 0:
                self._metrics.rewards.labels(policy).inc(credit)
                self._uncounted[policy] = 0.0

    def _decoded(self, kind: type[R], messages: Sequence[Message]) -> list[tuple[R, Message]]:
        """The records of a batch that can be learned."""
        records: list[tuple[R, Message]] = []
        refreshed = False
        for message in messages:
            try:
                record = _read(kind, message)
                if not self._is_known(record.title_id, record.artwork_id):
                    if not refreshed:
                        self._refresh()
                        self._follow_catalogue()
                        refreshed = True
                    self._check_known(record.title_id, record.artwork_id)
            except DecodeError as error:
                self._dead.append(dead_letter(message, error, self._worker))
                self._metrics.dead_letters.labels(error.code).inc()
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
        self._unpublished |= named

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
        for title_id in changed:
            if catalogue.partition_of.get(title_id) == self._partition:
                self._unpublished[title_id] = None

    # --- publishing

    def publish(self, now_ms: int, deadline: float) -> Iterable[Output]:
        """Snapshots of changed titles, oldest change first, until the deadline; tombstones of withdrawn ones."""
        self._follow_catalogue()
        for title_id in list(self._unpublished):
            if time.monotonic() > deadline:
                return
            del self._unpublished[title_id]
            title = self._catalogue.get(title_id)
            value = None
            if title is not None:
                try:
                    value = encode_fields(self._book.snapshot(title, now_ms))
                except Unsound as reason:
                    self._metrics.publish_refused.inc()
                    log.warning("snapshot refused", title=title_id, reason=str(reason))
                    continue
            yield Output(SNAPSHOTS, title_id.encode(), value, self._partition)

    def mark_unpublished(self, key: bytes) -> None:
        """Publish this title again, if it is one of ours."""
        title_id = key.decode(errors="replace")
        if title_id in self._book.titles or self._catalogue.partition_of.get(title_id) == self._partition:
            self._unpublished[title_id] = None


def _read(kind: type[R], message: Message) -> R:
    """A record whose key agrees with it."""
    record = decode(kind, message.value)
    if decode_key(message.key) != record.title_id:
        raise DecodeError("wrong_key", "the record's key is not its title_id")
    return record
