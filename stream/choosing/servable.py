"""What a serving node keeps of a snapshot: arrays, ready to score a context."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np

from stream.choosing.choice import artwork_keys, floor_keys, key_of
from stream.choosing.page import MIN_SD, choose_artworks, quadratic, score
from stream.features import CAST, FeatureSpace
from stream.learning.posterior import unpack_lower, unpack_symmetric

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.records import Rule, Snapshot

    Floats = NDArray[np.float64]


class ServableTitle:
    """A title's artworks and posteriors, parsed once.

    Attributes
    ----------
    title_id
        Whose.
    artwork_ids
        The K artworks, in the catalogue's order.
    version, learned_through_ms, published_ms
        The snapshot's.
    impressions
        Exact counts, shape (K,).
    key
        The hashed name of the title.
    draw_keys
        What its draws are made from, see :func:`stream.choosing.choice.page_draws`: shape (1 + K,).
    space
        The d features.
    model
        Of each artwork the mean of its weights, and their covariance as it is multiplied with a context: shape
        (K, d + d (d + 1) / 2), see :func:`stream.choosing.page.both_moments`.
    popular
        Mean and standard deviation of each artwork's reward, whoever looks, shapes (K,).

    Raises
    ------
    ValueError
        The snapshot cannot be chosen from: it has no artworks, lists one twice, does not begin with the bias, or
        holds a number that no posterior has. The message names the fault.
    """

    __slots__ = (
        "artwork_ids",
        "draw_keys",
        "impressions",
        "key",
        "learned_through_ms",
        "model",
        "popular",
        "published_ms",
        "space",
        "title_id",
        "version",
    )

    def __init__(self, snapshot: Snapshot) -> None:
        self.title_id = snapshot.title_id
        self.version = snapshot.version
        self.learned_through_ms = snapshot.learned_through_ms
        self.published_ms = snapshot.published_ms
        self.artwork_ids = tuple(artwork.artwork_id for artwork in snapshot.artworks)
        if not self.artwork_ids:
            raise ValueError("it lists no artworks")
        if len(set(self.artwork_ids)) < len(self.artwork_ids):
            raise ValueError("it lists an artwork twice")
        self.space = _space(snapshot.features)
        d = len(self.space)
        mean = np.array([artwork.held or artwork.mean for artwork in snapshot.artworks])
        factor = unpack_lower(np.array([artwork.factor for artwork in snapshot.artworks]), d)
        if not (np.isfinite(mean).all() and np.isfinite(factor).all()):
            raise ValueError("a mean or factor is not finite")
        if (np.diagonal(factor, axis1=1, axis2=2) <= 0.0).any():
            raise ValueError("a factor's diagonal is not positive: it is no Cholesky factor")
        self.model: Floats = np.concatenate([mean, quadratic(factor @ np.swapaxes(factor, 1, 2))], axis=1)
        self.key = key_of(self.title_id)
        floor_key = floor_keys(np.array([self.key], dtype=np.uint64))
        self.draw_keys = np.append(floor_key, artwork_keys(self.title_id, self.artwork_ids))
        self.impressions: Floats = np.array([float(artwork.impressions) for artwork in snapshot.artworks])
        self.popular = popular_of(snapshot)

    def only(self, artwork_ids: Collection[str]) -> Self | None:
        """The same title with those artworks alone: itself if it has no others, None if it has none of them.

        An artwork that the catalogue no longer lists is not shown, even before a learner has said so. Draws
        depend on an artwork's own name, so only the members who had a withdrawn one see another.
        """
        kept = [i for i, artwork_id in enumerate(self.artwork_ids) if artwork_id in artwork_ids]
        if len(kept) == len(self.artwork_ids):
            return self
        if not kept:
            return None
        part = object.__new__(type(self))
        for name in ("title_id", "key", "version", "learned_through_ms", "published_ms", "space"):
            setattr(part, name, getattr(self, name))
        part.artwork_ids = tuple(self.artwork_ids[i] for i in kept)
        part.model = self.model[kept]
        part.draw_keys = self.draw_keys[[0, *(1 + i for i in kept)]]
        part.impressions = self.impressions[kept]
        part.popular = self.popular[0][kept], self.popular[1][kept]
        return part

    @property
    def means(self) -> Floats:
        """The mean of each artwork's weights, shape (K, d)."""
        return self.model[:, : len(self.space)]

    @property
    def covariances(self) -> Floats:
        """The covariance of each artwork's weights, shape (K, d, d)."""
        d = len(self.space)
        halved = unpack_symmetric(self.model[:, d:], d) / 2.0
        halved[:, np.arange(d), np.arange(d)] *= 2.0
        return halved

    def add_cast(self, moments: Floats, x: Floats, cast: Sequence[float]) -> None:
        """Add what the people whom the artworks show do to the moments of the K artworks' scores.

        Parameters
        ----------
        moments
            Mean and variance of each score by what all artworks see, shape (K or more, 2).
        x
            What they see, shape (d,).
        cast
            The member's affinity to the people each artwork shows, shape (K,).
        """
        if CAST in self.space.columns:
            more, place = np.asarray(cast), self.space.columns.index(CAST)
            covariance = self.covariances[:, place]
            moments[: len(more), 0] += more * self.model[:, place]
            moments[: len(more), 1] += more * (2.0 * (covariance @ x) + more * covariance[:, place])

    def scores(
        self, context: Mapping[str, float], policy: Rule, cast: Sequence[float] | None = None
    ) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each artwork's expected reward, both of shape (K,).

        Parameters
        ----------
        context
            What all artworks see.
        policy
            ``popular`` sees no context: its model is the mean reward alone.
        cast
            The member's affinity to the people each artwork shows, shape (K,); None: to nobody.
        """
        mean, sd = score([self], len(self.artwork_ids), context, policy, [cast])
        return mean[0], sd[0]

    def choose(
        self,
        context: Mapping[str, float],
        policy: Rule,
        member_key: int,
        bucket: int,
        *,
        floor: float,
        exploration: float = 1.0,
        cast: Sequence[float] | None = None,
    ) -> tuple[int, float]:
        """The artwork's index for a member, and its exact propensity: :func:`choose_artworks` of one title."""
        places, propensities = choose_artworks(
            *([self], context, policy, member_key, np.array([bucket])),
            floor=floor,
            exploration=exploration,
            casts=[cast],
        )
        return int(places[0]), float(propensities[0])


