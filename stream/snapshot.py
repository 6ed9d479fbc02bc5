"""What a serving node keeps of a snapshot: arrays, ready to score a context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.choice import artwork_keys, choose_thompson, choose_uniform, draws, floor_draw, key_of
from stream.features import FeatureSpace
from stream.posterior import unpack_lower

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stream.records import Policy, Snapshot

    Floats = NDArray[np.float64]


class ServableTitle:
    """A title's artworks and posteriors, parsed once.

    Attributes
    ----------
    artwork_ids
        The K artworks, in the catalogue's order.
    version, learned_through_ms, published_ms
        The snapshot's.
    impressions
        Exact counts, shape (K,).
    """

    __slots__ = (
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
        self._space = FeatureSpace(snapshot.features)
        d = len(snapshot.features)
        self._mean: Floats = np.array([artwork.mean for artwork in snapshot.artworks])
        self._factor: Floats = unpack_lower(np.array([artwork.factor for artwork in snapshot.artworks]), d)
        self._keys = artwork_keys(self.title_id, self.artwork_ids)
        self._title_key = key_of(self.title_id)
        self.impressions = np.array([artwork.impressions for artwork in snapshot.artworks])
        self._popular = _without_context(snapshot)

    def scores(self, context: Mapping[str, float], policy: Policy) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each artwork's expected reward, both of shape (K,).

        ``popular`` sees no context: its model is the mean reward alone.
        """
        if policy == "popular":
            return self._popular
        x = self._space.vector(context)
        spread = x @ self._factor
        return self._mean @ x, np.sqrt(np.einsum("kj,kj->k", spread, spread))

    def choose(
        self, context: Mapping[str, float], policy: Policy, member_key: int, bucket: int, floor: float
    ) -> tuple[int, float]:
        """The artwork's index for a member, and its exact propensity: a pure function of the arguments."""
        z = draws(member_key, bucket, self._keys)
        if policy == "explore":
            return choose_uniform(z)
        mean, sd = self.scores(context, policy)
        return choose_thompson(mean, sd, z, floor_draw(member_key, bucket, self._title_key), floor)


def _without_context(snapshot: Snapshot) -> tuple[Floats, Floats]:
    """The same Gaussian model with the bias as its only feature: S is the count, c the summed reward."""
    noise, prior = snapshot.model.noise_precision, snapshot.model.prior_precision[0]
    count = np.array([artwork.impressions for artwork in snapshot.artworks], dtype=np.float64)
    reward = np.array([artwork.reward for artwork in snapshot.artworks])
    prior_mean = np.array([artwork.prior_mean[0] for artwork in snapshot.artworks])
    precision = prior + noise * count
    return (prior * prior_mean + noise * reward) / precision, 1.0 / np.sqrt(precision)
