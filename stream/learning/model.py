"""The model of one artwork: River's Bayesian linear regression, taught by impressions and by late rewards.

A linear-Gaussian model is two sums, S = Σ x xᵀ over impressions and c = Σ r x over rewards. So an impression can
be learned when it is shown and its reward whenever it comes, in any order, and the model ends equal to the one
trained on the joined rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from river import proba
from river.linear_model import BayesianLinearRegression
from river.utils import dataframe

from stream.learning.posterior import solve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class ArtworkModel(BayesianLinearRegression):  # type: ignore[misc]
    """Bayesian linear regression whose rewards may come later than what they reward.

    ``learn_one(x, y)`` is River's, and equals ``learn_impression(x)`` followed, at any later time, by
    ``learn_reward(x, y)``. Learning only adds; the posterior is solved when it is next asked for.

    Parameters
    ----------
    prior_precision
        λ > 0, one over the prior variance of each weight. River's ``alpha`` is its inverse.
    noise_precision
        β > 0, one over the variance of a reward around its mean. River's ``beta``.

    Examples
    --------
    >>> late, joined = ArtworkModel(), ArtworkModel()
    >>> late.learn_impression({"bias": 1.0, "romance": 0.5})
    >>> late.learn_impression({"bias": 1.0, "comedy": 0.5})
    >>> late.learn_reward({"bias": 1.0, "romance": 0.5}, 1.0)
    >>> joined.learn_one({"bias": 1.0, "comedy": 0.5}, 0.0)
    >>> joined.learn_one({"bias": 1.0, "romance": 0.5}, 1.0)
    >>> round(late.predict_one({"bias": 1.0, "romance": 1.0}), 6)
    0.584615
    >>> late.predict_one({"bias": 1.0}) == joined.predict_one({"bias": 1.0})
    True
    """

    def __init__(self, prior_precision: float = 1.0, noise_precision: float = 1.0) -> None:
        if not (0 < prior_precision < math.inf and 0 < noise_precision < math.inf):
            raise ValueError("precisions must be above 0 and finite")
        super().__init__(alpha=1.0 / prior_precision, beta=noise_precision)
        self.prior_precision = prior_precision
        self.noise_precision = noise_precision
        self._cap = 0
        self._gram: Floats = np.zeros((0, 0))
        self._moment: Floats = np.zeros(0)
        self._fixed = False

    @classmethod
    def over(
        cls,
        features: Sequence[str],
        gram: Floats,
        moment: Floats,
        prior_precision: float,
        noise_precision: float,
    ) -> Self:
        """A model that keeps its sums in arrays that somebody else owns, without copying them.

        Parameters
        ----------
        features
            The d names of the columns; the model learns these and no others.
        gram, moment
            S of shape (d, d) and c of shape (d,); learning through the model changes them in place.
        """
        model = cls(prior_precision, noise_precision)
        model._idx = {name: i for i, name in enumerate(features)}
        model._cap = len(features)
        model._gram, model._moment = gram, moment
        model._fixed = True
        model._m_dirty = True
        return model

    def learn_impression(self, x: Mapping[str, float]) -> None:
        """Count what was shown: S += x xᵀ."""
        self._ensure_features(x.keys())
        row = self._row(x)
        self._gram += np.outer(row, row)
        self._m_dirty = True

    def learn_reward(self, x: Mapping[str, float], credit: float) -> None:
        """Credit what was shown before: c += credit · x. A correction is a negative credit."""
        self._ensure_features(x.keys())
        self._moment += credit * self._row(x)
        self._m_dirty = True

    def learn_one(self, x: Mapping[str, float], y: float) -> None:
        """Learn an impression whose reward is known."""
        self.learn_impression(x)
        self.learn_reward(x, y)

    def learn_many(self, X: Any, y: Any) -> None:  # noqa: N803 - River's name
        """Learn many impressions whose rewards are known, from a data frame and a series."""
        frame = dataframe.into_frame(X)
        self._ensure_features(frame.columns)
        rows = np.zeros((len(frame), self._cap))
        rows[:, [self._idx[name] for name in frame.columns]] = dataframe.to_numpy(frame)
        self._gram += rows.T @ rows
        self._moment += rows.T @ np.asarray(dataframe.into_series(y).to_numpy(), dtype=np.float64)
        self._m_dirty = True

    def posterior(self) -> tuple[Floats, Floats]:
        """Mean (d,) and lower Cholesky factor (d, d) of the posterior covariance of the weights."""
        d = self._cap
        return solve(self._gram, self._moment, np.full(d, self.prior_precision), self.noise_precision, np.zeros(d))

    def predict_one(self, x: Mapping[str, float], with_dist: bool = False) -> Any:
        """The mean reward at x, or its Gaussian (Bishop, equation 3.58).

        A feature never seen has its prior: mean 0, variance 1/λ.
        """
        self._ensure_m()
        mean = super().predict_one(x)
        if not with_dist:
            return mean
        # River's own variance of an unseen feature is λ instead of 1/λ.
        row = self._row({name: value for name, value in x.items() if name in self._idx})
        unseen = sum(value * value for name, value in x.items() if name not in self._idx)
        variance = 1.0 / self.noise_precision + unseen / self.prior_precision + row @ self._ss_inv_arr @ row
        return proba.Gaussian._from_state(n=1, m=mean, var=float(variance), ddof=0)  # noqa: SLF001 - no public way

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._idx)

    @property
    def sums(self) -> tuple[Floats, Floats]:
        """S and c."""
        return self._gram, self._moment

    # --- River's own state follows from the sums

    def _ensure_m(self) -> None:
        """Bring River's fields up to date: precision, covariance, natural mean and mean."""
        # Arrays that somebody else owns may have changed unseen.
        if (self._m_dirty or self._fixed) and self._cap:
            mean, factor = self.posterior()
            self._ss_arr = np.eye(self._cap) * self.prior_precision + self.noise_precision * self._gram
            self._ss_inv_arr = np.asfortranarray(factor @ factor.T)
            self._eta_arr = self.noise_precision * self._moment
            self._m_arr = mean
        self._m_dirty = False

    def _ensure_features(self, features: Any) -> None:
        if self._fixed:
            unknown = [name for name in features if name not in self._idx]
            if unknown:
                raise ValueError(f"feature {unknown[0]!r} is not one of this model's")
            return
        super()._ensure_features(features)

    def _grow(self, needed: int) -> None:
        gram, moment = np.zeros((needed, needed)), np.zeros(needed)
        gram[: self._cap, : self._cap] = self._gram
        moment[: self._cap] = self._moment
        self._gram, self._moment, self._cap = gram, moment, needed

    def _row(self, x: Mapping[str, float]) -> Floats:
        row = np.zeros(self._cap)
        for name, value in x.items():
            row[self._idx[name]] = value
        return row
