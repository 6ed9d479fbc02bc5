"""What is learned of a title, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.choosing.servable import popular_of
from stream.features import CAST, FeatureSpace
from stream.learning.posterior import unpack_lower

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.choosing.servable import ServableTitle
    from stream.records import Snapshot

    Floats = NDArray[np.float64]


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
