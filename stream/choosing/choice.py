"""A choice, and what it is made of: hashed draws, the rule that a member belongs to, and the exact propensity.

Thompson sampling draws each artwork's score ``m + s z`` and shows the largest, see :mod:`stream.choosing.page`.
Here z does not come from a generator but from a hash of (member, title, artwork, bucket), so that every serving
node agrees without talking, a member's artwork does not flicker, and withdrawing an artwork moves only the members
who had it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from stream.choosing.propensity import win_probabilities
from stream.records import Policy, Rule  # noqa: TC001 - the struct's annotation is read at run time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]
    Keys = NDArray[np.uint64]

#: The smallest propensity that is logged; an event rarer than that is not seen twice in any log.
MIN_PROPENSITY = 1e-12

_DAY_MS = 24 * 3_600_000
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_SALT_POLICY = 0xA0761D6478BD642F
_SALT_FLOOR = 0xE7037ED1A0B428DB
_SALT_APP = 0x8EBC6AF09C88C6E3


class Choice(Struct, frozen=True):
    """What a member is shown of one title, and everything needed to log and credit it.

    Attributes
    ----------
    title_id, artwork_id
        What to show.
    propensity
        The probability, known at choice time, with which this artwork was chosen.
    policy
        Who chose: a rule of Keyart's, or the app itself.
    context
        The features the choice was made from.
    snapshot_version
        The version of the snapshot that was used; None where there was none and the first artwork was taken.
    impression_id
        Unique to this choice.
    token
        The impression, signed: hand it back with the play.
    advised
        What Keyart would have shown where the app chose; None elsewhere.
    """

    title_id: str
    artwork_id: str
    propensity: float
    policy: Policy
    context: dict[str, float]
    snapshot_version: int | None
    impression_id: str
    token: str
    advised: str | None = None


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
    mixed = values + _GOLDEN_MANY
    mixed ^= mixed >> _BY_30
    mixed *= _FIRST_FACTOR
    mixed ^= mixed >> _BY_27
    mixed *= _SECOND_FACTOR
    mixed ^= mixed >> _BY_31
    return mixed


# NumPy takes an array without axes quicker than a number.
_GOLDEN_MANY, _FIRST_FACTOR, _SECOND_FACTOR, _BY_30, _BY_27, _BY_31, _BY_11 = (
    np.array(value, dtype=np.uint64) for value in (_GOLDEN, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 30, 27, 31, 11)
)


def _unit(value: int) -> float:
    """A hash as a number in (0, 1): the middle of one of 2^53 equal cells."""
    return ((value >> 11) + 0.5) * 2.0**-53


def bucket_length(sticky_days: float) -> int:
    """How long a bucket is, milliseconds: the setting ``sticky_days``, and one at least."""
    return max(1, round(sticky_days * _DAY_MS))


def time_bucket(member_key: int, title_key: int, now_ms: int, bucket_ms: int) -> int:
    """The current bucket of a member and a title: for so long its draws stay the same.

    Pairs change buckets at different times: the draws of a member's page are renewed one title after another, and
    those of a title one member after another.
    """
    return int(time_buckets(member_key, np.array([title_key], dtype=np.uint64), now_ms, bucket_ms)[0])


def time_buckets(member_key: int, title_keys: Keys, now_ms: int, bucket_ms: int) -> NDArray[np.int64]:
    """:func:`time_bucket` of n titles at once, shape (n,)."""
    begun = _mix_many(title_keys ^ np.uint64(member_key)) % np.uint64(bucket_ms)
    return (now_ms + begun.astype(np.int64)) // bucket_ms


def left_to_app(member_key: int, app_share: float) -> bool:
    """Whether a member gets the app's own choice, for good; who does has nothing to do with the other policies.

    >>> [left_to_app(key_of(f"member-{i}"), 0.3) for i in range(4)]
    [False, True, True, True]
    """
    return _unit(_mix(member_key ^ _SALT_APP)) < app_share


def policy_of(member_key: int, explore_share: float, popular_share: float) -> Rule:
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
    seed = seeds_of(member_key, np.array([bucket]))
    return _normal(_mix_many(keys ^ seed))


def seeds_of(member_key: int, buckets: NDArray[np.int64]) -> Keys:
    """What all draws of a member in n buckets of titles begin with, shape (n,)."""
    return _mix_many(_mix_many(buckets.astype(np.uint64)) ^ np.uint64(member_key))


def page_draws(seeds: Keys, keys: Keys) -> tuple[Floats, Floats]:
    """Of n titles in one go a number in (0, 1) that decides whether the floor applies, and :func:`draws`.

    Parameters
    ----------
    seeds
        See :func:`seeds_of`, shape (n,).
    keys
        Of each title its floor's, see :func:`floor_keys`, and those of its artworks, shape (n, 1 + K).

    Returns
    -------
    Independent of each other, shapes (n,) and (n, K).
    """
    first = _mix_many(keys ^ seeds[:, None])
    return _units(first[:, 0]), _normal(first[:, 1:])


def _normal(first: Keys) -> Floats:
    """Box and Muller's transform of hashes and of what they are hashed to."""
    radius = np.sqrt(-2.0 * np.log(_units(first)))
    found: Floats = radius * np.cos(2.0 * np.pi * _units(_mix_many(first)))
    return found


def _units(values: Keys) -> Floats:
    found: Floats = ((values >> _BY_11).astype(np.float64) + 0.5) * 2.0**-53
    return found


def floor_keys(title_keys: Keys) -> Keys:
    """What stands for the floor of titles as artworks' keys stand for them."""
    return title_keys ^ np.uint64(_SALT_FLOOR)


# --- what is chosen, and how likely that was


def choose_uniform(z: Floats) -> tuple[int, float]:
    """The artwork with the largest draw: each is equally likely, and others' withdrawal does not move it."""
    return int(np.argmax(z)), 1.0 / len(z)


def propensities(mean: Floats, sd: Floats, chosen: Ints, counts: Ints, floor: float) -> Floats:
    """The exact probabilities of n choices.

    Parameters
    ----------
    mean, sd
        Of each title's scores, shape (n, K); a mean of minus infinity stands for no artwork.
    chosen
        What was chosen, shape (n,).
    counts
        How many artworks each title has, shape (n,).
    floor
        The share of uniform choice.
    """
    found: Floats = (1.0 - floor) * win_probabilities(mean, sd, chosen) + floor / counts
    found[counts == 1] = 1.0
    np.maximum(found, MIN_PROPENSITY, out=found)
    return np.minimum(found, 1.0, out=found)
