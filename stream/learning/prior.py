"""What the whole catalogue teaches every artwork: the prior that titles share, from sums alone.

A title's reward is modelled as ``r = x·v + ρ x·(M_a w) + x·δ_a + noise`` for artwork a: ρ is the title's take
rate, v its own response to the context x, w how taste for a feature meets artwork tagged with it (one vector for
the whole catalogue), and δ_a what is the artwork's own. M_a holds what the artwork shows, its tags g (one number a
feature): w_j stands for ``g_j (x_j - x̄_j)``, with x̄ the mean context, and w_0 for ``Σ g``, how much is shown.
Without the mean taken out, w_j would have to say both, as shares of taste are never negative.

Effects are relative to ρ: v is N((ρ, 0, …), ρ² σ²), w is N(0, ω²), and δ_a is N(0, ρ² τ²), with noise variance
ρ (1 - ρ), the most that a reward in [0, 1] with mean ρ can have.

So an artwork starts from ``m₀ = v + ρ M_a w`` with precision ``λ = 1 / (ρ τ)²``. Nothing here needs data
of its own: with S and c the sums of :mod:`stream.learning.sums`, the title's own response is integrated out of w's
normal equations (Schur complement), and τ is found from its evidence. What titles teach of both adds up, so
learners need only exchange sums: :mod:`stream.learning.lessons`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.learning.lessons import STRENGTHS, spread_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stream.learning.lessons import Taught

    Floats = NDArray[np.float64]
    Starts = NDArray[np.intp]

#: How far titles' own responses spread, relative to their take rate: bias, other features. What was shown was
#: chosen well, so its take rate says little about the average artwork's.
_RESPONSE_SPREAD = (2.0, 1.0)
#: A title's take rate starts at the catalogue's, worth so many rewards.
_RATE_REWARDS = 3.0


@dataclass(frozen=True, slots=True)
class TitleSums:
    """The sums of n titles' artworks, one after the other: A artworks in all, d features.

    Attributes
    ----------
    gram, moment
        S and c of each artwork, shapes (A, d, d) and (A, d).
    tags
        What each shows, shape (A, d): the bias' is 0.
    starts
        Where each title's artworks begin, shape (n,), ascending from 0; no title is without artworks.
    """

    gram: Floats
    moment: Floats
    tags: Floats
    starts: Starts

    @property
    def title_of(self) -> Starts:
        """The title's number of each artwork, shape (A,)."""
        lengths = np.diff(np.append(self.starts, len(self.gram)))
        return np.repeat(np.arange(len(self.starts)), lengths)

    def by_title(self, values: Floats) -> Floats:
        """Sums over each title's artworks: shape (A, …) to (n, …)."""
        return np.add.reduceat(values, self.starts, axis=0)


@dataclass(frozen=True, slots=True)
class TitlePriors:
    """Where n titles' A artworks start from.

    Attributes
    ----------
    rate
        ρ, shape (n,).
    response
        v, shape (n, d).
    noise_precision
        β, shape (n,).
    prior_precision
        λ, shape (n, d).
    prior_mean
        m₀, shape (A, d).
    """

    rate: Floats
    response: Floats
    noise_precision: Floats
    prior_precision: Floats
    prior_mean: Floats


class _Normal:
    """The normal equations of titles' own responses, and what they leave for w."""

    def __init__(self, sums: TitleSums, taught: Taught) -> None:
        d = sums.moment.shape[1]
        self.title_of = of = sums.title_of
        total = sums.by_title(sums.gram)
        pseudo = _RATE_REWARDS / taught.rate
        count, reward = total[:, 0, 0], sums.by_title(sums.moment[:, 0])
        self.rate: Floats = np.clip((reward + _RATE_REWARDS) / (count + pseudo), 1e-6, 0.95)
        self.beta: Floats = 1.0 / (self.rate * (1.0 - self.rate))
        spread = np.full(d, _RESPONSE_SPREAD[1])
        spread[0] = _RESPONSE_SPREAD[0]
        #: Prior precision of v in units of S: divided by β.
        self.ridge: Floats = 1.0 / (self.beta[:, None] * (self.rate[:, None] * spread) ** 2)
        self.left: Floats = sums.moment - self.rate[of, None] * sums.gram[:, :, 0]  # c - S (ρ, 0, …)
        self.design: Floats = _design(sums.tags, taught.centre)
        self.cross: Floats = sums.by_title(sums.gram @ self.design)  # U
        index = np.arange(d)
        total[:, index, index] += self.ridge
        sides = np.concatenate([self.cross, sums.by_title(self.left)[:, :, None]], axis=2)
        solved = np.linalg.solve(total, sides)
        self.by_weights: Floats = solved[:, :, :d]  # (S̄ + Λ)⁻¹ U
        self.alone: Floats = solved[:, :, d]  # (S̄ + Λ)⁻¹ Σ left


