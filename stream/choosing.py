"""Choosing for a page of titles at once: scores, draws, the largest, and how likely it was to be that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.choice import floor_draws, normal_draws, propensities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.page import Variety
    from stream.records import Policy
    from stream.snapshot import ServableTitle

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: No score is known better than this, so that a propensity can always be computed.
MIN_SD = 1e-9


def choose_artworks(
    titles: Sequence[ServableTitle],
    context: Mapping[str, float],
    policy: Policy,
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
        What all artworks see, and which rule chooses: ``explore`` chooses uniformly, ``popular`` sees no context.
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
    keys = np.zeros((n, most), dtype=np.uint64)
    for i, title in enumerate(titles):
        keys[i, : counts[i]] = title.keys
    z = normal_draws(member_key, buckets, keys)
    z[absent] = -np.inf
    uniform = z.argmax(axis=1)
    if policy == "explore":
        return uniform, 1.0 / counts
    mean, sd = score(titles, most, context, policy, casts)
    sd = np.maximum(exploration * sd, MIN_SD)
    title_keys = np.array([title.key for title in titles], dtype=np.uint64)
    floored = floor_draws(member_key, buckets, title_keys) < floor
    drawn = np.where(absent, -np.inf, mean + sd * np.where(absent, 0.0, z))
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
    policy: Policy,
    casts: Sequence[Sequence[float] | None] | None = None,
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each artwork's expected reward, shapes (n, most).

    Where a title has fewer artworks the rest is 0 and 1. See :func:`choose_artworks` for the parameters.
    """
    n = len(titles)
    if policy == "popular":
        mean, sd = np.zeros((n, most)), np.ones((n, most))
        for i, title in enumerate(titles):
            mean[i, : len(title.artwork_ids)], sd[i, : len(title.artwork_ids)] = title.popular
        return mean, sd
    spaces = {space: space.vector(context) for space in {title.space for title in titles}}
    width = 1 + max(len(space) for space in spaces)
    found = np.zeros((n, most * width))
    for i, title in enumerate(titles):
        weights = title.weights
        if weights.shape[1] == width - 1:
            np.dot(weights, spaces[title.space], out=found[i, : len(weights)])
        else:  # a title learned with fewer features: its deviations have fewer components
            wide = found[i].reshape(most, width)
            own = (weights @ spaces[title.space]).reshape(len(title.artwork_ids), -1)
            wide[: own.shape[0], : own.shape[1]] = own
    scores = found.reshape(n, most, width)
    if casts is not None:
        for i, (title, cast) in enumerate(zip(titles, casts, strict=True)):
            if cast is not None:
                title.add_cast(scores[i], cast)
    spread = scores[:, :, 1:]
    sd = np.sqrt(np.einsum("nkj,nkj->nk", spread, spread))
    sd[np.arange(most) >= np.array([len(title.artwork_ids) for title in titles])[:, None]] = 1.0
    return scores[:, :, 0].copy(), np.maximum(sd, MIN_SD)
