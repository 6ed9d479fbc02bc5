"""Confidence sequences: intervals that hold whenever and however often one looks.

An ordinary 95 % interval is right for who looks once. Looked at all the time, it is wrong at some time almost
surely. A confidence *sequence* holds at all times at once: with probability 95 % the truth never leaves it.

**A rate.** Let X be what an impression earns, in [0, 1] and on average μ, and let p be any other rate. Then
``(p/μ)^X ((1-p)/(1-μ))^(1-X)`` is at most 1 on average: it is convex in X, and at X = 0 and X = 1 its average is
that of a coin. A product of such factors, averaged over a beta distribution of p, is a nonnegative
supermartingale, so the chance that it ever exceeds 1/alpha is at most alpha (Ville). The interval is all μ at
which it does not (Robbins 1970, Ann. Math. Stat. 41; Howard, Ramdas, McAuliffe & Sekhon 2021, Ann. Stat. 49,
"Time-uniform, nonparametric, nonasymptotic confidence sequences", the beta-binomial mixture). It needs no variance
and no minimal count.

**A ratio.** Of two policies that are shown side by side, the reward that comes is the first's with probability
``q = n₁μ₁ / (n₁μ₁ + n₂μ₂)``, n being their impressions, whatever the hour does to both. The same factors with q in
the place of μ have an average of at most 1, so the interval of q is that of a rate, and the ratio's follows from
it (Lindon & Malek 2022, NeurIPS, "Anytime-valid inference for multinomial count data").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaln, expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: How often an interval may fail, over all times.
ALPHA = 0.05
#: What rates are averaged over: beta with mean 0.05. Any would do; intervals are narrowest where it expects them.
_RATE_PRIOR = 1.0, 19.0
#: The standard deviation of the logarithm of the ratios that are averaged over.
_RATIO_SPREAD = 0.3
_STEPS = 50
_FAR = 40.0  # a rate of e^-40 is none


def rate_interval(earned: Floats, impressions: Floats, alpha: float = ALPHA) -> tuple[Floats, Floats]:
    """The confidence sequence of a mean of values in [0, 1], now.

    Parameters
    ----------
    earned, impressions
        The sum of the values and their number, of one shape.
    alpha
        How often it may fail, over all times.

    Returns
    -------
    low, high
        0 and 1 where there were no impressions.

    Examples
    --------
    >>> low, high = rate_interval(np.array([50.0]), np.array([1000.0]))
    >>> print(f"{low[0]:.3f} {high[0]:.3f}")
    0.031 0.075
    """
    a, b = _RATE_PRIOR
    low, high = _inside(earned, impressions - earned, np.full(earned.shape, a), np.full(earned.shape, b), alpha)
    return expit(low), expit(high)


def ratio_interval(
    earned: Floats, impressions: Floats, other_earned: Floats, other_impressions: Floats, alpha: float = ALPHA
) -> tuple[Floats, Floats]:
    """The confidence sequence of the ratio of two policies' means, now.

    Parameters
    ----------
    earned, impressions, other_earned, other_impressions
        Sums of values in [0, 1] and their numbers; shapes that broadcast.
    alpha
        How often it may fail, over all times.

    Returns
    -------
    low, high
        0 and infinity where there is nothing to compare.

    Examples
    --------
    >>> low, high = ratio_interval(*(np.array([x]) for x in (6000.0, 100_000.0, 250.0, 5000.0)))
    >>> print(f"{low[0]:.2f} {high[0]:.2f}")
    0.99 1.47
    """
    earned, other_earned, impressions, other_impressions = np.broadcast_arrays(
        earned, other_earned, impressions, other_impressions
    )
    shown = (impressions > 0) & (other_impressions > 0)
    share = np.where(shown, impressions / np.maximum(impressions + other_impressions, 1e-300), 0.5)
    weight = _RATIO_SPREAD**-2 / (share * (1.0 - share))
    low, high = _inside(
        np.where(shown, earned, 0.0),
        np.where(shown, other_earned, 0.0),
        weight * share,
        weight * (1.0 - share),
        alpha,
    )
    odds = (1.0 - share) / share
    return np.exp(low) * odds, np.exp(high) * odds


def _inside(hits: Floats, misses: Floats, a: Floats, b: Floats, alpha: float) -> tuple[Floats, Floats]:
    """The log odds of the rates at which the mixture is at most 1/alpha: found by halving, all at once.

    It falls up to the observed rate, and grows from there.
    """
    misses = np.maximum(misses, 0.0)
    limit = np.log(1.0 / alpha) - betaln(a + hits, b + misses) + betaln(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.clip(np.log(hits) - np.log(misses), -_FAR, _FAR)
    middle = np.where(hits + misses > 0, middle, 0.0)
    bounds = []
    for end in (-_FAR, _FAR):
        outer, inner = np.full(middle.shape, end), middle.copy()
        for _ in range(_STEPS):
            half = 0.5 * (outer + inner)
            far = hits * np.logaddexp(0.0, -half) + misses * np.logaddexp(0.0, half) > limit
            outer, inner = np.where(far, half, outer), np.where(far, inner, half)
        bounds.append(outer)
    return np.where(hits > 0, bounds[0], -np.inf), np.where(misses > 0, bounds[1], np.inf)
