"""Whether rows were written twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation.checks.finding import Finding, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]
    Hashes = NDArray[np.uint64]

#: Hashes that are kept; where there are more, those of half of all things are, then of a quarter …
_MOST = 1 << 20
#: Repeats that nobody need care about: of ids, of rows under another id, and of what was recognised at once (an
#: app that is unsure whether an event arrived sends it again).
_IDS, _ROWS, _AT_ONCE = 0.001, 0.005, 0.03


class DistinctSample:
    """How many of many things are different, from a sample of them in bounded memory.

    Whether a thing belongs to the sample is a matter of its hash, so all repeats of it do or none.

    >>> sample = DistinctSample()
    >>> sample.add(np.array([7, 8, 7, 9], dtype=np.uint64))
    >>> sample.repeated
    0.25
    """

    def __init__(self) -> None:
        self._kept: list[Hashes] = []
        self._count = self._level = 0

    def add(self, hashes: Hashes) -> None:
        """Take in some."""
        self._kept.append(self._of_sample(hashes))
        self._count += len(self._kept[-1])
        while self._count > _MOST:
            self._level += 1
            self._kept = [self._of_sample(np.concatenate(self._kept))]
            self._count = len(self._kept[0])

    def _of_sample(self, hashes: Hashes) -> Hashes:
        mask = np.uint64((1 << self._level) - 1)
        kept: Hashes = hashes[(hashes >> np.uint64(20)) & mask == 0]
        return kept

    @property
    def repeated(self) -> float:
        """The share of those added that came before."""
        if not self._count:
            return 0.0
        return 1.0 - len(np.unique(np.concatenate(self._kept))) / self._count


class Repeats:
    """Looks for impressions that occur twice, under one id or under two.

    Parameters
    ----------
    roster
        Of the log.
    left_out
        The share of impressions that were recognised as repeated while reading, and left out.
    """

    def __init__(self, roster: Roster, left_out: float = 0.0) -> None:
        self.unchecked: dict[str, str] = {}
        self._starts = roster.starts
        self._left_out = left_out
        self._ids, self._rows = DistinctSample(), DistinctSample()

    def see(self, batch: Batch, expected: Floats) -> None:
        """Remember."""
        self._ids.add(mixed(batch.identity.view(np.uint64)))
        artwork = (self._starts[batch.offer] + batch.place).astype(np.uint64)
        self._rows.add(mixed(mixed(mixed(artwork) ^ batch.shown_ms.astype(np.uint64)) ^ batch.member))

    def findings(self) -> Iterator[Finding]:
        """Too many of either kind."""
        if self._ids.repeated > _IDS:
            yield Finding(
                "duplicates",
                True,
                f"{share(self._ids.repeated)} of the impressions have an id that another one had before: "
                "rows were "
                "written twice, and count twice",
            )
        elif self._rows.repeated > _ROWS:
            yield Finding(
                "duplicates",
                True,
                f"{share(self._rows.repeated)} of the impressions are the same as another under a new id (member, "
                "title, artwork and time): rows were written twice, and count twice",
            )
        elif self._left_out > _AT_ONCE:
            yield Finding(
                "duplicates",
                False,
                f"{share(self._left_out)} of the impressions came a second time soon after; they were left "
                "out, but "
                "something sends too much",
            )


def mixed(values: Hashes) -> Hashes:
    """Numbers whose neighbours end up far apart (SplitMix64's output function)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
