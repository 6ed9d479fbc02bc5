"""Bytes that nobody should send, made from a good record with a seeded generator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Fields = dict[str, Any]

_WORDS = (*rb'null true NaN Infinity -1e999 1e400 {} [] "" \ud800'.split(), b"\x00", b"\xff")
_WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    2**70,
    float("nan"),
    "",
    "x" * 5000,
    "\u0000",
    "\ud800",
    [],
    {},
    [[]],
)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _another_type(rng: random.Random, good: Fields) -> bytes:
    return _dumped(good | {rng.choice(sorted(good)): rng.choice(_WRONG)})


def _left_out(rng: random.Random, good: Fields) -> bytes:
    gone = rng.choice(sorted(good))
    return _dumped({name: value for name, value in good.items() if name != gone})


def _wild_context(rng: random.Random, good: Fields) -> bytes:
    number = rng.choice([1e999, float("nan"), -1e7, "0.5", None, [0.5]])
    if "context" not in good:
        return _dumped(good | {"watched_seconds": number})
    wild = {"drama": number}
    if rng.random() < 0.3:
        wild = {f"feature-{i}": 1.0 for i in range(rng.randint(65, 200))}
    return _dumped(good | {"context": wild})


def _cut(rng: random.Random, good: Fields) -> bytes:
    whole = _dumped(good)
    return whole[: rng.randrange(1, len(whole))]


def _flipped(rng: random.Random, good: Fields) -> bytes:
    value = bytearray(_dumped(good))
    for _ in range(rng.randint(1, 8)):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return bytes(value)


def _spliced(rng: random.Random, good: Fields) -> bytes:
    value = bytearray(_dumped(good))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(value))
        value[at : at + rng.randint(0, 6)] = rng.choice(_WORDS)
    return bytes(value)


def _deep(rng: random.Random, good: Fields) -> bytes:
    depth = rng.choice([33, 100, 1000, 20_000])
    inner = b"[" * depth + b"]" * depth if rng.random() < 0.5 else b'{"a":' * depth + b"1" + b"}" * depth
    return _dumped(good)[:-1] + b', "more": ' + inner + b"}"


def _large(rng: random.Random, good: Fields) -> bytes:
    return _dumped(good | {"padding": "x" * rng.choice([66_000, 200_000])})


def _noise(rng: random.Random, _: Fields) -> bytes:
    return rng.randbytes(rng.randint(1, 200))


def _bad_text(rng: random.Random, good: Fields) -> bytes:
    return _dumped(good).replace(b"title", rng.choice([b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80"]), 1)


def _far_away(rng: random.Random, good: Fields) -> bytes:
    times = [name for name in sorted(good) if name.endswith("_ms")]
    return _dumped(good | {rng.choice(times): rng.choice([-1, 2**53, 2**63, 1e300, 1.5])})


#: Makers of hostile values. What comes of some is by chance still a record; the first few never are.
NEVER_A_RECORD: tuple[Callable[[random.Random, Fields], bytes], ...] = (
    _cut,
    _wild_context,
    _deep,
    _large,
    _bad_text,
)
MAKERS = (*NEVER_A_RECORD, _another_type, _left_out, _flipped, _spliced, _noise, _far_away)


def hostile(rng: random.Random, good: Fields) -> bytes:
    """Something that may or may not be a record."""
    return rng.choice(MAKERS)(rng, good)


def never_a_record(rng: random.Random, good: Fields) -> bytes:
    """Something that no reader may take for a record."""
    (maker,) = rng.choices(NEVER_A_RECORD, weights=(10, 10, 5, 1, 10))
    return maker(rng, good)
