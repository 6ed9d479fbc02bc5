"""The exact probability with which Thompson sampling chooses an artwork: that its Gaussian is the largest."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: Quadrature nodes a panel, from so many rivals on: the more factors a product has, the steeper it rises.
_NODES = {0: 48, 8: 64, 24: 96}
#: Where a tail is cut, in standard deviations.
_WIDTH = 6.25
#: How far apart nodes are at the most, in units of the steepest rise: at 0.8 errors come to 3e-9, here to 3e-10.
_SPACING = 0.72
#: An artwork makes the product steeper if it may be the largest, that is, if so many of its standard deviations
#: above its mean lie right of where the integral begins.
_IN_REACH = 0.5
#: Titles that need about as many nodes are worked out together; those that need more than the last, by panels.
_MOST_NODES = 32, 64, 512
_AT = np.stack([np.arange(_MOST_NODES[-1] + 1.0), np.ones(_MOST_NODES[-1] + 1)])
_ROOT = float(np.sqrt(2.0 * np.pi))


def win_probabilities(mean: Floats, sd: Floats, chosen: Ints) -> Floats:
    """The probability that one of K independent Gaussians is the largest, for n titles at once.

    It is the integral over t of ``f_a(t) Π_{b≠a} Φ((t - m_b) / s_b)``, f_a the density of the chosen one. On the
    left the product vanishes, on the right the density does; for a smooth function that vanishes at both ends the
    trapezoidal rule is exact to 1e-9 once its nodes are close enough for the steepest rise it can have (Trefethen
    & Weideman 2014, "The exponentially convergent trapezoidal rule", SIAM Review 56). A product of K like factors
    needs nodes ``K^(1/4)`` times as close as one of them, as experiments show: the step is at most 0.72 over the
    fourth root of ``Σ 1 / s_b⁴``. Tails are cut at 6.25 standard deviations: the probabilities of K artworks sum
    to 1 within 1e-9 K.

    Parameters
    ----------
    mean, sd
        Of each Gaussian, shape (n, K); every sd > 0. A mean of minus infinity stands for no artwork.
    chosen
        The index of the one in question, shape (n,).

    Returns
    -------
    Shape (n,).

    Examples
    --------
    Of four equals; and of two, where the other is known to be 0.5:

    >>> win_probabilities(np.zeros((1, 4)), np.ones((1, 4)), np.array([2])).round(6)
    array([0.25])
    >>> win_probabilities(np.array([[0.0, 0.5]]), np.array([[1.0, 1e-5]]), np.array([0])).round(6)
    array([0.308538])
    """
    n = len(chosen)
    # From here on artworks come first: sums over them are sums of rows.
    means, sds = np.ascontiguousarray(mean.T), np.ascontiguousarray(sd.T)
    own = chosen * n + np.arange(n)
    s = sds.take(own)
    steepness = 1.0 / sds
    lo = _beginning(means, sds, steepness)
    length = means.take(own) + _WIDTH * s - lo
    steep = steepness * (means + _IN_REACH * sds > lo)
    steep.put(own, 1.0 / s)
    steep *= steep
    steep *= steep
    nodes = np.ceil(length / _SPACING * np.sqrt(np.sqrt(steep.sum(axis=0))))
    if nodes.min() > 0.0 and nodes.max() <= _MOST_NODES[0]:
        return _trapezoid(means, steepness, own, (lo, length, nodes))
    found: Floats = np.zeros(n)
    least = 0.0
    for most in _MOST_NODES:
        some = np.flatnonzero((nodes > least) & (nodes <= most))
        if len(some):
            of_some = chosen[some] * len(some) + np.arange(len(some))
            over = lo[some], length[some], nodes[some]
            found[some] = _trapezoid(means[:, some], steepness[:, some], of_some, over)
        least = most
    rest = np.flatnonzero(nodes > least)
    if len(rest):
        found[rest] = _by_panels(mean[rest], sd[rest], chosen[rest])
    return found


def _beginning(mean: Floats, sd: Floats, steepness: Floats) -> Floats:
    """Left of which some artwork is certain to be, but for 2e-10: of shapes (K, n) to (n,).

    All of K artworks are below t with probability Π Φ(x_b), x_b = (t - m_b) / s_b, and for x below 0 Φ(x) is at
    most exp(-x² / 2) / 2: it is enough that the squares of those below 0 sum to 6.25². The root of that sum is
    convex in t, so that a step of Newton's method from the left, where one alone is enough, does not go too far.
    """
    lo: Floats = (mean - _WIDTH * sd).max(axis=0)
    x = np.minimum((lo - mean) * steepness, 0.0)
    slope = (x * steepness).sum(axis=0)
    x *= x
    size = np.sqrt(x.sum(axis=0))
    lo -= (size - _WIDTH) * size / slope
    return lo


def _trapezoid(mean: Floats, steepness: Floats, own: Ints, over: tuple[Floats, Floats, Floats]) -> Floats:
    """The integral of n titles, each from where, how far and in how many steps ``over`` says.

    ``mean`` and ``steepness``, which is one over the deviation, have shape (K, n); ``own`` is where in them the
    chosen ones are.
    """
    (k, n), (lo, length, nodes) = mean.shape, over
    at = _AT[:, : int(nodes.max()) + 1]
    step = length / nodes
    # Where in the table each Φ is at each node, in this order: artworks, titles, nodes.
    line = np.empty((2, k, n))
    np.multiply(step, steepness, out=line[0])
    np.multiply(lo - mean, steepness, out=line[1])
    line[1] += _REACH
    line *= _STEPS
    np.minimum(line, _FAR, out=line)
    place = line.reshape(2, k * n).T @ at
    deviation = place[own]
    deviation *= 1.0 / _STEPS
    deviation -= _REACH
    deviation *= deviation
    deviation *= -0.5
    density = np.exp(deviation, out=deviation)
    density *= at[0] <= nodes[:, None]  # beyond its steps nothing counts
    factors = _from_table(place)
    factors[own] = density
    integral = np.multiply.reduce(factors.reshape(k, n, -1)) @ at[1]
    found: Floats = step * steepness.take(own) / _ROOT * integral
    return found


def _by_panels(mean: Floats, sd: Floats, chosen: Ints) -> Floats:
    """The same where widths differ so much that Φ of one artwork is a step on the scale of another.

    The range is halved towards ``lo``, left of which some factor vanishes, until the narrowest step is as wide as
    the last panel: in each panel every factor that still changes is about as wide as the panel, and Gauss-Legendre
    quadrature with 48 to 96 nodes a panel is exact to 1e-8 for each artwork.
    """
    rows = np.arange(len(chosen))
    m, s = mean[rows, chosen], sd[rows, chosen]
    upper = mean + _WIDTH * sd
    lo, hi = (mean - _WIDTH * sd).max(axis=1), m + _WIDTH * s
    rivals = upper > lo[:, None]
    rivals[rows, chosen] = False
    lowest = np.where(rivals, upper, np.inf).min(axis=1)
    level = np.searchsorted(list(_NODES), np.count_nonzero(rivals, axis=1), side="right")
    found = np.zeros(len(rows))
    for number, nodes in enumerate(_NODES.values(), 1):
        some = np.flatnonzero(level == number)
        if len(some):
            about = m[some], s[some], lo[some], hi[some], lowest[some]
            found[some] = _integrals(about, (mean[some], sd[some], upper[some], rivals[some]), nodes)
    return found


def _integrals(
    about: tuple[Floats, Floats, Floats, Floats, Floats],
    others: tuple[Floats, Floats, Floats, NDArray[np.bool_]],
    nodes: int,
) -> Floats:
    """The integral for n titles, with so many nodes a panel; ``lowest`` is where the first rival's step ends."""
    (m, s, lo, hi, lowest), (mean, sd, upper, rivals) = about, others
    length = hi - lo
    panels = 1 + np.maximum(np.ceil(np.log2(length / (2.0 * (lowest - lo)))), 0.0).astype(np.intp)
    title = np.repeat(np.arange(len(m)), panels)
    depth = np.arange(len(title)) - np.repeat(np.cumsum(panels) - panels, panels)
    right = length[title] * np.exp2(-depth)
    left = np.where(depth == panels[title] - 1, 0.0, 0.5 * right)
    places, weights = _legendre(nodes)
    half = 0.5 * (right - left)
    t = (lo[title] + left + half)[:, None] + half[:, None] * places
    deviation = (t - m[title, None]) / s[title, None]
    product = np.exp(-0.5 * deviation * deviation)
    # A factor is 1 in the panels to the right of its step.
    panel, rival = np.nonzero(rivals[title] & (upper[title] > (lo[title] + left)[:, None]))
    at = title[panel]
    factors = _normal_cdf((t[panel] - mean[at, rival, None]) / sd[at, rival, None])
    first = np.flatnonzero(np.diff(panel, prepend=-1))
    product[panel[first]] *= np.multiply.reduceat(factors, first, axis=0)
    found: Floats = np.zeros(len(m))
    np.add.at(found, title, half * (product @ weights) / (s[title] * _ROOT))
    return found


