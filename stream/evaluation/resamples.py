"""A bootstrap of members over a log that is read once, from sums by groups of members.

Members are resampled and not rows, and groups of them stand for members (:mod:`stream.evaluation.intervals`). A
group counts as often as it was drawn, empty groups are left out, and every ratio is formed anew in each of the
2,000 resamples, so that the interval of a lift knows that both of its parts come from the same members.

What is resampled is not the estimate but by how many of its standard errors it is off, each resample by its own
(the bootstrap-t: Hall 1988, "Theoretical comparison of bootstrap confidence intervals"). Weighted rewards are
skewed: where an estimate is too low its standard error is too small as well, and the middle 95 % of what resamples
say overlooks that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stream.evaluation.intervals import LEVEL, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.intervals import GroupSums

    Floats = NDArray[np.float64]
    #: A value, and how it changes with each column's sum: numbers, or one of each resample.
    _Estimate = tuple[Any, dict[str, Any]]

RESAMPLES = 2000
#: Draws made in one go.
_AT_ONCE = 1 << 17
#: An error that is so small a part of a value is one of rounding.
_CERTAIN = 1e-9


class Resamples:
    """How often each group is drawn in each resample: the same for all columns and policies.

    Parameters
    ----------
    rows
        The rows of each group, shape (G,): groups without any are left out.
    seed
        Of the draws.
    count
        How many resamples.
    """

    def __init__(self, rows: Floats, seed: int = 0, count: int = RESAMPLES) -> None:
        self.kept = np.flatnonzero(rows > 0)
        self.groups = len(self.kept)
        rng = np.random.default_rng([seed, 11])
        self.drawn: Floats = np.zeros((count, max(self.groups, 1)))
        if self.groups:
            step = max(_AT_ONCE // self.groups, 1)
            for begin in range(0, count, step):
                part = self.drawn[begin : begin + step]
                cells = rng.integers(self.groups, size=part.shape) + self.groups * np.arange(len(part))[:, None]
                part[:] = np.bincount(cells.ravel(), minlength=part.size).reshape(part.shape)

    def of(self, *sums: GroupSums) -> Drawn:
        """What columns come to in each resample."""
        names = [name for one in sums for name in one.names]
        return Drawn(names, np.concatenate([one.sums[:, self.kept] for one in sums]), self.drawn)


class Drawn:
    """Columns, their sums in all and in each resample, and intervals of their ratios.

    Parameters
    ----------
    names
        The columns'.
    sums
        By group, shape (columns, groups).
    drawn
        How often each group was drawn, shape (resamples, groups).
    """

    def __init__(self, names: Sequence[str], sums: Floats, drawn: Floats) -> None:
        self._place = {name: i for i, name in enumerate(names)}
        self._sums = sums
        self._groups = sums.shape[1]
        self._total = sums.sum(axis=1)
        columns, count = len(names), len(drawn)
        self._again: Floats = np.zeros((columns, count))
        self._products: Floats = np.zeros((columns, columns, count))
        if self._groups:
            one, other = np.triu_indices(columns)
            self._again = sums @ drawn.T
            self._products[one, other] = self._products[other, one] = (sums[one] * sums[other]) @ drawn.T

    def ratio(self, above: str, below: str) -> Interval:
        """The ratio of two columns' sums."""
        found = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for sums in (self._total, self._again):
                top, bottom = sums[self._place[above]], sums[self._place[below]]
                found.append((top / bottom, {above: 1.0 / bottom, below: -top / bottom**2}))
        return self._interval(*found)

    def error(self, above: str, below: str) -> float:
        """The standard error of the ratio of two columns' sums, by linearisation."""
        top, bottom = (float(self._total[self._place[name]]) for name in (above, below))
        return self._error({above: 1.0 / bottom, below: -top / bottom**2})

    def lift(self, above: str, below: str, base_above: str, base_below: str) -> Interval:
        """By how much more one ratio is than another, as a share of that."""
        found = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for sums in (self._total, self._again):
                top, bottom, base_top, base_bottom = (
                    sums[self._place[name]] for name in (above, below, base_above, base_below)
                )
                each = base_bottom / (bottom * base_top)
                value = each * top
                slopes = {above: each}
                for name, slope in (
                    (below, -value / bottom),
                    (base_above, -value / base_top),
                    (base_below, value / base_bottom),
                ):
                    slopes[name] = slopes.get(name, 0.0) + slope
                found.append((value, slopes))
        return Interval(*(end - 1.0 for end in self._interval(*found)))

    def _error(self, slopes: Mapping[str, Any]) -> float:
        moved = sum(slope * self._sums[self._place[name]] for name, slope in slopes.items())
        return float(np.sqrt(self._groups / max(self._groups - 1, 1) * np.sum(np.square(moved))))

    def _interval(self, whole: _Estimate, again: _Estimate) -> Interval:
        """The bootstrap-t, from estimates and how they change with the columns' sums; NaN with too few groups."""
        value, (values, slopes) = float(whole[0]), again
        if self._groups < 2 or not np.isfinite(value):
            return Interval(value, np.nan, np.nan)
        error = self._error(whole[1])
        if error <= _CERTAIN * abs(value):
            return Interval(value, value, value)
        with np.errstate(divide="ignore", invalid="ignore"):
            square = sum(
                slope * other * self._products[self._place[name], self._place[second]]
                for name, slope in slopes.items()
                for second, other in slopes.items()
            )
            errors = np.sqrt(self._groups / (self._groups - 1) * square)
            off = np.where(errors > _CERTAIN * error, (values - value) / errors, np.nan)
        usable = off[np.isfinite(off)]
        if len(usable) < len(off) // 2:
            return Interval(value, np.nan, np.nan)
        low, high = np.quantile(usable, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
        return Interval(value, value - float(high) * error, value - float(low) * error)
