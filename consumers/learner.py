"""The learner: impressions and rewards in, one model per artwork, snapshots out."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import structlog

from consumers.shared_prior import SharedPriorView
from stream.codec import decode, decode_key, encode_fields
from stream.dead_letters import dead_letter
from stream.duplicates import RecentIds
from stream.errors import DecodeError
from stream.features import CAST_PREFIX, default_features
from stream.job import Job
from stream.kafka import Output
from stream.learning import LearningRules, TitleBook, Unsound
from stream.records import Impression, RewardChange
from stream.teaching import PartitionLessons, write_lessons
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
    from stream.prior import Taught
    from stream.records import Title
    from stream.settings import Settings
    from stream.topics import Topic

R = TypeVar("R", Impression, RewardChange)

log = structlog.get_logger("keyart")

#: Titles solved in one go: enough to be quick, few enough to keep a deadline.
_AT_ONCE = 32
#: The longest that a checkpoint works out what titles teach; what is left waits for the next.
_TEACHING_SECONDS = 0.5
#: Titles are published again when what the catalogue teaches has moved by so much,
_REPUBLISH = 0.02
#: and what they teach is worked out again at so much.
_RECONSIDER = 0.05


def learner_job(settings: Settings, catalogue: CatalogueView, metrics: WorkerMetrics) -> Job:
    """What a learner reads, keeps and writes."""
    shared = SharedPriorView() if settings.shared_prior else None

    def new_task(partition: int, refresh: Callable[[], object]) -> LearnerTask:
        return LearnerTask(partition, settings, catalogue, metrics, refresh, shared=shared)

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
    ) -> None:
        self._partition = partition
        self._shared = shared
        self._lessons = PartitionLessons()
        self._reconsidered: Taught | None = None  # what was taught when every title was last reconsidered
        self._published: Taught | None = None  # and when every title was last published
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
        self._outdated: dict[str, None] = {}  # published from what the catalogue taught before
        self._dead: list[Output] = []
        self._uncounted: dict[str, float] = {}  # by policy: reward learned that its metric does not show yet

    def _columns(self, known: Sequence[str] = ()) -> tuple[str, ...]:
        people = (CAST_PREFIX,) if self._catalogue.shows_people else ()
        return default_features((*(self._configured or self._catalogue.themes), *people), known)

    # --- state

    def restore(self, messages: Sequence[Message]) -> None:
        """Take back titles from the changelog."""
        for message in messages:
            if message.value is not None:
                self._lessons.mark([self._book.restore(message.value)])

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
        """Changed titles, what the partition's titles teach, and dead letters."""
        self._lessons.mark(self._changed)
        outputs = [
            Output(
                LEARNER_CHANGELOG,
                title_id.encode(),
                encode_fields(self._book.store(title_id)),
                self._partition,
            )
            for title_id in self._changed
        ]
        outputs += self._teach()
        outputs += self._dead
        self._changed.clear()
        self._dead.clear()
        return outputs

    def _teach(self) -> list[Output]:
        """What the partition's titles teach, as of now; nothing while some are still to be worked out."""
        if self._shared is None:
            return []
        taught = self._shared.taught(self._book.sums.space.columns)
        if self._reconsidered is None or taught.differs_from(self._reconsidered, _RECONSIDER):
            self._reconsidered = taught
            self._lessons.mark_all()
        deadline = time.monotonic() + _TEACHING_SECONDS
        lessons = self._lessons
        while lessons.stale and time.monotonic() < deadline:
            some = list(islice(lessons.stale, _AT_ONCE))
            titles = [title for title_id in some if (title := self._catalogue.get(title_id)) is not None]
            for title_id in set(some) - {title.title_id for title in titles}:
                lessons.forget(title_id)
            lessons.refresh(self._book, titles, taught)
        if lessons.stale:
            return []
        return [Output(SHARED_PRIOR, str(self._partition).encode(), write_lessons(lessons.total()))]

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
        """Snapshots of changed titles, oldest change first; then of those that the catalogue taught otherwise.

        Stops at the deadline, where more titles wait for the next time. A withdrawn title gets a tombstone.
        """
        self._follow_catalogue()
        taught = None if self._shared is None else self._shared.taught(self._book.sums.space.columns)
        if taught is not None and (self._published is None or taught.differs_from(self._published, _REPUBLISH)):
            self._published = taught
            places = self._catalogue.partition_of
            self._outdated = {t: None for t in self._catalogue.titles if places.get(t) == self._partition}
        for waiting in (self._unpublished, self._outdated):
            while waiting:
                if time.monotonic() > deadline:
                    return
                some = list(islice(waiting, _AT_ONCE))
                for title_id in some:
                    self._unpublished.pop(title_id, None)
                    self._outdated.pop(title_id, None)
                yield from self._snapshots(some, now_ms, taught)

    def _snapshots(self, title_ids: Sequence[str], now_ms: int, taught: Taught | None) -> Iterable[Output]:
        titles: list[Title] = []
        for title_id in title_ids:
            title = self._catalogue.get(title_id)
            if title is None:
                yield Output(SNAPSHOTS, title_id.encode(), None, self._partition)
            else:
                titles.append(title)
        for title, found in self._book.snapshots(titles, now_ms, taught):
            if isinstance(found, Unsound):
                self._metrics.publish_refused.inc()
                log.warning("snapshot refused", title=title.title_id, reason=str(found))
            else:
                yield Output(SNAPSHOTS, title.title_id.encode(), encode_fields(found), self._partition)

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
