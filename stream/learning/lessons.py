"""What titles teach about artwork in general, as sums that add up, and what is made of them.

The model is :mod:`stream.learning.prior`'s: w says how taste for a feature meets artwork tagged with it, the
strength τ how far artworks spread around what that and their title make expected. Both are averaged over a grid by
their evidence, tempered because rewards are not Gaussian: the strength of largest evidence collapses to "artworks
do not differ" on thin data, and greedy choice then never finds out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The strengths that are weighed against each other: how far artworks of a title spread around the prior, τ.
STRENGTHS = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
#: Log-weights of the strengths before any data: artworks are taken to differ until it is seen that they do not.
_BELIEF = np.array([-8.0, -4.0, -1.0, 0.0, 0.0])
#: The share of its evidence that a title's data is believed.
_TEMPER = 0.3
#: Artworks are taken to differ by so much more than the evidence says: chosen artworks look more alike than those
#: they were chosen from, and to believe too small a difference costs more than too large a one.
_CAUTION = 2.0
#: The spread of the bias around the prior, as a share of that of the other features.
_BIAS_SHARE = 0.1
#: Prior precisions of w that are weighed against each other: how much tags may say.
_WEIGHT_PRECISIONS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
#: Prior precision of w's first element: what it is worth to show more.
_SHOWN_PRECISION = 4.0
#: The catalogue's take rate starts at 1 in 20.
_FIRST_REWARDS, _FIRST_IMPRESSIONS = 1.0, 20.0


@dataclass(frozen=True, slots=True)
class Lessons:
    """What some titles teach, as sums; those of disjoint sets of titles add up.

    Attributes
    ----------
    features
        The d names that the arrays' axes stand for.
    context
        The sum of the impressions' contexts after forgetting, shape (d,); of the bias: their number.
    reward
        Their total reward, after forgetting.
    precision, moment
        Of w: shapes (d, d) and (d,).
    evidence
        Log evidence of each of the :data:`STRENGTHS`, shape (G,).
    """

    features: tuple[str, ...]
    context: Floats
    reward: float
    precision: Floats
    moment: Floats
    evidence: Floats

    @classmethod
    def none(cls, features: Sequence[str]) -> Lessons:
        """What no title teaches."""
        d = len(features)
        return cls(tuple(features), np.zeros(d), 0.0, np.zeros((d, d)), np.zeros(d), np.zeros(len(STRENGTHS)))

    def over(self, features: Sequence[str]) -> Lessons:
        """The same for another list of features: what is new in it was never seen, what it lacks is dropped."""
        if tuple(features) == self.features:
            return self
        here = [i for i, name in enumerate(features) if name in self.features]
        there = [self.features.index(features[i]) for i in here]
        d = len(features)
        context, precision, moment = np.zeros(d), np.zeros((d, d)), np.zeros(d)
        context[here] = self.context[there]
        precision[np.ix_(here, here)] = self.precision[np.ix_(there, there)]
        moment[here] = self.moment[there]
        return Lessons(tuple(features), context, self.reward, precision, moment, self.evidence)


def together(lessons: Iterable[Lessons], features: Sequence[str]) -> Lessons:
    """The sum of what several sets of titles teach, for one list of features."""
    parts = [part.over(features) for part in lessons]
    none = Lessons.none(features)
    return Lessons(
        none.features,
        sum((part.context for part in parts), none.context),
        sum((part.reward for part in parts), 0.0),
        sum((part.precision for part in parts), none.precision),
        sum((part.moment for part in parts), none.moment),
        sum((part.evidence for part in parts), none.evidence),
    )


@dataclass(frozen=True, slots=True)
class Taught:
    """What a learner makes of all lessons.

    Attributes
    ----------
    features
        The d features.
    rate
        The catalogue's take rate.
    weights
        w, shape (d,).
    centre
        x̄, the mean context, shape (d,): 0 for the bias.
    strength
        τ: how far artworks spread around their prior, relative to their title's take rate.
    """

    features: tuple[str, ...]
    rate: float
    weights: Floats
    centre: Floats
    strength: float

    @property
    def spread(self) -> Floats:
        """τ of each feature, shape (d,)."""
        return spread_of(self.strength, len(self.features))

    def differs_from(self, other: Taught, share: float) -> bool:
        """Whether anything moved by more than a share of it (w: of its length, or of a tenth)."""
        if self.features != other.features:
            return True
        moved = float(np.linalg.norm(self.weights - other.weights))
        return (
            moved > share * max(float(np.linalg.norm(other.weights)), 0.1)
            or float(np.linalg.norm(self.centre - other.centre)) > share * float(np.linalg.norm(other.centre))
            or abs(self.rate - other.rate) > share * other.rate
            or abs(self.strength - other.strength) > share * other.strength
        )


def learn_from(lessons: Lessons) -> Taught:
    """Solve w, and weigh the strengths.

    >>> learn_from(Lessons.none(("bias", "romance"))).rate
    0.05
    """
    impressions = float(lessons.context[0])
    rate = (lessons.reward + _FIRST_REWARDS) / (impressions + _FIRST_IMPRESSIONS)
    weights = _weights(lessons)
    centre = lessons.context / max(impressions, 1.0)
    centre[0] = 0.0
    belief = _TEMPER * lessons.evidence + _BELIEF
    share = np.exp(belief - belief.max())
    strength = _CAUTION * float(np.exp(np.dot(share / share.sum(), np.log(STRENGTHS))))
    return Taught(lessons.features, float(min(max(rate, 1e-6), 0.5)), weights, centre, strength)


def _weights(lessons: Lessons) -> Floats:
    """The w of each of the :data:`_WEIGHT_PRECISIONS`, averaged by their evidence (Bishop, equation 3.86).

    Where tags say nothing the evidence is for a w close to 0, and nothing is made of chance.
    """
    found, evidence = [], []
    for precision in _WEIGHT_PRECISIONS:
        prior = np.full(len(lessons.features), precision)
        prior[0] = _SHOWN_PRECISION
        posterior = lessons.precision + np.diag(prior)
        weights = np.linalg.solve(posterior, lessons.moment)
        volume = np.linalg.slogdet(posterior)[1] - np.log(prior).sum()
        found.append(weights)
        evidence.append(0.5 * (lessons.moment @ weights - volume))
    share = np.exp(_TEMPER * (np.array(evidence) - max(evidence)))
    averaged: Floats = (share / share.sum()) @ np.array(found)
    return averaged


def spread_of(strength: float, d: int) -> Floats:
    """τ of each of d features: the bias' is smaller."""
    spread = np.full(d, strength)
    spread[0] = _BIAS_SHARE * strength
    return spread