def _normal_cdf(x: Floats) -> Floats:
    """Φ: within 1e-9, and quicker than SciPy's."""
    return _from_table(np.clip(_STEPS * (x + _REACH), 0.0, _FAR))


def _from_table(place: Floats) -> Floats:
    """Φ of a number that lies so many steps, not less than none, right of where the table begins.

    A parabola for each step, 1 beyond the last.
    """
    index = np.minimum(place.astype(np.int32), 2 * _REACH * _STEPS).astype(np.intp)
    value: Floats = _TABLE[2].take(index)
    for coefficient in _TABLE[1::-1]:
        value *= place
        value += coefficient.take(index)
    return value


_REACH, _STEPS = 7, 256
#: So many steps are beyond the table for certain, and a small number still.
_FAR = 1e6


def _table() -> list[Floats]:
    """Of each step from -7 to 7 the Taylor polynomial of Φ in its middle, as a function of the place."""
    middle = np.arange(2 * _REACH * _STEPS) + 0.5
    x = middle / _STEPS - _REACH
    slope = np.exp(-0.5 * x * x) / _ROOT / _STEPS
    bend = -x * slope / 2.0 / _STEPS
    table = ndtr(x) - slope * middle + bend * middle * middle, slope - 2.0 * bend * middle, bend
    return [np.append(coefficient, beyond) for coefficient, beyond in zip(table, (1.0, 0.0, 0.0), strict=True)]


_TABLE = _table()


@cache
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return places, weights
