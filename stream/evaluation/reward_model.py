"""A model of the rewards: what the direct method believes, and what doubly robust estimates start from.

Every artwork has a linear model of its own, ridge regression that shrinks to the mean of its title. It is two sums
of its rows, ``Σ x xᵀ`` and ``Σ r x``, kept by 20 groups of members. Two things are made of them:

* before each batch, what is expected of its rows: from earlier rows alone, so that a doubly robust estimate stays
  unbiased whatever the model gets wrong;
* in the end the direct method's estimate. It is linear in the weights, ``Σ_a θ_a · M_a`` with
  ``M_a = Σ π(a|x) x``, so it can be formed from all rows without reading the log twice, and once more without each
  group: its interval knows how uncertain the model is. It does not know whether the model is of the right kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation.intervals import FEW, few_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream.evaluation.log import Batch
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: Two kinds of outcome are modelled: whether anything was earned, and how much.
OUTCOMES = 2
#: How far rates are thought to spread, as a share of the log's own rate: titles around that, artworks around their
#: title, and an artwork's rate with each feature. At a rate ρ a spread of τ ρ is worth (1 - ρ) / (ρ τ²)
#: impressions: where little is earned, much has to be seen before an artwork is thought to be different.
_TITLES, _ARTWORKS, _FEATURES = 1.0, 0.5, 1.0
#: The most bytes of sums; a log of more artworks is modelled without contexts.
_MOST_BYTES = 256 << 20
_LEAST_RATE = 1e-4
#: So many rows wait before they are added to the sums by group: then each sum gets several at a time.
_WAITING = 1 << 17
#: The model is solved anew when it has learned so much more.
_GROWTH = 0.1


class RewardModel:
    """Linear models of the expected outcomes of every artwork.

    Attributes
    ----------
    features
        How many of the roster's features it sees: all, or the bias alone.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        wide = FEW * roster.artworks * len(roster.features) ** 2 * 8
        self.features = len(roster.features) if wide <= _MOST_BYTES else 1
        a, d = roster.artworks, self.features
        self._gram: Floats = np.zeros((a, d, d))
        self._moment: Floats = np.zeros((a, OUTCOMES, d))
        self._gram_of: Floats = np.zeros((FEW, a, d, d))
        self._moment_of: Floats = np.zeros((FEW, a, OUTCOMES, d))
        self._waiting: list[tuple[Ints, Floats, Floats]] = []
        self._theta: Floats = np.zeros((a, OUTCOMES, d))
        self._rows = self._solved = 0

    def expected(self, batch: Batch) -> Floats:
        """What each artwork would earn at each row: shape (2, n, K), 0 where there is no such artwork."""
        if self._rows > (1.0 + _GROWTH) * self._solved:
            self._solved = self._rows
            self._theta = self._solve(self._gram, self._moment)
        found = np.zeros((OUTCOMES, len(batch), batch.most))
        for offer, rows in batch.by_offer:
            begin, count = self._roster.starts[offer], self._roster.counts[offer]
            theta = self._theta[begin : begin + count]
            x = batch.context[rows, : self.features]
            for outcome in range(OUTCOMES):
                found[outcome, rows[:, None], np.arange(count)] = x @ theta[:, outcome].T
        return np.clip(found, 0.0, 1.0, out=found)

    def learn(self, batch: Batch, group: Ints) -> None:
        """Take in a batch that has been judged."""
        artwork = self._roster.starts[batch.offer] + batch.place
        context, outcomes = batch.context[:, : self.features], np.stack([batch.taken, batch.reward], axis=1)
        _add(self._gram, self._moment, artwork, context, outcomes)
        self._waiting.append((few_of(group) * self._roster.artworks + artwork, context, outcomes))
        self._rows += len(batch)
        if sum(len(cell) for cell, _, _ in self._waiting) >= _WAITING:
            self._add_waiting()

    def _add_waiting(self) -> None:
        """Bring the sums by group up to date."""
        if self._waiting:
            d, cells = self.features, FEW * self._roster.artworks
            gram, moment = self._gram_of.reshape(cells, d, d), self._moment_of.reshape(cells, OUTCOMES, d)
            cell, context, outcomes = map(np.concatenate, zip(*self._waiting, strict=True))
            _add(gram, moment, cell, context, outcomes)
            self._waiting.clear()

    def _solve(self, gram: Floats, moment: Floats) -> Floats:
        """The weights of each artwork, given its sums: shape (A, 2, d)."""
        roster, d = self._roster, self.features
        offer = roster.offer_of
        rows, earned = gram[:, 0, 0], moment[:, :, 0]
        overall = earned.sum(axis=0) / max(rows.sum(), 1.0)
        rate = float(overall[0])
        prior = worth(rate, _TITLES)
        of_title = np.bincount(offer, rows, len(roster.offers))
        mean = np.stack(
            [
                (np.bincount(offer, earned[:, outcome], len(roster.offers)) + prior * overall[outcome])
                / (of_title + prior)
                for outcome in range(OUTCOMES)
            ],
            axis=1,
        )
        ridge = np.full(d, worth(rate, _FEATURES))
        ridge[0] = worth(rate, _ARTWORKS)
        right = moment.copy()
        right[:, :, 0] += ridge[0] * mean[offer]
        left = gram + np.diag(ridge)
        return np.swapaxes(np.linalg.solve(left, np.swapaxes(right, 1, 2)), 1, 2)

    def value(self, shown: Shown) -> tuple[Floats, Floats]:
        """The direct method's estimates of a policy: of each outcome, and without each group that has rows.

        Returns
        -------
        Shapes (2,) and (g, 2), see :func:`~stream.evaluation.intervals.jackknife`.
        """
        self._add_waiting()
        contexts, rows = shown.contexts.sum(axis=0), float(shown.rows.sum())
        there = np.flatnonzero(shown.rows)
        value, without = np.full(OUTCOMES, np.nan), np.full((len(there), OUTCOMES), np.nan)
        if rows:
            value = np.einsum("aod,ad->o", self._solve(self._gram, self._moment), contexts) / rows
        for i, group in enumerate(there.tolist()):
            left = rows - shown.rows[group]
            if left:
                theta = self._solve(self._gram - self._gram_of[group], self._moment - self._moment_of[group])
                without[i] = np.einsum("aod,ad->o", theta, contexts - shown.contexts[group]) / left
        return value, without


