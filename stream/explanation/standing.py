"""How each artwork stands with a member: its expected reward, how sure that is, and how likely it is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from stream.choosing.choice import propensities
from stream.choosing.page import MIN_SD, knows_nothing
from stream.choosing.propensity import win_probabilities
from stream.explanation.effects import Effects, Pull
from stream.explanation.learned import Learned
from stream.features import BIAS, FeatureSpace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.choosing.servable import ServableTitle

    Floats = NDArray[np.float64]


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
    effects = Effects(learned, x, against)
    pulls = [effects.pulls(k) for k in range(len(learned.artwork_ids))]
    return _standings(learned.artwork_ids, (mean, sd), prior, pulls, floor=floor, exploration=exploration)


def popular_standings(title: ServableTitle, *, floor: float, exploration: float) -> tuple[Standing, ...]:
    """How every artwork stands with members of whom nothing is looked at, in the catalogue's order.

    Parameters
    ----------
    title
        What is learned, with the artworks that compete.
    floor, exploration
        The settings ``uniform_floor`` and ``exploration``.
    """
    nothing: list[tuple[Pull, ...]] = [()] * len(title.artwork_ids)
    return _standings(title.artwork_ids, title.popular, None, nothing, floor=floor, exploration=exploration)


def _scores(learned: Learned, x: Floats) -> tuple[Floats, Floats]:
    mean = np.einsum("kd,kd->k", x, learned.mean)
    variance = np.einsum("kd,kde,ke->k", x, learned.covariance, x)
    return mean, np.sqrt(np.maximum(variance, MIN_SD * MIN_SD))


def _standings(
    artwork_ids: Sequence[str],
    scores: tuple[Floats, Floats],
    prior: Floats | None,
    pulls: Sequence[tuple[Pull, ...]],
    *,
    floor: float,
    exploration: float,
) -> tuple[Standing, ...]:
    """Standings from the mean and the standard deviation of each artwork's expected reward, shapes (K,)."""
    mean, sd = scores
    best, chance = _best(mean, sd), _chances(mean, sd, floor, exploration)
    return tuple(
        Standing(
            artwork_id,
            float(mean[k]),
            float(sd[k]),
            None if prior is None else float(prior[k]),
            float(best[k]),
            float(chance[k]),
            pulls[k],
        )
        for k, artwork_id in enumerate(artwork_ids)
    )


def _best(mean: Floats, sd: Floats) -> Floats:
    """The probability of each artwork that its reward is the largest, shape (K,)."""
    count = len(mean)
    return win_probabilities(np.tile(mean, (count, 1)), np.tile(sd, (count, 1)), np.arange(count))


def _chances(mean: Floats, sd: Floats, floor: float, exploration: float) -> Floats:
    """The probability of each artwork that it is chosen, shape (K,)."""
    count = len(mean)
    narrowed = np.tile(np.maximum(exploration * sd, MIN_SD), (count, 1))
    return propensities(np.tile(mean, (count, 1)), narrowed, np.arange(count), np.full(count, count), floor)
