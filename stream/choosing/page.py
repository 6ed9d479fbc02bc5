"""Choosing for a page of titles at once: scores, draws, the largest, and how likely it was to be that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.choosing.choice import page_draws, propensities, seeds_of
from stream.features import CAST
from stream.learning.posterior import lower_triangle, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.choosing.servable import ServableTitle
    from stream.choosing.variety import Variety
    from stream.features import FeatureSpace
    from stream.records import Rule

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: No score is known better than this, so that a propensity can always be computed.
MIN_SD = 1e-9


def choose_artworks(
    titles: Sequence[ServableTitle],
    context: Mapping[str, float],
    policy: Rule,
    member_key: int,
    buckets: NDArray[np.int64],
    *,
    floor: float,
    exploration: float = 1.0,
    casts: Sequence[Sequence[float] | None] | None = None,
    variety: Variety | None = None,
) -> tuple[Ints, Floats]:
    """The artwork of each title for a member, and its exact propensity: a pure function of the arguments.

    Parameters
    ----------
    titles
        n of them, in the order of the page.
    context, policy
        What all artworks see, and which rule chooses: ``explore`` chooses uniformly, ``popular`` sees no context,
        and ``personal`` is the same where the context has nothing that a title's model knows.
    member_key, buckets
        Whose draws, and which of each title, shape (n,).
    floor
        The share of uniform choice.
    exploration
        The width of the draw: 1 is Thompson sampling's, next to nothing is greedy.
    casts
        Of each title the member's affinity to the people each artwork shows; None: to nobody.
    variety
        Lowers the scores of what looks like the page so far, title after title; it is nothing to a uniform choice.

    Returns
    -------
    places, propensities
        Shape (n,): the index among the title's artworks, and the probability of it, given those before.
    """
    counts = np.array([len(title.artwork_ids) for title in titles])
    n, most = len(titles), int(counts.max())
    absent = np.arange(most) >= counts[:, None]
    keys = np.concatenate([title.draw_keys for title in titles])
    if len(keys) < n * (1 + most):
        given, keys = keys, np.zeros((n, 1 + most), dtype=np.uint64)
        keys[np.arange(1 + most) <= counts[:, None]] = given
    floor_u, z = page_draws(seeds_of(member_key, buckets), keys.reshape(n, 1 + most))
    z[absent] = -np.inf
    uniform = z.argmax(axis=1)
    if policy == "explore":
        return uniform, 1.0 / counts
    mean, sd = score(titles, most, context, policy, casts)
    sd = np.maximum(exploration * sd, MIN_SD)
    floored = floor_u < floor
    drawn = mean + sd * z
    if variety is None:
        places = np.where(floored, uniform, drawn.argmax(axis=1))
    else:
        places = np.empty(n, dtype=np.intp)
        for i in range(n):
            here = slice(counts[i])
            lowered = variety.lowered(i) * max(float(mean[i, here].mean()), 0.0)
            mean[i, here] -= lowered
            drawn[i, here] -= lowered
            places[i] = uniform[i] if floored[i] else drawn[i].argmax()
            variety.add(i, int(places[i]))
    mean[absent] = -np.inf
    return places, propensities(mean, sd, places, counts, floor)


def score(
    titles: Sequence[ServableTitle],
    most: int,
    context: Mapping[str, float],
    policy: Rule,
    casts: Sequence[Sequence[float] | None] | None = None,
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each artwork's expected reward, shapes (n, most).

    Where a title has fewer artworks the rest is 0 and 1. See :func:`choose_artworks` for the parameters. A title
    whose model knows nothing of the context is scored as for ``popular``, see :func:`knows_nothing`.
    """
    n = len(titles)
    if policy == "popular":
        mean, sd = np.zeros((n, most)), np.ones((n, most))
        _score_popular(mean, sd, titles, range(n))
        return mean, sd
    seen = {space: space.vector(context) for space in {title.space for title in titles}}
    factors = {space: both_moments(x) for space, x in seen.items()}
    models = [title.model for title in titles]
    if len(seen) == 1 and len(models) * most == sum(map(len, models)):
        moments = np.concatenate(models) @ factors[titles[0].space]
        moments = moments.reshape(n, most, 2)
    else:
        moments = np.zeros((n, most, 2))
        moments[:, :, 1] = 1.0
        for i, title in enumerate(titles):
            np.dot(title.model, factors[title.space], out=moments[i, : len(title.model)])
    if casts is not None:
        for i, (title, cast) in enumerate(zip(titles, casts, strict=True)):
            if cast is not None:
                title.add_cast(moments[i], seen[title.space], cast)
    mean, sd = moments[:, :, 0].copy(), np.sqrt(np.maximum(moments[:, :, 1], MIN_SD * MIN_SD))
    if any(knows_nothing(space, x) for space, x in seen.items()):
        told = [None] * n if casts is None else casts
        unknown = [
            i
            for i, (title, cast) in enumerate(zip(titles, told, strict=True))
            if knows_nothing(title.space, seen[title.space], cast)
        ]
        _score_popular(mean, sd, titles, unknown)
    return mean, sd


def knows_nothing(space: FeatureSpace, x: Floats, cast: Sequence[float] | None = None) -> bool:
    """Whether a context x, shape (d,), has no feature of a model's but the bias, and ``cast`` none either.

    The weights of the bias alone say what a member without any taste would do. Nearly all members have one, so the
    mean reward, whoever looks, says more of a member of whom nothing is known.
    """
    return not (x[1:].any() or (cast is not None and CAST in space.columns and any(cast)))


def _score_popular(mean: Floats, sd: Floats, titles: Sequence[ServableTitle], which: Iterable[int]) -> None:
    for i in which:
        count = len(titles[i].artwork_ids)
        mean[i, :count], sd[i, :count] = titles[i].popular


def both_moments(x: Floats) -> Floats:
    """What a title's model is multiplied with to get mean and variance of its scores.

    A score is the product of weights with a context: its mean is ``mᵀx`` and its variance ``xᵀCx``, a sum over
    the pairs of features. The lower triangle of C is half of the numbers, and enough.

    Parameters
    ----------
    x
        The context, shape (d,).

    Returns
    -------
    Shape (d + d (d + 1) / 2, 2): the context beside nothing, below it nothing beside its pairs of features.
    """
    d = len(x)
    rows, columns = lower_triangle(d)
    found = np.zeros((d + len(rows), 2))
    found[:d, 0] = x
    found[d:, 1] = x[rows] * x[columns]
    return found


def quadratic(covariance: Floats) -> Floats:
    """Covariances as they are multiplied with pairs of features: shape (…, d, d) to (…, d (d + 1) / 2).

    >>> x = np.array([1.0, 2.0])
    >>> covariance = np.array([[0.5, 0.1], [0.1, 0.4]])
    >>> bool(np.isclose(quadratic(covariance) @ both_moments(x)[2:, 1], x @ covariance @ x))
    True
    """
    d = covariance.shape[-1]
    doubled = 2.0 * covariance
    doubled[..., np.arange(d), np.arange(d)] /= 2.0
    return pack(doubled)
