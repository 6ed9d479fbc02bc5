"""What each policy has earned, as exact sums: impressions, plays and reward by title, policy and group of members.

Members are split among policies, and each of them comes back again and again, so that impressions of one policy
are not independent of each other. Members are therefore dealt into :data:`GROUPS` groups by a hash. Groups share
no member, so how far they lie apart says what the sums of a policy are worth, see :mod:`stream.worth.live`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.records import Impression, RewardChange
    from stream.settings import Settings

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

#: Groups that members are dealt into: enough to tell how far they lie apart, few enough to keep for every title.
GROUPS: Final = 16
#: Whose impressions are summed apart: of the app's own choices those that Keyart agreed with, and the others.
ROWS: Final = ("personal", "popular", "explore", "agreed", "disagreed")
#: What is summed.
SUMS: Final = ("impressions", "plays", "reward")

_SHAPE = len(ROWS), GROUPS, len(SUMS)
_CELLS = len(ROWS) * GROUPS * len(SUMS)
_ROW = {"personal": 0, "popular": 1, "explore": 2, "app": 4}
_APP, _AGREED = 4, 3
_MIXER, _MASK = 0x9E3779B1, 0xFFFFFFFF  # a checksum of similar names has similar bits: spread them (Knuth)
_IMPRESSIONS, _PLAYS, _REWARD = range(len(SUMS))


def group_of(name: str) -> int:
    """The group of a member: a few bits of a hash, which nobody can be told by.

    >>> [group_of(f"member-{i}") for i in range(8)]
    [12, 13, 15, 4, 0, 5, 15, 6]
    """
    return (crc32(name.encode()) * _MIXER & _MASK) >> 28


def shares(settings: Settings) -> dict[str, float]:
    """The share of members that each policy should have."""
    rest = 1.0 - settings.app_share
    return {
        "personal": rest * (1.0 - settings.explore_share - settings.popular_share),
        "popular": rest * settings.popular_share,
        "explore": rest * settings.explore_share,
        "app": settings.app_share,
    }


def no_sums() -> Floats:
    """Room for one title: zeros of shape (policies, groups, sums), in the order of the constants above."""
    return np.zeros(_SHAPE)


class PolicySums:
    """The sums of all titles of a partition, in one array: a batch of records becomes a few NumPy calls.

    Attributes
    ----------
    sums
        Shape (titles, policies, groups, sums).
    """

    def __init__(self) -> None:
        self.sums: Floats = np.zeros((0, *_SHAPE))
        self._count = 0
        self._place_of_slot: Places = np.zeros(0, dtype=np.intp)

    def new_place(self) -> int:
        """Room for one more title, all zeros."""
        place = self._count
        if place == len(self.sums):
            grown = np.zeros((max(2 * place, 16), *_SHAPE))
            grown[:place] = self.sums
            self.sums = grown
        self._count += 1
        return place

    def put_slot(self, slot: int, place: int) -> None:
        """Say whose artwork a slot of :class:`~stream.learning.sums.ArtworkSums` is."""
        if slot >= len(self._place_of_slot):
            grown = np.zeros(max(2 * slot, 16), dtype=np.intp)
            grown[: len(self._place_of_slot)] = self._place_of_slot
            self._place_of_slot = grown
        self._place_of_slot[slot] = place

    def places(self, slots: Places) -> Places:
        """Whose artworks these are, shape (n,)."""
        return self._place_of_slot[slots]

    def learn_impressions(self, slots: Places, impressions: Sequence[Impression]) -> None:
        """Count n impressions of the artworks at these slots, shape (n,)."""
        groups = _groups_of([record.member_id for record in impressions])
        np.add.at(self.sums.reshape(-1), self._cells(slots, impressions, groups) + _IMPRESSIONS, 1.0)

    def learn_rewards(
        self, slots: Places, rewards: Sequence[RewardChange], credits_: Floats, totals: Floats
    ) -> None:
        """Credit n impressions of the artworks at these slots.

        Parameters
        ----------
        slots, credits_, totals
            As in :meth:`stream.learning.sums.ArtworkSums.learn_rewards`, shapes (n,).
        rewards
            The n records. One without a group (an older viewing worker wrote it) goes to any.
        """
        groups = [group_of(record.impression_id) if record.group is None else record.group for record in rewards]
        cells, flat = self._cells(slots, rewards, np.array(groups, dtype=np.intp)), self.sums.reshape(-1)
        np.add.at(flat, cells + _PLAYS, plays_of(credits_, totals))
        np.add.at(flat, cells + _REWARD, credits_)

    def _cells(
        self, slots: Places, records: Sequence[Impression] | Sequence[RewardChange], groups: Places
    ) -> Places:
        """Where the first sum of each record's title, policy and group is, shape (n,)."""
        named = map(_ROW.__getitem__, [record.policy for record in records])
        rows = np.fromiter(named, dtype=np.intp, count=len(records))
        for i in np.flatnonzero(rows == _APP).tolist():
            if records[i].advised == records[i].artwork_id:
                rows[i] = _AGREED
        cells: Places = self._place_of_slot[slots] * _CELLS + (rows * GROUPS + groups) * len(SUMS)
        return cells

    def fields(self, place: int) -> dict[str, Floats]:
        """One title's sums by policy, each of shape (groups, sums), as records hold them; none that are 0."""
        return {name: rows for name, rows in zip(ROWS, self.sums[place], strict=True) if rows.any()}

    def put(self, place: int, fields: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Put a title's sums in the place of those it has."""
        self.sums[place] = sums_of(fields)


def plays_of(credits_: Floats, totals: Floats) -> Floats:
    """The change of the number of plays: a first credit is one, and one taken back entirely is none."""
    first = (credits_ > 0) & (credits_ == totals)
    withdrawn = (credits_ < 0) & (totals == 0)
    change: Floats = first.astype(np.float64) - withdrawn
    return change


def sums_of(fields: Mapping[str, Sequence[Sequence[float]]]) -> Floats:
    """From a record's field back to an array, see :func:`no_sums`.

    What another version of Keyart sums that this one does not know is left out.

    Raises
    ------
    ValueError
        They are not numbers, or not of as many groups.
    """
    found = no_sums()
    for row, name in enumerate(ROWS):
        if name in fields:
            given = np.asarray(fields[name], dtype=np.float64)
            if given.shape != found[row].shape or not np.isfinite(given).all():
                raise ValueError(f"the sums of policy {name!r} are not {GROUPS} times {len(SUMS)} numbers")
            found[row] = given
    return found


def _groups_of(names: Sequence[str]) -> Places:
    """:func:`group_of` of many."""
    encoded = "\0".join(names).encode().split(b"\0")  # no id has such a character in it
    hashes = np.fromiter(map(crc32, encoded), dtype=np.uint64, count=len(names))
    found: Places = ((hashes * np.uint64(_MIXER) & np.uint64(_MASK)) >> np.uint64(28)).astype(np.intp)
    return found
