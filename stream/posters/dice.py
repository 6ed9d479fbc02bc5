"""Numbers that are a function of a text alone: what a poster has in place of chance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

#: Numbers in [0, 1).
Dice = Sequence[float]


def dice(seed: str, count: int = 96) -> Dice:
    """Numbers in [0, 1) that are a function of the seed alone.

    >>> dice("a", 2) == dice("a", 2), dice("a", 2) == dice("b", 2)
    (True, False)
    """
    digest = hashlib.shake_256(seed.encode("utf-8", "replace")).digest(2 * count)
    return tuple(int.from_bytes(digest[i : i + 2], "big") / 65536 for i in range(0, 2 * count, 2))
