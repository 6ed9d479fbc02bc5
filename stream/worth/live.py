"""What personalisation is worth, from sums alone, with intervals that hold whenever and however often one looks.

The intervals are confidence sequences (:mod:`stream.worth.confidence_sequences`) of each policy's rates, and of
their ratios.

**Members come back.** Their impressions hang together, and confidence sequences are about independent ones. So how
far the groups of members (:mod:`stream.worth.policies`) lie apart is held against how far independent impressions
would: the sums are divided by that design effect (Kish 1965), which makes them those of as many independent
impressions as they are worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from stream.worth.confidence_sequences import rate_interval, ratio_interval
from stream.worth.policies import GROUPS, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: An estimate of the design effect needs so much reward of a policy: one a group.
_LEAST_REWARD = float(GROUPS)

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
