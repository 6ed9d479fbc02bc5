"""Choosing an artwork: a pure function of scores, member, title and time bucket, with its exact propensity.

Thompson sampling draws each artwork's score ``m + s z`` and shows the largest. Here z does not come from a
generator but from a hash of (member, title, artwork, bucket), so that every serving node agrees without talking,
a member's artwork does not flicker, and withdrawing an artwork moves only the members who had it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import ndtr

from stream.records import Policy  # noqa: TC001 - the struct's annotation is read at run time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

#: The smallest propensity that is logged; an event rarer than that is not seen twice in any log.
MIN_PROPENSITY = 1e-12

#: Quadrature nodes a panel for up to so many artworks: the more factors a product has, the steeper it rises.
_NODES = ((8, 48), (24, 64), (1 << 30, 96))
_WIDTH = 6.0
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_SALT_POLICY = 0xA0761D6478BD642F
_SALT_FLOOR = 0xE7037ED1A0B428DB


class Choice(Struct, frozen=True):
    """What a member is shown of one title, and everything needed to log and credit it.

    Attributes
    ----------
    title_id, artwork_id
        What to show.
    propensity
        The probability, known at choice time, with which this artwork was chosen.
    policy
        Which rule chose.
    context
        The features the choice was made from.
    snapshot_version
        The version of the snapshot that was used; None where there was none and the first artwork was taken.
    impression_id
        Unique to this choice.
    token
        The impression, signed: hand it back with the play.
    """

    title_id: str
    artwork_id: str
    propensity: float
    policy: Policy
    context: dict[str, float]
    snapshot_version: int | None
    impression_id: str
    token: str


# --- hashing: SHA-256 of the names once, then SplitMix64 (Steele, Lea & Flood 2014) to combine them


def key_of(*parts: str) -> int:
    """64 bits that stand for some names: the first 8 bytes, big-endian, of the SHA-256 of the names.

    >>> hex(key_of("member-1"))
    '0x9811fb1b3afa5a09'
    """
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def artwork_keys(title_id: str, artwork_ids: Iterable[str]) -> Keys:
    """The keys of a title's artworks, shape (K,)."""
    return np.array([key_of(title_id, artwork_id) for artwork_id in artwork_ids], dtype=np.uint64)


def _mix(value: int) -> int:
    """SplitMix64's output function."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _mix_many(values: Keys) -> Keys:
    """:func:`_mix` of each element."""
    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _unit(value: int) -> float:
    """A hash as a number in (0, 1): the middle of one of 2^53 equal cells."""
    return ((value >> 11) + 0.5) * 2.0**-53


def time_bucket(member_key: int, title_key: int, now_ms: int, bucket_ms: int) -> int:
    """The current bucket of a member and a title: for so long its draws stay the same.

    Pairs change buckets at different times: the draws of a member's page are renewed one title after another, and
    those of a title one member after another.
    """
    return (now_ms + _mix(member_key ^ title_key) % bucket_ms) // bucket_ms


def policy_of(member_key: int, explore_share: float, popular_share: float) -> Policy:
    """The policy a member belongs to, for good.

    >>> [policy_of(key_of(f"member-{i}"), 0.2, 0.3) for i in range(4)]
    ['explore', 'explore', 'personal', 'popular']
    """
    u = _unit(_mix(member_key ^ _SALT_POLICY))
    if u < explore_share:
        return "explore"
    return "popular" if u < explore_share + popular_share else "personal"


def draws(member_key: int, bucket: int, keys: Keys) -> Floats:
    """Standard normal draws, one for each artwork, shape (K,): hashes put through Box and Muller's transform."""
    seed = np.uint64(_mix(member_key ^ _mix(bucket & _MASK)))
    first = _mix_many(keys ^ seed)
    second = _mix_many(first)
    radius = np.sqrt(-2.0 * np.log(_units(first)))
    return radius * np.cos(2.0 * np.pi * _units(second))


