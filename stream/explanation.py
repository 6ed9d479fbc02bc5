"""Why an artwork is chosen: what each theme, and the people it shows, do for it against the others.

A score is a sum, ``Σ_f x_f w_kf`` over the features f of a context, so the difference between two artworks' scores
is one too, and each of its terms is what a feature does. An artwork is held against the mean of the others, or
against one of them::

    effect_kf = x_kf w_kf - mean over b ≠ k of x_bf w_bf

Artworks' posteriors are independent, so the variance of an effect is the sum of its parts' variances. Effects of
one artwork add up to the difference of its score to the others'; their deviations do not, as weights of one
artwork hang together: :attr:`Standing.best` is computed from the whole posterior. All of it is in units of reward:
an effect of 0.02 makes members take two more of a hundred impressions, as far as is known.

The weights are those that nodes choose by: held ones, where the learner holds some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import ndtr

from stream.choosing.choice import propensities
from stream.choosing.page import MIN_SD, knows_nothing
from stream.choosing.propensity import win_probabilities
from stream.choosing.servable import popular_of
from stream.features import BIAS, CAST, FeatureSpace
from stream.learning.posterior import unpack_lower

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.choosing.servable import ServableTitle
    from stream.records import Snapshot

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


class Standing(Struct, frozen=True):
    """How one artwork stands with a member.

    Attributes
    ----------
    artwork_id
        Which.
    mean, sd
        Its expected reward, and how well that is known.
    prior
        The same by the shared prior alone; None where that is not known.
    best
        The probability that it is the best of all for this member, as far as is known.
    chance
        The exact probability with which it is chosen.
    pulls
        What each feature does for it, the largest effects first; those that do nothing are left out.
    """

    artwork_id: str
    mean: float
    sd: float
    prior: float | None
    best: float
    chance: float
    pulls: tuple[Pull, ...]


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


class Learned:
    """What is learned of a title's K artworks and d features, as arrays.

    Attributes
    ----------
    artwork_ids, space
        The artworks, and the features.
    mean
        The weights that nodes choose by, shape (K, d).
    covariance
        That of the weights, shape (K, d, d).
    prior
        The weights by the shared prior alone, shape (K, d); None where that is not known.
    popular
        Mean and standard deviation of each artwork's reward, whoever looks, shapes (K,); None where that is not
        known.
    """

    __slots__ = ("artwork_ids", "covariance", "mean", "popular", "prior", "space")

    def __init__(
        self,
        artwork_ids: Sequence[str],
        space: FeatureSpace,
        mean: Floats,
        covariance: Floats,
        prior: Floats | None,
        *,
        popular: tuple[Floats, Floats] | None = None,
    ) -> None:
        self.artwork_ids, self.space = tuple(artwork_ids), space
        self.mean, self.covariance, self.prior, self.popular = mean, covariance, prior, popular

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot) -> Learned:
        """From a record, with the prior that it starts from."""
        artworks = snapshot.artworks
        factor = unpack_lower(np.array([artwork.factor for artwork in artworks]), len(snapshot.features))
        return cls(
            [artwork.artwork_id for artwork in artworks],
            FeatureSpace(snapshot.features),
            np.array([artwork.held or artwork.mean for artwork in artworks]),
            factor @ np.swapaxes(factor, 1, 2),
            np.array([artwork.prior_mean for artwork in artworks]),
            popular=popular_of(snapshot),
        )

    @classmethod
    def of_servable(cls, title: ServableTitle) -> Learned:
        """From what a node serves, which keeps no prior."""
        return cls(title.artwork_ids, title.space, title.means, title.covariances, None, popular=title.popular)

    def only(self, artwork_ids: Sequence[str]) -> Learned:
        """The same of some of the artworks: those that compete."""
        kept = [i for i, artwork_id in enumerate(self.artwork_ids) if artwork_id in artwork_ids]
        return Learned(
            [self.artwork_ids[i] for i in kept],
            self.space,
            self.mean[kept],
            self.covariance[kept],
            None if self.prior is None else self.prior[kept],
            popular=None if self.popular is None else (self.popular[0][kept], self.popular[1][kept]),
        )

    def contexts(self, context: Mapping[str, float], cast: Sequence[float] | None = None) -> Floats:
        """What each artwork sees, shape (K, d): the context, and of ``cast`` its own affinity."""
        found = np.tile(self.space.vector(context), (len(self.artwork_ids), 1))
        if cast is not None and CAST in self.space.columns:
            found[:, self.space.columns.index(CAST)] = cast
        return found


def standings(
    learned: Learned,
    context: Mapping[str, float],
    cast: Sequence[float] | None = None,
    *,
    floor: float,
    exploration: float,
    against: str | None = None,
) -> tuple[Standing, ...]:
    """How every artwork stands with a member who gets a personal choice, in the catalogue's order.

    For a member of whom the model knows nothing (:func:`stream.choosing.page.knows_nothing`) what is popular
    decides: a model with the bias alone, of which no prior is known.

    Parameters
    ----------
    learned
        What is learned of the artworks that compete.
    context
        What all artworks see: :attr:`stream.choosing.choice.Choice.context` is one.
    cast
        The member's affinity to the people each artwork shows, shape (K,), see
        :func:`stream.features.cast_affinity`; None: to nobody.
    floor, exploration
        The settings ``uniform_floor`` and ``exploration``.
    against
        The artwork that the others are held against; None: each against the mean of the others.

    Examples
    --------
    A title with two artworks, learned from the bias and a taste for romance:

    >>> learned = Learned(
    ...     ["couple", "comedian"],
    ...     FeatureSpace(("bias", "romance")),
    ...     np.array([[0.10, 0.10], [0.12, -0.02]]),
    ...     np.array([0.02**2 * np.eye(2)] * 2),
    ...     np.array([[0.1, 0.0], [0.1, 0.0]]),
    ... )
    >>> couple, comedian = standings(learned, {"romance": 1.0}, floor=0.0, exploration=1.0)
    >>> f"{couple.mean:.2f} {comedian.mean:.2f} {couple.best:.4f} {couple.chance:.4f}"
    '0.20 0.10 0.9938 0.9938'
    >>> [(pull.feature, round(pull.effect, 2), pull.prior) for pull in couple.pulls]
    [('romance', 0.12, 0.0), ('bias', -0.02, 0.0)]
    """
    if learned.popular is not None and knows_nothing(learned.space, learned.space.vector(context), cast):
        mean, sd = learned.popular
        learned = Learned(learned.artwork_ids, FeatureSpace((BIAS,)), mean[:, None], sd[:, None, None] ** 2, None)
    x = learned.contexts(context, cast)
    mean, sd = _scores(learned, x)
    prior = None if learned.prior is None else np.einsum("kd,kd->k", x, learned.prior)
    best, chance = _best(mean, sd), _chances(mean, sd, floor, exploration)
    effects = _effects(learned, x, against)
    return tuple(
        Standing(
            artwork_id,
            float(mean[k]),
            float(sd[k]),
            None if prior is None else float(prior[k]),
            float(best[k]),
            float(chance[k]),
            _pulls(learned.space, x[k], effects, k),
        )
        for k, artwork_id in enumerate(learned.artwork_ids)
    )


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
    effect, sd, prior = _effects(learned, x, None)
    found = []
    for f, feature in enumerate(learned.space.columns):
        if feature == BIAS:
            continue
        k = int(effect[:, f].argmax())
        if not sd[k, f]:
            continue  # nobody is shown
        found.append(
            Tendency(
                feature,
                learned.artwork_ids[k],
                float(effect[k, f]),
                float(sd[k, f]),
                _sure(effect[k, f], sd[k, f]),
                None if prior is None else float(prior[k, f]),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.sd - one.effect, one.feature)))


def _scores(learned: Learned, x: Floats) -> tuple[Floats, Floats]:
    mean = np.einsum("kd,kd->k", x, learned.mean)
    variance = np.einsum("kd,kde,ke->k", x, learned.covariance, x)
    return mean, np.sqrt(np.maximum(variance, MIN_SD * MIN_SD))


def _best(mean: Floats, sd: Floats) -> Floats:
    """The probability of each artwork that its reward is the largest, shape (K,)."""
    count = len(mean)
    return win_probabilities(np.tile(mean, (count, 1)), np.tile(sd, (count, 1)), np.arange(count))


def _chances(mean: Floats, sd: Floats, floor: float, exploration: float) -> Floats:
    """The probability of each artwork that it is chosen, shape (K,)."""
    count = len(mean)
    narrowed = np.tile(np.maximum(exploration * sd, MIN_SD), (count, 1))
    return propensities(np.tile(mean, (count, 1)), narrowed, np.arange(count), np.full(count, count), floor)


def _effects(learned: Learned, x: Floats, against: str | None) -> tuple[Floats, Floats, Floats | None]:
    """Effects, their deviations and the prior's effects, each of shape (K, d)."""
    variance = np.diagonal(learned.covariance, axis1=1, axis2=2)
    terms, spreads = x * learned.mean, x * x * variance
    shares = _shares(learned, against)
    effect = terms - shares @ terms
    sd = np.sqrt(spreads + (shares * shares) @ spreads)
    if against is not None:
        sd[learned.artwork_ids.index(against)] = 0.0  # it does not differ from itself
    prior = None
    if learned.prior is not None:
        before = x * learned.prior
        prior = before - shares @ before
    return effect, sd, prior


