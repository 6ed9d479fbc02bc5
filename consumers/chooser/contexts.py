"""Whom a choice is made for: the member's taste and what the caller gives, as a record may hold them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import msgspec

from stream.features import CAST_PREFIX, RESERVED
from stream.records import MAX_FEATURES, Context, Id, Name, Policy, Rule, Value


class Viewer(msgspec.Struct, frozen=True):
    """A member at one moment: what is the same for every title of a page.

    ``rule`` is how Keyart chooses for the member: where the policy is ``app`` it only advises.
    """

    member_id: str
    key: int
    policy: Policy
    now_ms: int
    context: dict[str, float]
    taste: Mapping[str, float]
    rule: Rule


def merge(taste: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """A context: the taste for themes (not for people), what is given laid over it.

    At most 63 features: one more, ``cast``, depends on the artwork. What is given stays, but for Keyart's own
    names; of the taste the smallest shares give way.

    >>> merge({"romance": 0.7, "comedy": 0.3, "cast:Minnie Driver": 1.0}, {"comedy": 1.0, "bias": 5.0})
    {'romance': 0.7, 'comedy': 1.0}
    """
    themes = {name: share for name, share in taste.items() if not name.startswith(CAST_PREFIX)}
    context = {name: value for name, value in {**themes, **given}.items() if name not in RESERVED}
    if len(context) >= MAX_FEATURES:
        extra = sorted((name for name in themes if name not in given), key=lambda name: (themes[name], name))
        for name in extra[: len(context) - MAX_FEATURES + 1]:
            del context[name]
    return context


def check_context(given: Mapping[str, float]) -> dict[str, float]:
    """What a caller gives, as a record may hold it; any kind of real number will do.

    Raises
    ------
    ValueError
        Too many features, a name or a value that a record may not hold; the message names it.

    Examples
    --------
    >>> check_context({"romance": float("nan")})
    Traceback (most recent call last):
    ...
    ValueError: context: 'romance' is nan, it must be a finite number, at most 1e6 in size
    """
    try:
        context: dict[str, float] = msgspec.convert(given, Context)
        "".join(context).encode()
    except ValueError:
        return _checked_one_by_one(given)
    return context


def _checked_one_by_one(given: Mapping[str, float]) -> dict[str, float]:
    """Find the fault, or accept numbers of NumPy and the like: slower, and rarely needed."""
    if not isinstance(given, Mapping):
        raise ValueError("context: it must map names to numbers")  # noqa: TRY004 - one kind of error for arguments
    if len(given) > MAX_FEATURES:
        raise ValueError(f"context: {len(given)} features, the limit is {MAX_FEATURES}")
    context = {}
    for name, value in given.items():
        if not _fits(name, Name):
            raise ValueError(f"context: {name!r} is not a feature's name: a text of 1 to 128 characters")
        number = _number(value)
        if number is None:
            raise ValueError(f"context: {name!r} is {value!r}, it must be a finite number, at most 1e6 in size")
        context[name] = number
    return context


def check_id(name: str, value: str) -> None:
    """Check an id that a caller gives.

    Raises
    ------
    ValueError
        A record may not hold it; the message begins with ``name``.

    Examples
    --------
    >>> check_id("member_id", "")
    Traceback (most recent call last):
    ...
    ValueError: member_id: '' is not an id: a text of 1 to 128 characters, none of them a control character
    """
    if not _fits(value, Id):
        raise ValueError(
            f"{name}: {value!r} is not an id: a text of 1 to 128 characters, none of them a control character"
        )


def _fits(value: str, kind: object) -> bool:
    """Whether a text is what a record allows. Half of a surrogate pair is not: it has no UTF-8."""
    try:
        msgspec.convert(value, kind)
        value.encode()
    except ValueError:
        return False
    return True


def _number(value: object) -> float | None:
    """Any real number but a truth value, if a record allows it."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number: float = msgspec.convert(float(value), Value)
    except (ValueError, OverflowError):
        return None
    return number
