"""How likely Thompson sampling is to choose each artwork: all of a title's chances at once.

:mod:`stream.choosing.propensity` finds the one that is logged. A policy that is only imagined may have chosen any,
and to ask for each in turn would take K times the work: what they have in common is worked out once here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from stream.choosing.propensity import _normal_cdf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_WIDTH = 5.0
_NODES = 32
#: The most numbers that one step works with: so many stay in a processor's cache.
_CELLS = 1 << 15


def win_chances(mean: Floats, sd: Floats) -> Floats:
    """The probability of each of K independent Gaussians to be the largest, for n titles at once.

    With F the product of all K distribution functions, artwork a's is the integral of ``f_a F / Φ_a``; the product
    is the same for all. The range is cut as in :func:`stream.choosing.propensity.win_probabilities`: halved
    towards its left end until the narrowest step is as wide as the last panel, so that each panel of 32
    Gauss-Legendre nodes meets no step or density much narrower than itself. Chances are within 1e-5, and are made
    to sum to 1.

    Parameters
    ----------
    mean, sd
        Of each Gaussian, shape (n, K); every sd > 0.

    Returns
    -------
    Shape (n, K).

    Examples
    --------
    >>> win_chances(np.array([[0.0, 0.0, -9.0]]), np.ones((1, 3))).round(6)
    array([[0.5, 0.5, 0. ]])
    """
    n, count = mean.shape
    if count == 1:
        return np.ones((n, 1))
    lo = (mean - _WIDTH * sd).max(axis=1)
    upper = mean + _WIDTH * sd
    length = upper.max(axis=1) - lo
    narrowest = np.where(upper > lo[:, None], upper, np.inf).min(axis=1) - lo
    halvings = np.ceil(np.log2(np.maximum(length / (2.0 * narrowest), 1.0)))
    panels = 1 + np.minimum(halvings, 60.0).astype(np.intp)
    found = np.empty((n, count))
    for number in np.unique(panels).tolist():
        rows = np.flatnonzero(panels == number)
        at_once = max(1, _CELLS // (number * _NODES * count))
        for begin in range(0, len(rows), at_once):
            some = rows[begin : begin + at_once]
            found[some] = _chances(mean[some], sd[some], lo[some], length[some], number)
    found /= found.sum(axis=1, keepdims=True)
    return found


def _chances(mean: Floats, sd: Floats, lo: Floats, length: Floats, panels: int) -> Floats:
    """The integrals, for rows that need the same number of panels."""
    place, weight = _rule(panels)
    t = lo[:, None] + length[:, None] * place
    deviation = (t[:, None, :] - mean[:, :, None]) / sd[:, :, None]
    below = np.maximum(_normal_cdf(deviation), 1e-300)
    density = np.exp(-0.5 * deviation * deviation)
    density /= below
    together = np.multiply.reduce(below, axis=1) * weight
    found: Floats = np.einsum("nkt,nt->nk", density, together) / sd
    return found


@cache
def _rule(panels: int) -> tuple[Floats, Floats]:
    """Places in (0, 1) and weights of a rule whose panels halve towards 0."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    right = 0.5 ** np.arange(panels)
    left = np.append(right[1:], 0.0)
    half = 0.5 * (right - left)
    places = (left + half)[:, None] + half[:, None] * nodes
    return places.ravel(), (half[:, None] * weights).ravel()