def _units(values: Keys) -> Floats:
    return ((values >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def floor_draw(member_key: int, bucket: int, title_key: int) -> float:
    """A number in (0, 1), independent of :func:`draws`, that decides whether the uniform floor applies."""
    return _unit(_mix(_mix(member_key ^ _mix(bucket & _MASK)) ^ title_key ^ _SALT_FLOOR))


# --- the rule


def choose_uniform(z: Floats) -> tuple[int, float]:
    """The artwork with the largest draw: each is equally likely, and others' withdrawal does not move it."""
    return int(np.argmax(z)), 1.0 / len(z)


def choose_thompson(mean: Floats, sd: Floats, z: Floats, floor_u: float, floor: float) -> tuple[int, float]:
    """The artwork whose drawn score is largest, or with probability ``floor`` a uniform choice.

    Parameters
    ----------
    mean, sd
        Mean and standard deviation of each artwork's expected reward, shape (K,).
    z
        Standard normal draws, shape (K,).
    floor_u
        A uniform draw, independent of z.
    floor
        The share of uniform choice.

    Returns
    -------
    The chosen index and the exact probability of choosing it, over z and ``floor_u``.
    """
    count = len(mean)
    if count == 1:
        return 0, 1.0
    chosen = int(np.argmax(z)) if floor_u < floor else int(np.argmax(mean + sd * z))
    share = (1.0 - floor) * win_probability(mean, sd, chosen) + floor / count
    return chosen, min(max(share, MIN_PROPENSITY), 1.0)


@cache
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return places, weights


def win_probability(mean: Floats, sd: Floats, chosen: int) -> float:
    """The probability that one of K independent Gaussians is the largest.

    It is the integral over t of ``f_a(t) Π_{b≠a} Φ((t - m_b) / s_b)``, f_a the density of the chosen one. Left of
    ``lo`` some factor vanishes, right of ``hi`` the density does. A fixed rule fails where widths differ much (a
    new artwork among old ones: Φ of an old one is a step on the new one's scale), so the range is cut at the
    upper ends of those steps: in each panel every factor that still changes is about as wide as the panel, and
    Gauss-Legendre quadrature with 48 to 96 nodes a panel is exact to 1e-8 for each artwork. Tails are cut at 6
    standard deviations, so that the probabilities of K artworks sum to 1 within 1e-9 K.

    Parameters
    ----------
    mean, sd
        Of each Gaussian, shape (K,); every sd > 0.
    chosen
        The index of the one in question.

    Examples
    --------
    >>> round(win_probability(np.zeros(4), np.ones(4), 2), 7)
    0.25
    >>> round(win_probability(np.array([0.0, 0.5]), np.array([1.0, 1e-5]), 0), 6)
    0.308538
    """
    m, s = float(mean[chosen]), float(sd[chosen])
    upper, lower = mean + _WIDTH * sd, mean - _WIDTH * sd
    lo, hi = float(np.max(lower)), m + _WIDTH * s
    rivals = upper > lo  # the rest are certain to be smaller: their factor is 1 everywhere
    rivals[chosen] = False
    rival_mean, rival_sd = mean[rivals], sd[rivals]
    if not len(rival_mean):
        return 1.0
    if hi <= lo:
        return 0.0
    edges = [hi]
    for end in np.sort(upper[rivals])[::-1].tolist():
        if 2.0 * (end - lo) < edges[-1] - lo:
            edges.append(end)
    edges.append(lo)
    cut = np.array(edges)
    middle, half = (cut[:-1] + cut[1:]) / 2.0, (cut[:-1] - cut[1:]) / 2.0
    places, weights = _legendre(next(nodes for most, nodes in _NODES if len(rival_mean) < most))
    t = (middle[:, None] + half[:, None] * places).ravel()
    weight = (half[:, None] * weights).ravel()
    density = np.exp(-0.5 * ((t - m) / s) ** 2) / (s * np.sqrt(2.0 * np.pi))
    others_below = np.prod(ndtr((t[:, None] - rival_mean) / rival_sd), axis=1)
    return float(np.dot(weight * density, others_below))