def popular_of(snapshot: Snapshot) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each artwork's reward, whoever looks, shapes (K,).

    Raises
    ------
    ValueError
        A number is not what one of the kind may be.
    """
    return _popular(snapshot) or _without_context(snapshot)


def _popular(snapshot: Snapshot) -> tuple[Floats, Floats] | None:
    """Mean and standard deviation of each artwork's reward, whoever looks, as the learner has them."""
    if any(artwork.popular is None for artwork in snapshot.artworks):
        return None
    mean, sd = np.array([artwork.popular for artwork in snapshot.artworks]).T
    if not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd > 0.0).all()):
        raise ValueError("what is popular has a number that is not finite, or a deviation that is not above 0")
    return mean, np.maximum(sd, MIN_SD)


def _without_context(snapshot: Snapshot) -> tuple[Floats, Floats]:
    """The same Gaussian model with the bias as its only feature: S is the count, c the summed reward.

    An artwork starts from its title's mean reward: the bias of the prior alone says what a member without any
    taste would do.
    """
    noise, prior = snapshot.model.noise_precision, snapshot.model.prior_precision[0]
    if not (0.0 < prior < np.inf and 0.0 < noise < np.inf):
        raise ValueError("a precision is not a positive number")
    impressions = np.array([float(artwork.impressions) for artwork in snapshot.artworks])
    reward = np.array([artwork.reward for artwork in snapshot.artworks])
    prior_mean = np.array([artwork.prior_mean[0] for artwork in snapshot.artworks])
    if impressions.sum() > 0 and np.isfinite(prior_mean).all():
        prior_mean[:] = reward.sum() / impressions.sum()
    precision = prior + noise * impressions
    mean = (prior * prior_mean + noise * reward) / precision
    if not np.isfinite(mean).all():
        raise ValueError("a reward or prior mean is not finite")
    return mean, np.maximum(1.0 / np.sqrt(precision), MIN_SD)


@lru_cache(maxsize=64)
def _space(features: tuple[str, ...]) -> FeatureSpace:
    """One and the same for every title that has these features, so that a page's context is put into it once."""
    return FeatureSpace(features)
