"""How evenly titles' latest impressions went to their artworks: whether people still get different pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream.learning.book import TitleBook

    Floats = NDArray[np.float64]

#: About so many of a title's impressions are looked at, the latest ones most.
_LATEST = 1000.0
#: Of fewer than so many nothing is said.
_LEAST = 20.0


class Spread:
    """Follows the counts of a book's titles.

    A title's evenness is the entropy of its artworks' shares over the largest that as many artworks could have:
    0 where one artwork got every impression, 1 where each got as many.
    """

    def __init__(self) -> None:
        self._seen: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._latest: Floats = np.zeros(0)
        self._title_of: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def look(self, book: TitleBook) -> tuple[float, float]:
        """What happened since the last look.

        Returns
        -------
        The sum over titles of evenness times latest impressions, and the sum of these impressions: of several
        books both add up, and their quotient is the average.
        """
        counts = book.sums.impressions[: book.sums.count]
        if len(counts) > len(self._seen):
            self._grow(book)
        self._latest += counts - self._seen
        self._seen = counts.copy()
        title_of = self._title_of
        totals = np.bincount(title_of, self._latest)
        self._latest *= np.minimum(_LATEST / np.maximum(totals, 1.0), 1.0)[title_of]
        totals, artworks = np.bincount(title_of, self._latest), np.bincount(title_of)
        shares = self._latest / np.maximum(totals, 1.0)[title_of]
        surprise = -np.log(np.where(shares > 0, shares, 1.0)) * shares
        told = (totals >= _LEAST) & (artworks > 1)
        most = np.log(np.maximum(artworks, 2))
        evenness = np.bincount(title_of, surprise) / most
        return float((evenness * totals)[told].sum()), float(totals[told].sum())

    def _grow(self, book: TitleBook) -> None:
        more = book.sums.count - len(self._seen)
        self._seen = np.concatenate([self._seen, np.zeros(more, dtype=np.int64)])
        self._latest = np.concatenate([self._latest, np.zeros(more)])
        self._title_of = np.zeros(book.sums.count, dtype=np.intp)
        for number, state in enumerate(book.titles.values()):
            self._title_of[list(state.slots.values())] = number
