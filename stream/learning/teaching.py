"""What one partition's titles teach the catalogue, kept up to date title by title, and how it is written down."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from stream.codec import encode_fields
from stream.errors import StateMismatch
from stream.learning.gathering import gather
from stream.learning.lessons import STRENGTHS, Lessons
from stream.learning.posterior import pack, unpack_symmetric
from stream.learning.prior import lessons_on_strength, lessons_on_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from stream.learning.book import TitleBook
    from stream.learning.lessons import Taught
    from stream.records import Title

    Floats = NDArray[np.float64]

FORMAT = 1


class _OfTitle(NamedTuple):
    context: Floats
    reward: float
    precision: Floats
    moment: Floats
    evidence: Floats


class PartitionLessons:
    """What each title teaches; computed again only where something has changed since.

    Attributes
    ----------
    missing
        Titles that were never computed: without them the total is not the partition's.
    stale
        Titles that have learned since they were.
    """

    def __init__(self) -> None:
        self._found: dict[str, _OfTitle] = {}
        self._features: tuple[str, ...] = ()
        self.missing: dict[str, None] = {}
        self.stale: dict[str, None] = {}

    def mark(self, title_ids: Iterable[str]) -> None:
        """What these titles teach has to be computed again."""
        for title_id in title_ids:
            (self.stale if title_id in self._found else self.missing)[title_id] = None

    def mark_all(self) -> None:
        """Likewise for every title."""
        self.mark(self._found)

    def waiting(self, count: int) -> list[str]:
        """So many of the titles to be computed: those that are missing first, then those that wait longest."""
        return list(islice(chain(self.missing, self.stale), count))

    def forget(self, title_id: str) -> None:
        """A withdrawn title teaches nothing: nobody can say any more what its artworks showed."""
        for titles in (self._found, self.missing, self.stale):
            titles.pop(title_id, None)

    def refresh(self, book: TitleBook, titles: Sequence[Title], taught: Taught) -> None:
        """Compute what these titles teach.

        Parameters
        ----------
        book
            Their sums.
        titles
            Which, as the catalogue has them.
        taught
            What the catalogue teaches so far, for the book's columns: take rates start from its own, and evidence
            is about what it leaves unexplained.
        """
        if not titles:
            return
        if taught.features != self._features:
            self._features = taught.features
            self.missing |= dict.fromkeys(self._found)
            self._found.clear()
            self.stale.clear()
        sums = gather(book, titles)
        precision, moment = lessons_on_weights(sums, taught)
        evidence = lessons_on_strength(sums, taught)
        context, reward = sums.by_title(sums.gram[:, 0]), sums.by_title(sums.moment[:, 0])
        for i, title in enumerate(titles):
            self.missing.pop(title.title_id, None)
            self.stale.pop(title.title_id, None)
            self._found[title.title_id] = _OfTitle(
                context[i], float(reward[i]), precision[i], moment[i], evidence[i]
            )

    def total(self) -> Lessons:
        """What all of them teach together."""
        found, none = list(self._found.values()), Lessons.none(self._features)
        return Lessons(
            self._features,
            sum((one.context for one in found), none.context),
            sum((one.reward for one in found), 0.0),
            sum((one.precision for one in found), none.precision),
            sum((one.moment for one in found), none.moment),
            sum((one.evidence for one in found), none.evidence),
        )


class StoredLessons(Struct):
    """Lessons on their topic: the precision packed (lower triangle, row by row). Private to learners."""

    format: int
    features: tuple[str, ...]
    context: list[float]
    reward: float
    precision: list[float]
    moment: list[float]
    strengths: list[float]
    evidence: list[float]


def write_lessons(lessons: Lessons) -> bytes:
    """As a record's value."""
    return encode_fields(
        {
            "format": FORMAT,
            "features": lessons.features,
            "context": lessons.context,
            "reward": lessons.reward,
            "precision": pack(lessons.precision),
            "moment": lessons.moment,
            "strengths": STRENGTHS,
            "evidence": lessons.evidence,
        }
    )


def read_lessons(value: bytes) -> Lessons:
    """From a record's value.

    Raises
    ------
    StateMismatch
        Another version of Keyart wrote it, or it is damaged.
    """
    try:
        stored = msgspec.json.decode(value, type=StoredLessons)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateMismatch(f"a record of the shared prior cannot be read: {error}") from error
    if stored.format != FORMAT or stored.strengths != STRENGTHS.tolist():
        raise StateMismatch(
            f"the shared prior holds format {stored.format} of another version of Keyart; this one reads {FORMAT}"
        )
    d = len(stored.features)
    found = tuple(map(len, (stored.context, stored.precision, stored.moment, stored.evidence)))
    if found != (d, d * (d + 1) // 2, d, len(STRENGTHS)):
        raise StateMismatch("a record of the shared prior has sums of the wrong size")
    return Lessons(
        stored.features,
        np.array(stored.context),
        stored.reward,
        unpack_symmetric(np.array(stored.precision), d),
        np.array(stored.moment),
        np.array(stored.evidence),
    )
