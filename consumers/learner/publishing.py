"""Which titles to publish when, and their snapshots."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from stream.codec import encode_fields
from stream.kafka import Output
from stream.publication import Publication
from stream.soundness import Unsound
from stream.topics import SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from consumers.catalogue_view import CatalogueView
    from consumers.learner.shared_prior import SharedPriorView
    from stream.learning import TitleBook
    from stream.lessons import Taught
    from stream.metrics import WorkerMetrics
    from stream.records import Title

log = structlog.get_logger("keyart")

#: Titles solved in one go: enough to be quick, few enough to keep a deadline.
_AT_ONCE = 32
#: Every title is published again when what the catalogue teaches has moved by so much.
_REPUBLISH = 0.02


class Publisher:
    """Publishes a partition's titles.

    Parameters
    ----------
    partition
        Whose.
    book, catalogue
        Its titles' sums, and what artworks there are.
    shared
        What the catalogue teaches; None: every artwork learns by itself.
    """

    def __init__(
        self,
        partition: int,
        book: TitleBook,
        catalogue: CatalogueView,
        metrics: WorkerMetrics,
        *,
        shared: SharedPriorView | None,
    ) -> None:
        self._partition = partition
        self._book = book
        self._publication = Publication(book)
        self._catalogue = catalogue
        self._metrics = metrics
        self._shared = shared
        # Titles that are not as they were published, in order of change, and when that was.
        self._changed: dict[str, float] = {}
        self._outdated: dict[str, None] = {}  # titles published from what the catalogue taught before
        self._taught: Taught | None = None  # what it taught when every title was last published

    def mark(self, title_ids: Iterable[str]) -> None:
        """Publish these titles."""
        now = time.monotonic()
        for title_id in title_ids:
            self._changed.setdefault(title_id, now)

    def mark_lost(self, title_id: str) -> None:
        """Publish a title again, if it is one of this partition's."""
        if title_id in self._book.titles or self._catalogue.partition_of.get(title_id) == self._partition:
            self.mark([title_id])

    def publish(self, now_ms: int, deadline: float) -> Iterable[Output]:
        """Snapshots of changed titles, oldest change first; then of those that the catalogue taught otherwise.

        Stops at the monotonic deadline, where more titles wait for the next time. A withdrawn title gets a
        tombstone.
        """
        taught = None if self._shared is None else self._shared.taught(self._book.sums.space.columns)
        if taught is not None and (self._taught is None or taught.differs_from(self._taught, _REPUBLISH)):
            self._taught = taught
            places = self._catalogue.partition_of
            ours = (title_id for title_id in self._catalogue.titles if places.get(title_id) == self._partition)
            self._outdated = dict.fromkeys(ours)
        for waiting in (self._changed, self._outdated):
            while waiting:
                if time.monotonic() > deadline:
                    return
                some = list(islice(waiting, _AT_ONCE))
                since = {title_id: self._changed.pop(title_id, None) for title_id in some}
                for title_id in some:
                    self._outdated.pop(title_id, None)
                yield from self._snapshots(since, now_ms, taught)

    def _snapshots(
        self, since: Mapping[str, float | None], now_ms: int, taught: Taught | None
    ) -> Iterable[Output]:
        """Of each title; ``since`` says when it changed, None if it did not."""
        titles: list[Title] = []
        for title_id in since:
            title = self._catalogue.get(title_id)
            if title is None:
                yield Output(SNAPSHOTS, title_id.encode(), None, self._partition)
            else:
                titles.append(title)
        for title, found in self._publication.snapshots(titles, now_ms, taught):
            if isinstance(found, Unsound):
                self._metrics.publish_refused.inc()
                log.warning("snapshot refused", title=title.title_id, partition=self._partition, reason=str(found))
            else:
                value, changed_at = encode_fields(found), since[title.title_id]
                self._metrics.snapshot_bytes.observe(len(value))
                if changed_at is not None:
                    self._metrics.publish_delay_seconds.observe(time.monotonic() - changed_at)
                yield Output(SNAPSHOTS, title.title_id.encode(), value, self._partition)
