"""What one partition's titles teach the catalogue, worked out again as far as something has changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stream.kafka import Output
from stream.learning.teaching import PartitionLessons, write_lessons
from stream.topics import SHARED_PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.catalogue_view import CatalogueView
    from consumers.learner.shared_prior import SharedPriorView
    from stream.learning.book import TitleBook
    from stream.learning.lessons import Taught

#: Titles worked out in one go.
_AT_ONCE = 32
#: The longest that a checkpoint works for one partition; what is left waits for the next.
_SECONDS = 0.05
#: Every title is worked out again when what the catalogue teaches has moved by so much.
_RECONSIDER = 0.05


class Teacher:
    """Keeps a partition's lessons.

    Parameters
    ----------
    partition
        Whose.
    book, catalogue
        Its titles' sums, and what their artworks show.
    shared
        What the catalogue teaches so far.
    """

    def __init__(self, partition: int, book: TitleBook, catalogue: CatalogueView, shared: SharedPriorView) -> None:
        self._key = str(partition).encode()
        self._book = book
        self._catalogue = catalogue
        self._shared = shared
        self._lessons = PartitionLessons()
        self._reconsidered: Taught | None = None  # what was taught when every title was last worked out

    def mark(self, title_ids: Iterable[str]) -> None:
        """These titles have learned."""
        self._lessons.mark(title_ids)

    def teach(self) -> list[Output]:
        """The partition's lessons; nothing while some titles have never been worked out.

        A title that waits for its turn goes on teaching what it taught before.
        """
        taught, lessons = self._shared.taught(self._book.sums.space.columns), self._lessons
        if self._reconsidered is None or taught.differs_from(self._reconsidered, _RECONSIDER):
            self._reconsidered = taught
            lessons.mark_all()
        deadline = time.monotonic() + _SECONDS
        while (some := lessons.waiting(_AT_ONCE)) and time.monotonic() < deadline:
            titles = [title for title_id in some if (title := self._catalogue.get(title_id)) is not None]
            for title_id in set(some) - {title.title_id for title in titles}:
                lessons.forget(title_id)
            lessons.refresh(self._book, titles, taught)
        return [] if lessons.missing else [Output(SHARED_PRIOR, self._key, write_lessons(lessons.total()))]
