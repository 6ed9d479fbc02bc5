"""What each feature does for each artwork, against the others.

A score is a sum, ``Σ_f x_f w_kf`` over the features f of a context, so the difference between two artworks' scores
is one too, and each of its terms is what a feature does. An artwork is held against the mean of the others, or
against one of them::

    effect_kf = x_kf w_kf - mean over b ≠ k of x_bf w_bf

Artworks' posteriors are independent, so the variance of an effect is the sum of its parts' variances. Effects of
one artwork add up to the difference of its score to the others'; their deviations do not, as weights of one
artwork hang together: :attr:`stream.explanation.standing.Standing.best` is computed from the whole posterior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import ndtr

from stream.features import BIAS, CAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.explanation.learned import Learned

    Floats = NDArray[np.float64]


class Pull(Struct, frozen=True):
    """What one feature does for one artwork, against the others.

    Attributes
    ----------
    feature
        Its name: a theme, ``cast`` for the people the artwork shows, ``bias`` for what it is to everybody.
    value
        How much of it the member has: for ``cast``, the affinity to the people of this artwork.
    effect, sd
        How much it raises the artwork's expected reward above the others', and how well that is known.
    sure
        The probability that the effect has the sign that it has.
    prior
        The effect by the shared prior alone, before the title's own evidence; None where that is not known.
    """

    feature: str
    value: float
    effect: float
    sd: float
    sure: float
    prior: float | None


class Tendency(Struct, frozen=True):
    """Which artwork a feature speaks for most, whoever has it.

    Attributes
    ----------
    feature
        Its name.
    artwork_id
        The artwork it speaks for most.
    effect, sd, sure, prior
        As of :class:`Pull`, for a member who has this feature alone, in full.
    """

    feature: str
    artwork_id: str
    effect: float
    sd: float
    sure: float
    prior: float | None


class Effects:
    """Effects of d features on K artworks.

    Parameters
    ----------
    learned
        What is learned of the artworks that compete.
    x
        What each of them sees, shape (K, d).
    against
        The artwork that the others are held against; None: each against the mean of the others.

    Attributes
    ----------
    effect, sd
        By how much each raises the expected reward above the others', and how well that is known, shapes (K, d).
    prior
        The effects by the shared prior alone, shape (K, d); None where that is not known.
    """

    __slots__ = ("_space", "_x", "effect", "prior", "sd")

    def __init__(self, learned: Learned, x: Floats, against: str | None = None) -> None:
        self._space, self._x = learned.space, x
        variance = np.diagonal(learned.covariance, axis1=1, axis2=2)
        terms, spreads = x * learned.mean, x * x * variance
        shares = _shares(learned.artwork_ids, against)
        self.effect: Floats = terms - shares @ terms
        self.sd: Floats = np.sqrt(spreads + (shares * shares) @ spreads)
        if against is not None:
            self.sd[learned.artwork_ids.index(against)] = 0.0  # it does not differ from itself
        self.prior: Floats | None = None
        if learned.prior is not None:
            before = x * learned.prior
            self.prior = before - shares @ before

    def at(self, k: int, f: int) -> tuple[float, float, float, float | None]:
        """One effect: its size, its deviation, how sure its sign is, and its size by the prior alone."""
        effect, sd = float(self.effect[k, f]), float(self.sd[k, f])
        sure = float(ndtr(abs(effect) / sd)) if sd > 0.0 else 1.0
        return effect, sd, sure, None if self.prior is None else float(self.prior[k, f])

    def pulls(self, k: int) -> tuple[Pull, ...]:
        """What each feature does for an artwork, the largest effects first; what does nothing is left out."""
        found = [
            Pull(feature, float(self._x[k, f]), *self.at(k, f))
            for f, feature in enumerate(self._space.columns)
            if self.sd[k, f] > 0.0
        ]
        return tuple(sorted(found, key=lambda pull: (-abs(pull.effect), pull.feature)))


def _shares(artwork_ids: Sequence[str], against: str | None) -> Floats:
    """How much each artwork (column) counts in what another (row) is held against, shape (K, K)."""
    count = len(artwork_ids)
    if against is not None:
        shares = np.zeros((count, count))
        shares[:, artwork_ids.index(against)] = 1.0
        return shares
    return (np.ones((count, count)) - np.eye(count)) / max(count - 1, 1)


def tendencies(learned: Learned, shows_people: Sequence[bool] | None = None) -> tuple[Tendency, ...]:
    """Which artwork each feature speaks for most, the best known large effects first; the bias is left out.

    Empty for a title with a single artwork: there is nothing to choose.

    Parameters
    ----------
    learned
        What is learned of the title.
    shows_people
        Of each artwork whether it shows anybody, shape (K,): ``cast`` is nought for those that do not. None: all.
    """
    if len(learned.artwork_ids) < 2:
        return ()
    x = np.ones_like(learned.mean)
    if shows_people is not None and CAST in learned.space.columns:
        x[:, learned.space.columns.index(CAST)] = shows_people
    effects, found = Effects(learned, x), []
    for f, feature in enumerate(learned.space.columns):
        if feature == BIAS:
            continue
        k = int(effects.effect[:, f].argmax())
        if effects.sd[k, f] > 0.0:  # else nobody is shown
            found.append(Tendency(feature, learned.artwork_ids[k], *effects.at(k, f)))
    return tuple(sorted(found, key=lambda one: (one.sd - one.effect, one.feature)))