def priors(sums: TitleSums, taught: Taught) -> TitlePriors:
    """Where each artwork starts from, given what the catalogue teaches."""
    normal = _Normal(sums, taught)
    of, rate = normal.title_of, normal.rate
    response = normal.alone - rate[:, None] * (normal.by_weights @ taught.weights)
    response[:, 0] += rate
    prior_mean = response[of] + rate[of, None] * (normal.design @ taught.weights)
    prior_precision = 1.0 / (rate[:, None] * taught.spread) ** 2
    return TitlePriors(rate, response, normal.beta, prior_precision, prior_mean)


def independent(sums: TitleSums, prior_precision: float, noise_precision: float) -> TitlePriors:
    """Where artworks start from that learn by themselves: at 0, with the same precision for every weight."""
    n, d = len(sums.starts), sums.moment.shape[1]
    zero = np.zeros((n, d))
    beta, precision = np.full(n, noise_precision), np.full((n, d), prior_precision)
    return TitlePriors(np.zeros(n), zero, beta, precision, np.zeros_like(sums.moment))


def lessons_on_weights(sums: TitleSums, taught: Taught) -> tuple[Floats, Floats]:
    """What each title adds to the precision and to the natural mean of w: shapes (n, d, d) and (n, d).

    They are ``βρ² (Σ Mᵀ S M - Uᵀ (S̄ + Λ)⁻¹ U)`` and ``βρ (Σ Mᵀ c - Uᵀ (S̄ + Λ)⁻¹ Σ c)``, where U = Σ S M and
    S̄ = Σ S over the title's artworks, c is less S (ρ, 0, …), and Λ is the prior precision of v.
    """
    normal = _Normal(sums, taught)
    both = np.swapaxes(normal.design, 1, 2) @ sums.gram @ normal.design
    across = np.swapaxes(normal.cross, 1, 2)
    precision = sums.by_title(both) - across @ normal.by_weights
    moment = sums.by_title(np.einsum("aij,ai->aj", normal.design, normal.left))
    moment -= np.einsum("nij,nj->ni", across, normal.alone)
    scale = normal.beta * normal.rate
    return (scale * normal.rate)[:, None, None] * precision, scale[:, None] * moment


def lessons_on_strength(sums: TitleSums, taught: Taught) -> Floats:
    """Log evidence of each title for each of the :data:`STRENGTHS`, shape (n, G), v and every δ integrated out.

    Bishop (2006), equation 3.86, with the sums in place of the design matrix; constants are left out.
    """
    normal = _Normal(sums, taught)
    of, rate, beta = normal.title_of, normal.rate, normal.beta
    d = sums.moment.shape[1]
    index = np.arange(d)
    gram = beta[of, None, None] * sums.gram
    surprise = beta[of, None] * (
        normal.left - rate[of, None] * np.einsum("aij,aj->ai", sums.gram, normal.design @ taught.weights)
    )
    response = beta[:, None] * normal.ridge
    found = np.empty((len(rate), len(STRENGTHS)))
    for column, strength in enumerate(STRENGTHS):
        own = 1.0 / (rate[:, None] * spread_of(float(strength), d)) ** 2
        precision = gram.copy()
        precision[:, index, index] += own[of]
        inverse = np.linalg.inv(precision)
        explained = np.einsum("aij,aj->ai", inverse, surprise)
        fit = np.einsum("ai,ai->a", surprise, explained)
        volume = np.linalg.slogdet(precision)[1] - np.log(own).sum(axis=1)[of]
        left = sums.by_title(surprise - np.einsum("aij,aj->ai", gram, explained))
        shared = sums.by_title(gram - gram @ inverse @ gram)
        shared[:, index, index] += response
        solved = np.linalg.solve(shared, left[:, :, None])[:, :, 0]
        title_fit = np.einsum("ni,ni->n", left, solved)
        title_volume = np.linalg.slogdet(shared)[1] - np.log(response).sum(axis=1)
        found[:, column] = 0.5 * (sums.by_title(fit - volume) + title_fit - title_volume)
    return found


def _design(tags: Floats, centre: Floats) -> Floats:
    """What w means for each artwork's weights: shape (A, d, d).

    Column j is what w_j adds: ``g_j (x_j - x̄_j)``. Shares of taste are all positive, so ``g_j x_j`` would also say
    how much the artwork shows at all; that has a weight of its own, column 0: ``Σ g``.
    """
    index = np.arange(tags.shape[1])
    design = np.zeros((*tags.shape, tags.shape[1]))
    design[:, index, index] = tags
    design[:, 0, :] = -tags * centre
    design[:, 0, 0] = tags.sum(axis=1)
    return design
