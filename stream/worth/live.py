"""What personalisation is worth, from sums alone, with intervals that hold whenever and however often one looks.

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

**Members come back.** Their impressions hang together, and both of the above are about independent ones. So how
far the groups of members (:mod:`stream.worth.policies`) lie apart is held against how far independent impressions
would: the sums are divided by that design effect (Kish 1965), which makes them those of as many independent
impressions as they are worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import betaln, expit

from stream.worth.policies import GROUPS, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: How often an interval may fail, over all times.
ALPHA = 0.05
#: What rates are averaged over: beta with mean 0.05. Any would do; intervals are narrowest where it expects them.
_RATE_PRIOR = 1.0, 19.0
#: The standard deviation of the logarithm of the ratios that are averaged over.
_RATIO_SPREAD = 0.3
#: An estimate of the design effect needs so much reward of a policy: one a group.
_LEAST_REWARD = float(GROUPS)
_STEPS = 50
_FAR = 40.0  # a rate of e^-40 is none

#: Whom the personal choice is compared with.
COMPARED = ("popular", "explore", "app")


class Earned(Struct, frozen=True):
    """What a policy has earned.

    ``low`` and ``high`` are the interval of ``take_rate``; None where there were no impressions.
    """

    impressions: int
    plays: int
    reward: float
    take_rate: float | None = None
    low: float | None = None
    high: float | None = None
    mean_reward: float | None = None
    mean_reward_low: float | None = None
    mean_reward_high: float | None = None


class Lift(Struct, frozen=True):
    """The mean reward of a personal choice as a multiple of another policy's.

    ``ratio`` is None before either has earned anything, ``high`` where nothing limits it yet.
    """

    ratio: float | None
    low: float
    high: float | None


class Worth(Struct, frozen=True):
    """What the policies have earned, and the personal choice relative to the others.

    Attributes
    ----------
    policies
        personal, popular, explore and, if the app chose anything itself, app.
    lift
        Of personal over popular, explore and app.
    agreed, disagreed
        Of the app's own choices those that Keyart would have made too, and the others.
    agreed_lift
        The former as a multiple of the latter.
    design_effect
        How many impressions are worth one that is independent of all others, cautiously.
    """

    policies: dict[str, Earned]
    lift: dict[str, Lift]
    agreed: Earned
    disagreed: Earned
    agreed_lift: Lift
    design_effect: float


_POLICIES = ("personal", "popular", "explore", "app")
_SPLIT = (*_POLICIES, "agreed", "disagreed")
_PAIRS = (*((0, _POLICIES.index(name)) for name in COMPARED), (4, 5))


def worth_of(titles: Sequence[Floats]) -> list[Worth]:
    """What each of several sums is worth: of shape (policies, groups, sums), see :mod:`stream.worth.policies`."""
    if not titles:
        return []
    grouped = np.stack([_split(sums) for sums in titles])
    effect = design_effect(grouped[:, : len(_POLICIES)])
    sums = grouped.sum(axis=2)
    impressions, plays, reward = np.moveaxis(sums / effect[:, None, None], 2, 0)
    bounds = np.stack([*rate_interval(plays, impressions), *rate_interval(reward, impressions)], axis=2)
    ours, theirs = np.array(_PAIRS).T
    ratios = np.stack(
        ratio_interval(reward[:, ours], impressions[:, ours], reward[:, theirs], impressions[:, theirs]), axis=2
    )
    found = []
    for t in range(len(titles)):
        earned = {name: _earned(sums[t, i], *bounds[t, i]) for i, name in enumerate(_SPLIT)}
        lifts = [_lift(sums[t, one], sums[t, other], *ratios[t, i]) for i, (one, other) in enumerate(_PAIRS)]
        told = _POLICIES if earned["app"].impressions else _POLICIES[:-1]
        found.append(
            Worth(
                policies={name: earned[name] for name in told},
                lift={name: lifts[i] for i, name in enumerate(COMPARED) if name in told},
                agreed=earned["agreed"],
                disagreed=earned["disagreed"],
                agreed_lift=lifts[-1],
                design_effect=float(effect[t]),
            )
        )
    return found


def _split(sums: Floats) -> Floats:
    """Shape (6, groups, sums): those of app are both where Keyart agreed and where it did not."""
    agreed, disagreed = sums[ROWS.index("agreed")], sums[ROWS.index("disagreed")]
    return np.stack([*(sums[ROWS.index(name)] for name in _POLICIES[:3]), agreed + disagreed, agreed, disagreed])


def design_effect(sums: Floats) -> Floats:
    """How many impressions are worth one that is independent of all others, cautiously; at least 1.

    The variance of the reward between groups, relative to that of as many independent impressions, averaged over
    the policies that have earned enough for it. Of so few groups it is known to ``sqrt(2 / (15 policies))`` of
    itself: that much is added.

    Parameters
    ----------
    sums
        Shape (…, policies, groups, sums); the policies have no member in common.

    Returns
    -------
    Shape (…).
    """
    impressions, reward = sums[..., 0], sums[..., 2]
    total, earned = impressions.sum(axis=-1), reward.sum(axis=-1)
    enough = (earned >= _LEAST_REWARD) & (earned < total)
    rate = np.where(enough, earned / np.maximum(total, 1.0), 0.5)
    spread = ((reward - rate[..., None] * impressions) ** 2).sum(axis=-1) * GROUPS / (GROUPS - 1)
    relative = np.where(enough, spread / np.where(enough, earned * (1.0 - rate), 1.0), 0.0)
    policies = np.maximum(enough.sum(axis=-1), 1)
    caution = 1.0 + np.sqrt(2.0 / ((GROUPS - 1) * policies))
    found: Floats = np.maximum(caution * relative.sum(axis=-1) / policies, 1.0)
    return found


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


def _earned(sums: Floats, *bounds: float) -> Earned:
    impressions, plays, reward = sums.tolist()
    if not impressions:
        return Earned(0, round(plays), reward)
    low, high, reward_low, reward_high = map(float, bounds)
    return Earned(
        *(round(impressions), round(plays), reward, plays / impressions, low, high),
        *(reward / impressions, reward_low, reward_high),
    )


def _lift(ours: Floats, theirs: Floats, low: float, high: float) -> Lift:
    ratio = None
    if ours[0] and theirs[0] and theirs[2] > 0:
        ratio = float((ours[2] / ours[0]) / (theirs[2] / theirs[0]))
    return Lift(ratio, float(low), float(high) if np.isfinite(high) else None)
