"""Whether those who were shown artwork are people, and were dealt to the policies as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from scipy.special import chdtrc

from stream.evaluation.checks.finding import Finding, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch, Logged
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]

_DAY_MS = 86_400_000
_MEMBERS = 1 << 18
#: Nobody looks so much more than the median member, and so often.
_TIMES, _LEAST, _A_DAY = 50, 100, 100
#: Nobody begins so many titles a day, where no setting says.
FLOOD = 50
#: Bots do no harm as long as they are so few of the rows.
_HARMLESS = 0.002
_SPLIT_BITS = 20
#: As rare as that is no chance; and nobody need care about a share that is off by less.
_CHANCE, _OFF = 1e-4, 0.02


class Bots:
    """Looks for members who see or play more than people do."""

    def __init__(self, roster: Roster, flood_plays: int = FLOOD) -> None:
        self.unchecked: dict[str, str] = {}
        self._days = max((roster.last - roster.first) / _DAY_MS, 1.0)
        self._flood = flood_plays or FLOOD
        self._rows: NDArray[np.int64] = np.zeros(_MEMBERS, dtype=np.int64)
        self._plays: NDArray[np.int64] = np.zeros(_MEMBERS, dtype=np.int64)

    def see(self, batch: Batch, expected: Floats) -> None:
        """Count by member."""
        place = (batch.member % np.uint64(_MEMBERS)).astype(np.intp)
        self._rows += np.bincount(place, minlength=_MEMBERS)
        self._plays += np.bincount(place[batch.reward > 0], minlength=_MEMBERS)

    def findings(self) -> Iterator[Finding]:
        """Members who stand out."""
        there = self._rows > 0
        if not there.any():
            return
        median = float(np.median(self._rows[there]))
        looks = self._rows > max(_TIMES * median, _LEAST, _A_DAY * self._days)
        plays = self._plays > self._flood * self._days
        bots = looks | plays
        rows, rewards = int(self._rows.sum()), int(self._plays.sum())
        of_rows, of_rewards = self._rows[bots].sum() / rows, self._plays[bots].sum() / max(rewards, 1)
        if max(of_rows, of_rewards) <= _HARMLESS:
            return
        yield Finding(
            "bots",
            True,
            f"{int(bots.sum()):,} members look or play more than people do (the median member was shown "
            f"{median:g} "
            f"artworks, the busiest {int(self._rows.max()):,}), with {share(float(of_rows))} of the "
            "impressions and "
            f"{share(float(of_rewards))} of the plays: they decide what is estimated",
        )


class Split:
    """Counts the members of each policy, before any rows are left out."""

    def __init__(self) -> None:
        self._there: dict[str, bytearray] = {}

    def see(self, impression: Logged) -> None:
        """Note whose it is."""
        there = self._there.get(impression.policy)
        if there is None:
            there = self._there[impression.policy] = bytearray(1 << _SPLIT_BITS)
        there[crc32(impression.member_id.encode()) >> (32 - _SPLIT_BITS)] = 1

    @property
    def members(self) -> dict[str, float]:
        """About how many each policy has: linear counting (Whang, Vander-Zanden & Taylor 1990)."""
        size = 1 << _SPLIT_BITS
        return {
            policy: -size * float(np.log1p(-min(sum(there), size - 1) / size))
            for policy, there in sorted(self._there.items())
        }


class SampleRatio:
    """Whether members were dealt to the policies in the shares that the settings name: Pearson's chi-squared."""

    def __init__(self, split: Split | None, shares: Mapping[str, float] | None) -> None:
        self.unchecked: dict[str, str] = {}
        self._split = split
        self._shares = shares

    def see(self, batch: Batch, expected: Floats) -> None:
        """Members were counted before."""

    def findings(self) -> Iterator[Finding]:
        """A split that is not as it should be."""
        members = {} if self._split is None else self._split.members
        shares = {} if self._shares is None else {name: part for name, part in self._shares.items() if part > 0}
        if len(members) < 2 or not shares:
            self.unchecked["sample-ratio"] = "the log has one policy, so there is no split"
            return
        strangers = sorted(set(members) - set(shares))
        total = sum(members.values())
        if strangers:
            part = sum(members[name] for name in strangers) / total
            yield Finding(
                "sample-ratio",
                True,
                f"{share(part)} of the members have policy {', '.join(map(repr, strangers))}, which by the "
                "settings "
                "nobody has: was the split another then? (explore_share, popular_share)",
            )
            return
        expected = {name: part * total / sum(shares.values()) for name, part in shares.items()}
        if min(expected.values()) < 5:
            self.unchecked["sample-ratio"] = f"{total:.0f} members are too few to judge the split"
            return
        squares = sum((members.get(name, 0.0) - wanted) ** 2 / wanted for name, wanted in expected.items())
        worst = max(expected, key=lambda name: abs(members.get(name, 0.0) / expected[name] - 1.0))
        off = members.get(worst, 0.0) / expected[worst] - 1.0
        if chdtrc(len(expected) - 1, squares) < _CHANCE and abs(off) > _OFF:
            yield Finding(
                "sample-ratio",
                True,
                f"sample-ratio mismatch: {members.get(worst, 0.0):.0f} members have policy {worst!r}, by "
                "the settings "
                f"it should be {expected[worst]:.0f}; policies were not shown to the same kind of people",
            )
