"""Intervals, sums by groups of members, and the jackknife of few groups.

The rows of a member are not independent: the same person, the same draws for a week. To keep sums for every member
would take memory without bound, so members are dealt by a hash into 4,096 groups. A group is a set of members
chosen without looking, so groups are independent and alike just as members are, and where there are fewer members
than groups nearly every member is a group of their own (Chamandy et al. 2012, "Estimating uncertainty for massive
data streams", do the same with fewer groups). :mod:`stream.evaluation.resamples` draws them anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

GROUPS = 4096
LEVEL = 0.95
#: Where sums are many (by title, by artwork) there are fewer groups, and Student's t instead of the bootstrap.
FEW = 20


class Interval(NamedTuple):
    """An estimate, and where the truth lies with 95 % confidence; NaN where nothing can be said."""

    value: float
    low: float
    high: float

    @classmethod
    def nothing(cls) -> Interval:
        """There is nothing to go by."""
        return cls(np.nan, np.nan, np.nan)

    @property
    def half(self) -> float:
        """Half its width."""
        return (self.high - self.low) / 2.0

    def above(self, other: float) -> bool:
        """Whether all of it is larger."""
        return self.low > other

    def below(self, other: float) -> bool:
        """Whether all of it is smaller."""
        return self.high < other


def group_of(member: NDArray[np.uint64]) -> Ints:
    """The group of each member, by a hash of their names."""
    return (member % np.uint64(GROUPS)).astype(np.intp)


def few_of(group: Ints) -> Ints:
    """The one of the few groups that a group is part of."""
    return group % FEW


class GroupSums:
    """Sums of several columns, by group.

    Attributes
    ----------
    names
        The columns'.
    sums
        Shape (columns, groups).
    """

    def __init__(self, names: Iterable[str], groups: int = GROUPS) -> None:
        self.names = tuple(names)
        self._place = {name: i for i, name in enumerate(self.names)}
        self.sums: Floats = np.zeros((len(self.names), groups))

    def add(self, group: Ints, **columns: Floats) -> None:
        """Add rows: of each column named, shape (n,)."""
        for name, values in columns.items():
            self.sums[self._place[name]] += np.bincount(group, values, self.sums.shape[1])

    def of(self, name: str) -> Floats:
        """The sums of a column, by group."""
        found: Floats = self.sums[self._place[name]]
        return found

    def total(self, name: str) -> float:
        """The sum of a column."""
        return float(self.of(name).sum())


def jackknife(value: Floats, without: Floats) -> tuple[Floats, Floats]:
    """Where the truth lies, from estimates that leave out one group each: low and high, shape as ``value``.

    Parameters
    ----------
    value
        Estimates from all groups.
    without
        Those from all but one, along the first axis: shape (g, …). NaN where leaving a group out leaves nothing.

    The delete-a-group jackknife (Kott 2001): variance (g - 1) / g times the sum of squared differences, and
    Student's t with g - 1 degrees of freedom.
    """
    groups = len(without)
    known = np.isfinite(without)
    count = np.maximum(known.sum(axis=0), 1)
    differences = np.where(known, without - np.where(known, without, 0.0).sum(axis=0) / count, 0.0)
    variance = (groups - 1) / max(groups, 1) * (differences**2).sum(axis=0)
    half = float(stdtrit(max(groups - 1, 1), (1.0 + LEVEL) / 2.0)) * np.sqrt(variance)
    half = np.where(known.sum(axis=0) > 1, half, np.nan)
    return value - half, value + half


def ratio_by_few(above: Floats, below: Floats) -> tuple[Floats, Floats, Floats]:
    """Ratios of sums with their intervals, from sums by few groups: shapes (g, …) to (…)."""
    top, bottom = above.sum(axis=0), below.sum(axis=0)
    value = _ratio(top, bottom)
    without = _ratio(top - above, bottom - below)
    # A group without rows leaves everything as it is: it is no group, and says nothing of the spread.
    low, high = jackknife(value, without)
    return value, low, high


def _ratio(above: Floats | float, below: Floats | float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(np.asarray(below) != 0.0, np.divide(above, below), np.nan)
    return found
