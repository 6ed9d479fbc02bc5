"""What a logged impression says of a policy that was not followed: the estimators, row by row.

Each function gives a value for every row; what the policy would have earned is their mean (of :func:`replay` and
:func:`snips`: the ratio of two means). They are the textbook's:

==========  ==========================================================================================
replay      Li, Chu, Langford & Wang 2011: the rows at which the policy wants what happens to be shown
ips         Horvitz & Thompson 1952: each row weighed by how much likelier the policy makes what is shown
snips       Swaminathan & Joachims 2015: the same, divided by the mean weight instead of by 1
dm          what a model of the rewards says of all that the policy might have shown
dr          Dudík, Langford & Li 2011: dm, and ips of what the model leaves unexplained
switch_dr   Wang, Agarwal & Dudík 2017: dr, but where a weight is large the model alone
==========  ==========================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: Rows that weigh more are left to the reward model by switch-DR.
SWITCH = 10.0


def weights(chances: Floats, place: Ints, propensity: Floats) -> Floats:
    """How much likelier the policy makes what was shown than the log did, shape (n,).

    Parameters
    ----------
    chances
        How likely the policy is to show each artwork, shape (n, K).
    place
        What was shown, shape (n,).
    propensity
        How likely that was, shape (n,).
    """
    found: Floats = chances[np.arange(len(place)), place] / propensity
    return found


def replay(wanted: Ints, place: Ints, reward: Floats) -> tuple[Floats, Floats]:
    """The reward where what is wanted was shown, and whether it was: the estimate is the ratio of their means.

    >>> earned, match = replay(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([1.0, 1.0, 0.0]))
    >>> float(earned.mean() / match.mean())
    0.5
    """
    match = (wanted == place).astype(np.float64)
    return match * reward, match


def ips(weight: Floats, reward: Floats) -> Floats:
    """Inverse propensity scoring.

    >>> float(ips(np.array([2.0, 0.0]), np.array([1.0, 1.0])).mean())
    1.0
    """
    return weight * reward


def snips(weight: Floats, reward: Floats) -> tuple[Floats, Floats]:
    """Self-normalised: :func:`ips` and the weights; the estimate is the ratio of their means."""
    return weight * reward, weight


def dm(chances: Floats, expected: Floats) -> Floats:
    """The direct method: what a model expects of each artwork, shape (n, K), averaged as the policy shows it."""
    found: Floats = np.einsum("nk,nk->n", chances, expected)
    return found


def dr(chances: Floats, expected: Floats, place: Ints, weight: Floats, reward: Floats) -> Floats:
    """Doubly robust: right if the propensities are, or if the model is."""
    return dm(chances, expected) + weight * (reward - expected[np.arange(len(place)), place])


def switch_dr(  # noqa: PLR0917 - those of dr, and where to switch
    chances: Floats, expected: Floats, place: Ints, weight: Floats, reward: Floats, switch: float = SWITCH
) -> Floats:
    """:func:`dr` with no correction by rows that weigh more than ``switch``: a little bias for less variance."""
    return dr(chances, expected, place, np.where(weight <= switch, weight, 0.0), reward)


def effective(total: float, squares: float) -> float:
    """The effective sample size of weights, given their sum and that of their squares (Kish 1965).

    >>> effective(10.0, 10.0), effective(10.0, 50.0)
    (10.0, 2.0)
    """
    return total * total / squares if squares > 0 else 0.0