def _shares(learned: Learned, against: str | None) -> Floats:
    """How much each artwork (column) counts in what another (row) is held against, shape (K, K)."""
    count = len(learned.artwork_ids)
    if against is not None:
        shares = np.zeros((count, count))
        shares[:, learned.artwork_ids.index(against)] = 1.0
        return shares
    return (np.ones((count, count)) - np.eye(count)) / max(count - 1, 1)


def _pulls(
    space: FeatureSpace, x: Floats, effects: tuple[Floats, Floats, Floats | None], k: int
) -> tuple[Pull, ...]:
    effect, sd, prior = effects
    found = [
        Pull(
            feature,
            float(x[f]),
            float(effect[k, f]),
            float(sd[k, f]),
            _sure(effect[k, f], sd[k, f]),
            None if prior is None else float(prior[k, f]),
        )
        for f, feature in enumerate(space.columns)
        if sd[k, f] > 0.0
    ]
    return tuple(sorted(found, key=lambda pull: (-abs(pull.effect), pull.feature)))


def _sure(effect: float, sd: float) -> float:
    return float(ndtr(abs(effect) / sd)) if sd > 0.0 else 1.0


def popular_standings(title: ServableTitle, *, floor: float, exploration: float) -> tuple[Standing, ...]:
    """How every artwork stands with members of whom nothing is looked at, in the catalogue's order.

    Parameters
    ----------
    title
        What is learned, with the artworks that compete.
    floor, exploration
        The settings ``uniform_floor`` and ``exploration``.
    """
    mean, sd = title.popular
    best, chance = _best(mean, sd), _chances(mean, sd, floor, exploration)
    return tuple(
        Standing(artwork_id, float(mean[k]), float(sd[k]), None, float(best[k]), float(chance[k]), ())
        for k, artwork_id in enumerate(title.artwork_ids)
    )
