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
    gram: Floats,
    moment: Floats,
    prior_precision: Floats,
    noise_precision: float | Floats,
    prior_mean: Floats,
) -> tuple[Floats, Floats]:
    """Posterior mean and Cholesky factor of the posterior covariance.

    Parameters
    ----------
    gram
        S = Σ x xᵀ over impressions, shape (…, d, d).
    moment
        c = Σ r x over rewards, shape (…, d).
    prior_precision
        λ, shape (d,) or (…, d), every element > 0.
    noise_precision
        β > 0: one over the variance of a reward around its mean; a number or shape (…).
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

    Notes
    -----
    With the order of the weights reversed, Λ = L Lᵀ gives the covariance's own lower factor, L⁻ᵀ reversed back:
    the covariance is never formed, so its digits are not lost. The precision is first scaled to a unit diagonal,
    as features differ in size by powers of ten; and that diagonal is raised by d ε, no more than S was rounded
    by, so that two features which are always large together stay solvable.
    """
    d = gram.shape[-1]
    index = np.arange(d)
    beta = np.asarray(noise_precision)
    precision = beta[..., None, None] * gram
    precision[..., index, index] += prior_precision
    diagonal = precision[..., index, index]
    if not (diagonal > 0).all():
        raise np.linalg.LinAlgError("a diagonal element of the precision is not above 0")
    scale = 1.0 / np.sqrt(diagonal)
    precision *= scale[..., :, None]
    precision *= scale[..., None, :]
    precision[..., index, index] += d * np.finfo(np.float64).eps
    lower = np.linalg.cholesky(precision[..., ::-1, ::-1])
    inverse = np.linalg.inv(lower)[..., ::-1, ::-1]
    factor = np.tril(np.swapaxes(inverse, -1, -2)) * scale[..., :, None]
    natural = prior_precision * prior_mean + beta[..., None] * moment
    mean = np.einsum("...ij,...j->...i", factor, np.einsum("...ji,...j->...i", factor, natural))
    return mean, factor


@cache
def lower_triangle(d: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the lower triangle, row by row, shapes (d(d+1)/2,)."""
    rows, columns = np.tril_indices(d)
    return rows, columns


@cache
def _symmetric(d: int) -> NDArray[np.intp]:
    """Where each element of a symmetric matrix is, if its lower triangle is packed: shape (d, d)."""
    rows, columns = lower_triangle(d)
    places = np.zeros((d, d), dtype=np.intp)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return places


def pack(matrix: Floats) -> Floats:
    """The lower triangle, row by row: shape (…, d, d) to (…, d(d+1)/2).

    >>> pack(np.array([[1.0, 0.0], [2.0, 3.0]]))
    array([1., 2., 3.])
    """
    rows, columns = lower_triangle(matrix.shape[-1])
    return matrix[..., rows, columns]


def unpack_lower(packed: Floats, d: int) -> Floats:
    """The lower triangular matrix of a packed one: shape (…, d(d+1)/2) to (…, d, d)."""
    rows, columns = lower_triangle(d)
    matrix = np.zeros((*packed.shape[:-1], d, d))
    matrix[..., rows, columns] = packed
    return matrix


def unpack_symmetric(packed: Floats, d: int) -> Floats:
    """The symmetric matrix whose lower triangle is packed.

    >>> unpack_symmetric(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.]])
    """
    return np.take(packed, _symmetric(d), axis=-1)
