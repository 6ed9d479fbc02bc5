"""The sums of all artworks of one partition, in shared arrays.

Learning is addition: a batch of records becomes a few NumPy calls, whatever titles it is about. River's models are
views into these arrays (:meth:`ArtworkSums.model`), so learning through either is learning in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.features import FeatureSpace
from stream.model import ArtworkModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Slots = NDArray[np.intp]


#: The most cells of S that one NumPy call adds to; wide contexts would otherwise need memory by the hundred MB.
_MAX_CELLS = 1 << 20


class ArtworkSums:
    """S, c and counts of many artworks; each has a slot.

    Attributes
    ----------
    gram
        S = Σ x xᵀ over impressions, shape (slots, d, d).
    moment
        c = Σ r x over rewards, shape (slots, d).
    impressions, plays
        Exact counts, shape (slots,).
    reward
        Σ r, shape (slots,).
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.space = FeatureSpace(columns)
        self.count = 0
        d = len(columns)
        self.gram: Floats = np.zeros((0, d, d))
        self.moment: Floats = np.zeros((0, d))
        self.impressions: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.plays: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.reward: Floats = np.zeros(0)

    def new_slot(self) -> int:
        """Room for one more artwork, all zeros."""
        slot = self.count
        if slot == len(self.moment):
            self._resize(max(2 * slot, 16), len(self.space))
        self.count += 1
        return slot

    def widen(self, columns: Sequence[str]) -> None:
        """Append columns: what was learned so far saw them as 0. The first columns must be today's."""
        if tuple(columns[: len(self.space)]) != self.space.columns:
            raise ValueError("columns can only be appended")
        self.space = FeatureSpace(columns)
        self._resize(len(self.moment), len(columns))

    def _resize(self, slots: int, d: int) -> None:
        n, old = self.moment.shape
        gram, moment = np.zeros((slots, d, d)), np.zeros((slots, d))
        gram[:n, :old, :old] = self.gram
        moment[:n, :old] = self.moment
        self.gram, self.moment = gram, moment
        self.impressions = np.concatenate([self.impressions, np.zeros(slots - n, dtype=np.int64)])
        self.plays = np.concatenate([self.plays, np.zeros(slots - n, dtype=np.int64)])
        self.reward = np.concatenate([self.reward, np.zeros(slots - n)])

    def learn_impressions(
        self, slots: Slots, contexts: Sequence[Mapping[str, float]], weights: Floats | None = None
    ) -> int:
        """Count n impressions: S += weight · x xᵀ each; returns how many features were unknown.

        Parameters
        ----------
        slots
            Whose impressions, shape (n,).
        contexts
            Their n contexts.
        weights
            How much of each is remembered, shape (n,); None: all of it. Counts stay exact.
        """
        rows = self.space.rows(contexts)
        d = len(self.space)
        flat = self.gram.reshape(-1)
        for members, columns, values in rows.groups:
            step = max(_MAX_CELLS // columns.shape[1] ** 2, 1)
            for start in range(0, len(members), step):
                part = slice(start, start + step)
                base, c, v = slots[members[part]] * (d * d), columns[part], values[part]
                cells = base[:, None, None] + c[:, :, None] * d + c[:, None, :]
                products = v[:, :, None] * v[:, None, :]
                if weights is not None:
                    products *= weights[members[part], None, None]
                np.add.at(flat, cells.reshape(-1), products.reshape(-1))
        np.add.at(self.impressions, slots, 1)
        return rows.unknown

    def learn_rewards(
        self,
        slots: Slots,
        contexts: Sequence[Mapping[str, float]],
        credits_: Floats,
        totals: Floats,
        weights: Floats | None = None,
    ) -> None:
        """Credit n impressions: c += weight · credit · x each.

        Parameters
        ----------
        slots
            Whose impressions, shape (n,).
        contexts
            Their n contexts.
        credits_
            The change of each impression's reward, shape (n,).
        totals
            Each impression's reward after the change, shape (n,): a first credit is a play, and one taken back
            entirely is none.
        weights
            How much of each impression is remembered, shape (n,); None: all of it. Counts stay exact.
        """
        d = len(self.space)
        remembered = credits_ if weights is None else credits_ * weights
        flat = self.moment.reshape(-1)
        for members, columns, values in self.space.rows(contexts).groups:
            cells = (slots[members] * d)[:, None] + columns
            np.add.at(flat, cells.reshape(-1), (values * remembered[members][:, None]).reshape(-1))
        np.add.at(self.reward, slots, credits_)
        first = (credits_ > 0) & (credits_ == totals)
        withdrawn = (credits_ < 0) & (totals == 0)
        np.add.at(self.plays, slots, first.astype(np.int64) - withdrawn)

    def fade(self, slots: Slots, factor: float) -> None:
        """Remember so much less of some artworks: S and c are scaled, counts stay."""
        self.gram[slots] *= factor
        self.moment[slots] *= factor

    def model(self, slot: int, prior_precision: float, noise_precision: float) -> ArtworkModel:
        """River's model of one artwork, sharing its sums; good until the arrays next grow."""
        return ArtworkModel.over(
            self.space.columns, self.gram[slot], self.moment[slot], prior_precision, noise_precision
        )
