"""Which titles to publish when, and their snapshots."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import structlog

from stream.codec import encode_fields
from stream.kafka import Output
from stream.learning.publication import Publication
from stream.learning.soundness import Unsound
from stream.topics import SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from consumers.catalogue_view import CatalogueView
    from consumers.learner.shared_prior import SharedPriorView
    from stream.learning.book import TitleBook
    from stream.learning.lessons import Taught
    from stream.metrics import WorkerMetrics
    from stream.records import Title

log = structlog.get_logger("keyart")

#: Titles solved in one go: enough to be quick, few enough to keep a deadline.
_AT_ONCE = 32
#: So many of the titles that wait are put in the order of their need, where not all can be published in time.
_CONSIDERED = 2_000
#: What counts at least as changed, so that a title of which much is known does not wait for ever.
_LEAST_NEWS = 0.03
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
        self._behind = False  # time ran out when it was last asked to publish
        self._told = np.zeros((0, 2))  # by title's place: impressions and plays in its last snapshot
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

        Stops at the monotonic deadline, where more titles wait for the next time: then those come first that have
        waited long and changed much, see :meth:`_by_need`. A withdrawn title gets a tombstone.
        """
        taught = None if self._shared is None else self._shared.taught(self._book.sums.space.columns)
        if taught is not None and (self._taught is None or taught.differs_from(self._taught, _REPUBLISH)):
            self._taught = taught
            places = self._catalogue.partition_of
            ours = (title_id for title_id in self._catalogue.titles if places.get(title_id) == self._partition)
            self._outdated = dict.fromkeys(ours)
        changed = self._by_need() if self._behind else list(self._changed)
        turns = changed + [title_id for title_id in self._outdated if title_id not in self._changed]
        for start in range(0, len(turns), _AT_ONCE):
            self._behind = time.monotonic() > deadline
            if self._behind:
                return
            some = turns[start : start + _AT_ONCE]
            since = {title_id: self._changed.pop(title_id, None) for title_id in some}
            for title_id in some:
                self._outdated.pop(title_id, None)
            yield from self._snapshots(since, now_ms, taught)

    def _by_need(self) -> list[str]:
        """Changed titles by how long they have waited times the share of their evidence that no snapshot holds.

        A play more of a title that has had ten tells more than a hundred of one that has had a million. Of either
        impressions or plays the larger share counts; a title that was never published is new entirely.
        """
        some, now = list(islice(self._changed, _CONSIDERED)), time.monotonic()
        places = self._places(some)
        known, news = places >= 0, np.ones(len(some))
        told, evidence = self._room_for(places[known])[places[known]], self._evidence(places[known])
        shares = (evidence - told) / np.maximum(evidence, 1.0)
        news[known] = np.maximum(shares.max(axis=1, initial=0.0), _LEAST_NEWS)
        waited = np.array([now - self._changed[title_id] for title_id in some])
        order = np.argsort(-news * waited, kind="stable").tolist()
        return [some[i] for i in order] + list(islice(self._changed, _CONSIDERED, None))

    def _places(self, title_ids: Sequence[str]) -> NDArray[np.intp]:
        """Where the sums of titles are, -1 for those that nothing was learned of."""
        states = map(self._book.titles.get, title_ids)
        return np.array([-1 if state is None else state.place for state in states], dtype=np.intp)

    def _evidence(self, places: NDArray[np.intp]) -> NDArray[np.float64]:
        """The impressions and plays of the titles at these places, shape (n, 2)."""
        found: NDArray[np.float64] = self._book.policies.sums[places].sum(axis=(1, 2))[:, :2]
        return found

    def _room_for(self, places: NDArray[np.intp]) -> NDArray[np.float64]:
        """What was told of every title."""
        if places.max(initial=-1) >= len(self._told):
            self._told = np.concatenate([self._told, np.zeros((len(self._book.titles) - len(self._told), 2))])
        return self._told

    def _snapshots(
        self, since: Mapping[str, float | None], now_ms: int, taught: Taught | None
    ) -> Iterable[Output]:
        """Of each title; ``since`` says when it changed, None if it did not."""
        places = self._places(list(since))
        learned = places[places >= 0]
        self._room_for(learned)[learned] = self._evidence(learned)
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
