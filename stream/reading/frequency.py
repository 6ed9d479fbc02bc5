"""How often a member was shown a title within the hour, in bounded memory and without anybody's name.

A count-min sketch (Cormode & Muthukrishnan 2005, "An improved data stream summary: the count-min sketch and its
applications", J. Algorithms 55) is a few rows of counters. A name is hashed to one counter of each row, and the
smallest of them says how often it came: never too little, and too much only where other names meet it in *every*
row. Only the smallest are raised ("conservative update", Estan & Varghese 2002), none beyond what is asked for.

River's ``sketch.Counter`` is the same without these two, one name at a time; a learner asks for every impression.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Cells = NDArray[np.int64]
    Answers = NDArray[np.bool_]

_HOUR_MS = 3_600_000
_ROWS = 4
_FULL = 255  # a counter is a byte
_LARGEST_WIDTH = 1 << 32
_MOST_AT_ONCE = (1 << 16) // _ROWS  # so many names have counters that two bytes can number


def _mixed(hashes: Hashes) -> Hashes:
    """Each bit of the result depends on every bit given: the finaliser of SplitMix64 (Steele et al. 2014)."""
    x = hashes ^ (hashes >> np.uint64(30))
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


class CountMinSketch:
    """Counts names by their hashes, up to 255 each.

    Parameters
    ----------
    width
        Counters in each of the 4 rows, a power of two; one is a byte.
    key
        16 bytes mixed into every hash: who does not know them cannot make names that meet another's.

    Examples
    --------
    >>> sketch = CountMinSketch(1 << 10, b"sixteen letters.")
    >>> sketch.add(np.array([7, 8, 7, 7, 7], dtype=np.uint64), most=2).tolist()
    [True, True, True, False, False]
    """

    def __init__(self, width: int, key: bytes) -> None:
        if not 1 <= width <= _LARGEST_WIDTH or width & (width - 1):
            raise ValueError(f"a width of {width} is no power of two up to {_LARGEST_WIDTH}")
        self._width = width
        self._keys = np.frombuffer(key, dtype="<u8", count=2).astype(np.uint64)
        self._cells = np.zeros(_ROWS * width, dtype=np.uint8)
        self._one_by_one = self._cells.data
        self._added = 0
        self._step = max(width >> 6, 1)
        #: By how much a counter may be too large: other names have raised one in ten by more.
        self.noise = 0

    def add(self, hashes: Hashes, most: int) -> Answers:
        """Count names, each unless it has come ``most`` times already; says which were counted, shape (n,).

        The fuller the sketch, the more often than that a name may come, see :attr:`noise`: it errs on the side of
        counting. What came too often is not counted on, so whoever comes too often does not fill it. The answers
        are those for the names one after the other.
        """
        cells = self._places(hashes)
        counted = np.empty(len(hashes), dtype=np.bool_)
        start = 0
        while start < len(hashes):
            # The noise is worked out anew after so many have been counted: not within one part.
            part = slice(start, start + min(self._step - self._added % self._step, _MOST_AT_ONCE))
            counted[part] = self._add(cells[part], most + self.noise)
            start = part.stop
        return counted

    def _places(self, hashes: Hashes) -> Cells:
        """The counter of each name in each row, shape (n, 4)."""
        halves = np.stack([_mixed(hashes ^ key) for key in self._keys], axis=1)
        places = np.concatenate([halves & np.uint64(0xFFFFFFFF), halves >> np.uint64(32)], axis=1)
        places &= np.uint64(self._width - 1)
        return places.astype(np.int64) + np.arange(_ROWS) * self._width

    def _add(self, cells: Cells, limit: int) -> Answers:
        if limit > _FULL:
            return np.ones(len(cells), dtype=np.bool_)
        counts = self._cells[cells]
        least: NDArray[np.uint8] = reduce(np.minimum, counts.T)
        counted: Answers = least < limit
        alone = ~self._meeting(cells, counts)
        raised = (counts == least[:, None]) & (counted & alone)[:, None]
        self._cells[cells[raised]] += 1  # no cell is there twice
        together = np.flatnonzero(~alone)
        counted[together] = [self._add_one(places, limit) for places in cells[together].tolist()]
        before, self._added = self._added, self._added + int(np.count_nonzero(counted))
        if before // self._step < self._added // self._step:
            self._work_out_noise()
        return counted

    def _meeting(self, cells: Cells, counts: NDArray[np.uint8]) -> Answers:
        """Which names share a counter with another of these: what one does then matters to the next.

        Each place writes its number into its counter, one byte after the other. Where another number is found
        afterwards, another place wrote there too. That is a fraction of the time it takes to sort them; what the
        counters held is put back.
        """
        places, held = cells.reshape(-1), self._cells
        number, shared = np.arange(places.size), np.zeros(places.size, dtype=np.bool_)
        for digit in (number.astype(np.uint8), (number >> 8).astype(np.uint8)):
            held[places] = digit
            shared |= held[places] != digit
        held[places] = 0
        held[places[shared]] = 1
        meets: Answers = reduce(np.logical_or, held[cells].T != 0)
        held[places] = counts.reshape(-1)
        return meets

    def _add_one(self, places: list[int], limit: int) -> bool:
        cells = self._one_by_one
        least = min([cells[place] for place in places])
        if least >= limit:
            return False
        for place in places:
            if cells[place] == least:
                cells[place] = least + 1
        return True

    def _work_out_noise(self) -> None:
        """From how full it is.

        The additions that meet in a counter are Poisson around their mean, and conservative update makes them
        fewer. One in ten exceeds its mean by 1.3 standard deviations or more, all four of a name one in 10,000.
        """
        mean = self._added / self._width
        self.noise = int(mean + 1.3 * math.sqrt(mean))


class HourlyLimit:
    """Lets through so many impressions of a title to a member in each hour of event time.

    An hour begins where the clock says so (UTC). What comes late counts for its own hour while that is the one
    before the latest, and for that one if it is older still; so a member's old impressions, kept and sent at once,
    are no way around it. The answers depend on the impressions before alone, not on batches.

    Nothing of it is stored: it starts from nothing after a crash or a rebalance, and a member can be counted once
    more as often within that hour.

    Parameters
    ----------
    most
        How many; 0: all.
    key
        See :class:`CountMinSketch`.
    width
        As well; two sketches of 4 bytes times this are kept. The default is good for 500,000 members and titles an
        hour; with more of them the limit is higher.
    hash_
        Of a member and a title, 64 bits. Python's own is another one in every process, unless ``PYTHONHASHSEED``
        is set.

    Examples
    --------
    >>> limit = HourlyLimit(2, b"sixteen letters.")
    >>> times = np.array([1, 20, 40, 61, 2]) * 60_000
    >>> limit.allow(["ann"] * 5, ["film"] * 5, times).tolist()
    [True, True, False, True, False]
    """

    def __init__(
        self, most: int, key: bytes, width: int = 1 << 19, *, hash_: Callable[[tuple[str, str]], int] = hash
    ) -> None:
        self._most = most
        self._key = key
        self._width = width
        self._hash = hash_
        self._hour = -2
        self._before = self._latest = CountMinSketch(1, key)

    def allow(self, members: Sequence[str], titles: Sequence[str], shown_ms: NDArray[np.int64]) -> Answers:
        """Count n impressions, each if there may be one more; says for which there was, shape (n,).

        Parameters
        ----------
        members, titles
            Who was shown what.
        shown_ms
            When, shape (n,).
        """
        n = len(members)
        allowed = np.ones(n, dtype=np.bool_)
        if not self._most or not n:
            return allowed
        named = map(self._hash, zip(members, titles, strict=True))
        hashes = np.fromiter(named, dtype=np.int64, count=n).view(np.uint64)
        hours = np.asarray(shown_ms) // _HOUR_MS
        latest = np.maximum.accumulate(np.maximum(hours, self._hour))
        for hour in np.unique(latest).tolist():
            self._turn_to(hour)
            for sketch, those in (
                (self._latest, (latest == hour) & (hours == hour)),
                (self._before, (latest == hour) & (hours < hour)),
            ):
                if those.any():
                    allowed[those] = sketch.add(hashes[those], self._most)
        return allowed

    def _turn_to(self, hour: int) -> None:
        if hour > self._hour:
            fresh = CountMinSketch(self._width, self._key)
            self._before = self._latest if hour == self._hour + 1 else CountMinSketch(self._width, self._key)
            self._latest, self._hour = fresh, hour
