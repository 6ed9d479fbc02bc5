"""How often a member was shown a title within the hour, in bounded memory and without anybody's name.

A count-min sketch (Cormode & Muthukrishnan 2005, "An improved data stream summary: the count-min sketch and its
applications", J. Algorithms 55) is a few rows of counters. A name is hashed to one counter of each row, and the
smallest of them says how often it came: never too little, and too much only where other names meet it in *every*
row. Only the smallest are raised ("conservative update", Estan & Varghese 2002), none beyond what is asked for.

River's ``sketch.Counter`` is the same without these two. It hashes with Python's ``hash``, which for text is
another one in every process, and is slower; a learner asks for every impression.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from struct import Struct

_HOUR_MS = 3_600_000
_ROWS = 4
_FULL = 255  # a counter is a byte
_PLACES = Struct(f"<{_ROWS}I").unpack


class CountMinSketch:
    """Counts names, up to 255 each.

    Parameters
    ----------
    width
        Counters in each of the 4 rows, a power of two; one is a byte.
    key
        Up to 64 bytes that the hash begins with: who does not know them cannot make names that meet another's.

    Examples
    --------
    >>> sketch = CountMinSketch(1 << 10, b"a secret")
    >>> [sketch.add(name, most=2) for name in ("a", "b", "a", "a", "a")]
    [True, True, True, False, False]
    """

    def __init__(self, width: int, key: bytes) -> None:
        if width < 1 or width & (width - 1):
            raise ValueError(f"a width of {width} is no power of two")
        self._width = width
        self._mask = width - 1
        self._key = key
        self._cells = bytearray(_ROWS * width)
        self._added = 0
        self._step = max(width >> 6, 1)
        #: By how much a counter may be too large: other names have raised one in ten by more.
        self.noise = 0

    def add(self, name: str, most: int) -> bool:
        """Count a name, unless it has come ``most`` times already; says whether it was counted.

        The fuller the sketch, the more often than that a name may come, see :attr:`noise`: it errs on the side of
        counting. What came too often is not counted on, so whoever comes too often does not fill it.
        """
        limit = most + self.noise
        if limit > _FULL:
            return True
        cells, mask, width = self._cells, self._mask, self._width
        a, b, c, d = _PLACES(blake2b(name.encode(), digest_size=4 * _ROWS, key=self._key).digest())
        a, b, c, d = a & mask, width + (b & mask), 2 * width + (c & mask), 3 * width + (d & mask)
        least = min(cells[a], cells[b], cells[c], cells[d])
        if least >= limit:
            return False
        for place in (a, b, c, d):
            if cells[place] == least:
                cells[place] = least + 1
        self._added += 1
        if self._added % self._step == 0:
            self._work_out_noise()
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
    are no way around it. The answer depends on the impressions before it alone, not on batches.

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

    Examples
    --------
    >>> limit = HourlyLimit(2, b"a secret")
    >>> [limit.allows("ann", "film", minutes * 60_000) for minutes in (1, 20, 40, 61, 2)]
    [True, True, False, True, False]
    """

    def __init__(self, most: int, key: bytes, width: int = 1 << 19) -> None:
        self._most = most
        self._key = key
        self._width = width
        self._hour = -2
        self._before = self._latest = CountMinSketch(1, key)

    def allows(self, member_id: str, title_id: str, shown_ms: int) -> bool:
        """Count an impression, if there may be one more; says whether there was."""
        if not self._most:
            return True
        hour = shown_ms // _HOUR_MS
        if hour > self._hour:
            fresh = CountMinSketch(self._width, self._key)
            self._before = self._latest if hour == self._hour + 1 else CountMinSketch(self._width, self._key)
            self._latest, self._hour = fresh, hour
        sketch = self._latest if hour == self._hour else self._before
        return sketch.add(f"{member_id}\0{title_id}", self._most)
