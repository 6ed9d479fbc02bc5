"""What a serving node keeps of a snapshot: arrays, ready to score a context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from stream.choice import artwork_keys, choose_thompson, choose_uniform, draws, floor_draw, key_of
from stream.features import CAST, FeatureSpace
from stream.posterior import unpack_lower

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.records import Policy, Snapshot

    Floats = NDArray[np.float64]

#: No score is known better than this, so that a propensity can always be computed.
MIN_SD = 1e-9


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

    Raises
    ------
    ValueError
        The snapshot cannot be chosen from: it has no artworks, lists one twice, does not begin with the bias, or
        holds a number that no posterior has. The message names the fault.
    """

    __slots__ = (
        "_cast",
        "_factor",
        "_keys",
        "_mean",
        "_popular",
        "_space",
        "_title_key",
        "artwork_ids",
        "impressions",
        "learned_through_ms",
        "published_ms",
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
        self._space = FeatureSpace(snapshot.features)
        self._cast = snapshot.features.index(CAST) if CAST in snapshot.features else None
        d = len(snapshot.features)
        self._mean: Floats = np.array([artwork.held or artwork.mean for artwork in snapshot.artworks])
        self._factor: Floats = unpack_lower(np.array([artwork.factor for artwork in snapshot.artworks]), d)
        if not (np.isfinite(self._mean).all() and np.isfinite(self._factor).all()):
            raise ValueError("a mean or factor is not finite")
        if (np.diagonal(self._factor, axis1=1, axis2=2) <= 0.0).any():
            raise ValueError("a factor's diagonal is not positive: it is no Cholesky factor")
        self._keys = artwork_keys(self.title_id, self.artwork_ids)
        self._title_key = key_of(self.title_id)
        self.impressions: Floats = np.array([float(artwork.impressions) for artwork in snapshot.artworks])
        self._popular = _popular(snapshot) or _without_context(snapshot, self.impressions)

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
        for name in ("title_id", "version", "learned_through_ms", "published_ms", "_cast", "_space", "_title_key"):
            setattr(part, name, getattr(self, name))
        part.artwork_ids = tuple(self.artwork_ids[i] for i in kept)
        part._mean, part._factor, part._keys = self._mean[kept], self._factor[kept], self._keys[kept]
        part.impressions = self.impressions[kept]
        part._popular = self._popular[0][kept], self._popular[1][kept]
        return part

    def scores(
        self, context: Mapping[str, float], policy: Policy, cast: Sequence[float] | None = None
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
        if policy == "popular":
            return self._popular
        x = self._space.vector(context)
        mean, spread = self._mean @ x, x @ self._factor
        if cast is not None and self._cast is not None:
            affinity = np.asarray(cast)
            mean = mean + affinity * self._mean[:, self._cast]
            spread = spread + affinity[:, None] * self._factor[:, self._cast]
        sd = np.sqrt(np.einsum("kj,kj->k", spread, spread))
        return mean, np.maximum(sd, MIN_SD)

    def choose(
        self,
        context: Mapping[str, float],
        policy: Policy,
        member_key: int,
        bucket: int,
        *,
        floor: float,
        exploration: float = 1.0,
        cast: Sequence[float] | None = None,
        lowered: Floats | None = None,
    ) -> tuple[int, float]:
        """The artwork's index for a member, and its exact propensity: a pure function of the arguments.

        Parameters
        ----------
        context, policy, cast
            As for :meth:`scores`; ``explore`` chooses uniformly.
        member_key, bucket
            Whose draws, and which.
        floor
            The share of uniform choice.
        exploration
            The width of the draw: 1 is Thompson sampling's, next to nothing is greedy.
        lowered
            By how much each artwork's mean score is lowered, in parts of the mean of them all, shape (K,); None:
            not at all. It is what :mod:`stream.page` asks for, and nothing to a uniform choice.
        """
        z = draws(member_key, bucket, self._keys)
        if policy == "explore":
            return choose_uniform(z)
        mean, sd = self.scores(context, policy, cast)
        sd = np.maximum(exploration * sd, MIN_SD)
        if lowered is not None:
            mean = mean - lowered * max(float(mean.sum()) / len(mean), 0.0)
        return choose_thompson(mean, sd, z, floor_draw(member_key, bucket, self._title_key), floor)


def _popular(snapshot: Snapshot) -> tuple[Floats, Floats] | None:
    """Mean and standard deviation of each artwork's reward, whoever looks, as the learner has them."""
    if any(artwork.popular is None for artwork in snapshot.artworks):
        return None
    mean, sd = np.array([artwork.popular for artwork in snapshot.artworks]).T
    if not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd > 0.0).all()):
        raise ValueError("what is popular has a number that is not finite, or a deviation that is not above 0")
    return mean, np.maximum(sd, MIN_SD)


def _without_context(snapshot: Snapshot, impressions: Floats) -> tuple[Floats, Floats]:
    """The same Gaussian model with the bias as its only feature: S is the count, c the summed reward.

    An artwork starts from its title's mean reward: the bias of the prior alone says what a member without any
    taste would do.
    """
    noise, prior = snapshot.model.noise_precision, snapshot.model.prior_precision[0]
    if not (0.0 < prior < np.inf and 0.0 < noise < np.inf):
        raise ValueError("a precision is not a positive number")
    reward = np.array([artwork.reward for artwork in snapshot.artworks])
    prior_mean = np.array([artwork.prior_mean[0] for artwork in snapshot.artworks])
    if impressions.sum() > 0 and np.isfinite(prior_mean).all():
        prior_mean[:] = reward.sum() / impressions.sum()
    precision = prior + noise * impressions
    mean = (prior * prior_mean + noise * reward) / precision
    if not np.isfinite(mean).all():
        raise ValueError("a reward or prior mean is not finite")
    return mean, np.maximum(1.0 / np.sqrt(precision), MIN_SD)