def _add(gram: Floats, moment: Floats, cell: Ints, context: Floats, outcomes: Floats) -> None:
    """Add rows to the sums of their cells: shapes (c, d, d), (c, 2, d), (n,), (n, d), (n, 2)."""
    order = np.argsort(cell, kind="stable")
    cells, x, y = cell[order], context[order], outcomes[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    ends = np.append(starts, len(order))[1:]
    for one, first, last in zip(cells[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        rows = x[first:last]
        gram[one] += rows.T @ rows
        moment[one] += y[first:last].T @ rows


def worth(rate: float, spread: float) -> float:
    """How many impressions the belief is worth that rates spread by such a share of ``rate``.

    >>> round(worth(0.05, 0.5), 1), round(worth(0.005, 0.5), 1)
    (76.0, 796.0)
    """
    rate = min(max(rate, _LEAST_RATE), 0.5)
    return (1.0 - rate) / (rate * spread * spread)


class Shown:
    """What a policy would show to whom, as far as the direct method needs it.

    Attributes
    ----------
    contexts
        ``Σ π(a|x) x`` of each artwork by few groups of members, shape (g, A, d).
    rows
        Of each group, shape (g,).
    """

    def __init__(self, roster: Roster, features: int) -> None:
        self._starts, self._counts = roster.starts, roster.counts
        self.contexts: Floats = np.zeros((FEW, roster.artworks, features))
        self.rows: Floats = np.zeros(FEW)

    def add(self, batch: Batch, chances: Floats, group: Ints) -> None:
        """Take in what the policy would have shown at each row, shape (n, K)."""
        few, d = few_of(group), self.contexts.shape[2]
        self.rows += np.bincount(few, minlength=FEW)
        for offer, rows in batch.by_offer:
            begin, count = int(self._starts[offer]), int(self._counts[offer])
            order = rows[np.argsort(few[rows], kind="stable")]
            starts = np.flatnonzero(np.diff(few[order], prepend=-1))
            x, pi = batch.context[order, :d], chances[order, :count]
            for first, last in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
                self.contexts[few[order[first]], begin : begin + count] += pi[first:last].T @ x[first:last]
