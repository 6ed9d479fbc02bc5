"""The Gaussian posterior of linear weights from two sums, for many artworks at once.

Bishop, *Pattern Recognition and Machine Learning* (2006), equations 3.50 and 3.51, with a diagonal prior precision
and a prior mean: ``Λ = diag(λ) + β S``, ``mean = Λ⁻¹ (λ ∘ m₀ + β c)``, ``covariance = Λ⁻¹``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def solve(
    gram: Floats, moment: Floats, prior_precision: Floats, noise_precision: float, prior_mean: Floats
) -> tuple[Floats, Floats]:
    """Posterior mean and Cholesky factor of the posterior covariance.

    Parameters
    ----------
    gram
        S = Σ x xᵀ over impressions, shape (…, d, d).
    moment
        c = Σ r x over rewards, shape (…, d).
    prior_precision
        λ, shape (d,), every element > 0.
    noise_precision
        β > 0: one over the variance of a reward around its mean.
    prior_mean
        m₀, shape (d,) or (…, d).

    Returns
    -------
    mean
        Shape (…, d).
    factor
        Lower triangular, shape (…, d, d), with ``factor @ factorᵀ = covariance``.

    Raises
    ------
    numpy.linalg.LinAlgError
        The precision is not positive definite: the sums are not sums of squares.
    """
    precision = noise_precision * gram
    index = np.arange(gram.shape[-1])
    precision[..., index, index] += prior_precision
    lower = np.linalg.cholesky(precision)
    inverse = np.linalg.inv(lower)
    covariance = np.swapaxes(inverse, -1, -2) @ inverse
    natural = prior_precision * prior_mean + noise_precision * moment
    mean = np.einsum("...ij,...j->...i", covariance, natural)
    return mean, np.linalg.cholesky(covariance)


@cache
def _lower(d: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.tril_indices(d)
    return rows, columns


def pack(matrix: Floats) -> Floats:
    """The lower triangle, row by row: shape (…, d, d) to (…, d(d+1)/2).

    >>> pack(np.array([[1.0, 0.0], [2.0, 3.0]]))
    array([1., 2., 3.])
    """
    rows, columns = _lower(matrix.shape[-1])
    return matrix[..., rows, columns]


def unpack_lower(packed: Floats, d: int) -> Floats:
    """The lower triangular matrix of a packed one: shape (…, d(d+1)/2) to (…, d, d)."""
    rows, columns = _lower(d)
    matrix = np.zeros((*packed.shape[:-1], d, d))
    matrix[..., rows, columns] = packed
    return matrix


def unpack_symmetric(packed: Floats, d: int) -> Floats:
    """The symmetric matrix whose lower triangle is packed.

    >>> unpack_symmetric(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    lower = unpack_lower(packed, d)
    return lower + np.swapaxes(np.tril(lower, -1), -1, -2)
