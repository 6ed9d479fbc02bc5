"""What impressions have earned, by a hash of their ids: 24 bytes for each that has earned anything."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Milliseconds = NDArray[np.int64]


class Rewards:
    """Rewards in the order in which they became known; of two of one impression the later one counts."""

    def __init__(self) -> None:
        self._keys, self._values, self._times = array("q"), array("d"), array("q")
        self._sorted: tuple[Milliseconds, Floats, Milliseconds] | None = None

    def add(self, impression_id: str, reward: float, known_ms: int) -> None:
        """The impression has earned so much in all, as was known then."""
        self._keys.append(hash(impression_id))
        self._values.append(reward)
        self._times.append(known_ms)
        self._sorted = None

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, identities: Milliseconds) -> tuple[Floats, Milliseconds]:
        """What these impressions have earned and when that was known: 0 and -1 for nothing."""
        keys, values, times = self._settled()
        if not len(keys):
            return np.zeros(len(identities)), np.full(len(identities), -1)
        at = np.minimum(np.searchsorted(keys, identities), len(keys) - 1)
        found = (keys[at] == identities) & (values[at] > 0)
        return np.where(found, np.clip(values[at], 0.0, 1.0), 0.0), np.where(found, times[at], -1)

    def _settled(self) -> tuple[Milliseconds, Floats, Milliseconds]:
        if self._sorted is None:
            keys = np.frombuffer(self._keys, dtype=np.int64) if self._keys else np.empty(0, dtype=np.int64)
            order = np.argsort(keys, kind="stable")
            last = np.append(np.diff(keys[order]) != 0, True)[: len(order)]
            kept = order[last]
            values = np.frombuffer(self._values, dtype=np.float64) if self._values else np.empty(0)
            times = np.frombuffer(self._times, dtype=np.int64) if self._times else np.empty(0, dtype=np.int64)
            self._sorted = keys[kept], values[kept].copy(), times[kept].copy()
        return self._sorted
