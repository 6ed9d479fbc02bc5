"""The sums of all artworks of one partition, in shared arrays.

Learning is addition: a batch of records becomes a few NumPy calls, whatever titles it is about. River's models are
views into these arrays (:meth:`ArtworkSums.model`), so learning through either is learning in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.features import FeatureSpace, Rows
from stream.learning.model import ArtworkModel
from stream.worth.policies import plays_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Slots = NDArray[np.intp]


#: The most cells of S that one NumPy call adds to; wide contexts would otherwise need memory by the hundred MB.
_MAX_CELLS = 1 << 20
#: So many cells could be added to in the time in which a row is put beside those of its artwork.
_SORTING = 50
#: Numbers below this are sorted several times as fast.
_SHORT = 1 << 16


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

    def put(self, slots: Slots, columns: Slots, gram: Floats, moment: Floats) -> None:
        """Put sums in the place of those of n artworks.

        Parameters
        ----------
        slots
            Whose, shape (n,).
        columns
            What the k rows and columns of the sums are here, shape (k,); in all other columns they are 0.
        gram, moment
            Shapes (n, k, k) and (n, k).
        """
        if np.array_equal(columns, np.arange(len(self.space))):  # nearly always, and much the fastest
            self.gram[slots], self.moment[slots] = gram, moment
            return
        self.gram[slots], self.moment[slots] = 0.0, 0.0
        self.gram[slots[:, None, None], columns[:, None], columns] = gram
        self.moment[slots[:, None], columns] = moment

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
        self, slots: Slots, contexts: Sequence[Mapping[str, float]] | Rows, weights: Floats | None = None
    ) -> int:
        """Count n impressions: S += weight · x xᵀ each; returns how many features were unknown.

        Parameters
        ----------
        slots
            Whose impressions, shape (n,).
        contexts
            Their n contexts, or what :meth:`~stream.features.FeatureSpace.rows` made of them.
        weights
            How much of each is remembered, shape (n,); None: all of it. Counts stay exact.
        """
        rows = contexts if isinstance(contexts, Rows) else self.space.rows(contexts)
        d = len(self.space)
        for members, columns, values in rows.groups:
            given = columns.shape[1]
            # What either way adds up to in cells, with the cost of sorting a row in cells (measured).
            artworks = np.count_nonzero(np.bincount(slots[members]))
            dense = artworks * d * d + _SORTING * len(members) < len(members) * given * given
            step = max(_MAX_CELLS // (d if dense else given * given), 1)
            for start in range(0, len(members), step):
                some = members[start : start + step]
                c, v = columns[start : start + step], values[start : start + step]
                weight = None if weights is None else weights[some]
                (self._add_dense if dense else self._add_sparse)(slots[some], c, v, weight)
        np.add.at(self.impressions, slots, 1)
        return rows.unknown

    def _add_sparse(self, slots: Slots, columns: Slots, values: Floats, weights: Floats | None) -> None:
        """Rows that are mostly zero: only the pairs of entries that are not."""
        d = len(self.space)
        cells = (slots * (d * d))[:, None, None] + columns[:, :, None] * d + columns[:, None, :]
        products = values[:, :, None] * values[:, None, :]
        if weights is not None:
            products *= weights[:, None, None]
        np.add.at(self.gram.reshape(-1), cells.reshape(-1), products.reshape(-1))

    def _add_dense(self, slots: Slots, columns: Slots, values: Floats, weights: Floats | None) -> None:
        """Rows with few zeros: those of one artwork together are a matrix, whose square is one product."""
        d = len(self.space)
        order = np.argsort(slots.astype(np.uint16) if self.count <= _SHORT else slots, kind="stable")
        if values.shape[1] == d and (columns == columns[0]).all():
            x = np.empty((len(slots), d))
            x[:, columns[0]] = values[order]
        else:
            x = np.zeros((len(slots), d))
            x[np.arange(len(slots))[:, None], columns[order]] = values[order]
        weighted = x if weights is None else x * weights[order, None]
        begins = np.flatnonzero(np.diff(slots[order], prepend=-1))
        lengths = np.diff(begins, append=len(slots))
        at_once = max(_MAX_CELLS // (d * d), 1)
        for length in np.unique(lengths).tolist():
            those = begins[lengths == length]
            for start in range(0, len(those), at_once):
                first = those[start : start + at_once]
                places = first[:, None] + np.arange(length)
                products = np.matmul(weighted[places].transpose(0, 2, 1), x[places])
                self.gram[slots[order[first]]] += products  # each artwork is there once

    def learn_rewards(
        self,
        slots: Slots,
        contexts: Sequence[Mapping[str, float]] | Rows,
        credits_: Floats,
        totals: Floats,
        weights: Floats | None = None,
    ) -> None:
        """Credit n impressions: c += weight · credit · x each.

        Parameters
        ----------
        slots, contexts
            As above.
        credits_
            The change of each impression's reward, shape (n,).
        totals
            Each impression's reward after the change, shape (n,): a first credit is a play, and one taken back
            entirely is none.
        weights
            How much of each impression is remembered, shape (n,); None: all of it. Counts stay exact.
        """
        rows = contexts if isinstance(contexts, Rows) else self.space.rows(contexts)
        d = len(self.space)
        remembered = credits_ if weights is None else credits_ * weights
        flat = self.moment.reshape(-1)
        for members, columns, values in rows.groups:
            cells = (slots[members] * d)[:, None] + columns
            np.add.at(flat, cells.reshape(-1), (values * remembered[members][:, None]).reshape(-1))
        np.add.at(self.reward, slots, credits_)
        np.add.at(self.plays, slots, plays_of(credits_, totals).astype(np.int64))

    def fade(self, slots: Slots, factor: float) -> None:
        """Remember so much less of some artworks: S and c are scaled, counts stay."""
        self.gram[slots] *= factor
        self.moment[slots] *= factor

    def model(self, slot: int, prior_precision: float, noise_precision: float) -> ArtworkModel:
        """River's model of one artwork, sharing its sums; good until the arrays next grow."""
        return ArtworkModel.over(
            self.space.columns, self.gram[slot], self.moment[slot], prior_precision, noise_precision
        )
