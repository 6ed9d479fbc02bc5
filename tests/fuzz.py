"""Throw bytes at the reader of records: a record, or a dead letter's reason; anything else is a bug.

python tests/fuzz.py --count 1000000     # mutations of good records, seeded
python tests/fuzz.py --coverage          # guided by coverage, until Ctrl-C (needs: pip install atheris)
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter

from hostile import hostile

from stream import codec
from stream.errors import DecodeError
from stream.reasons import REASONS
from stream.records import Impression, Play, RewardChange, Snapshot, Taste, Title

READ = (Impression, Play, RewardChange, Taste, Title, Snapshot)

_SHOWN = {
    "impression_id": "i-1",
    "shown_ms": 1_760_000_000_000,
    "member_id": "ann",
    "title_id": "film",
    "artwork_id": "face",
    "context": {"comedy": 0.75, "romance": 0.25},
    "policy": "personal",
    "propensity": 0.5,
    "snapshot_version": 3,
}
_PLAYED = {
    "play_id": "p-1",
    "played_ms": 1_760_000_100_000,
    "member_id": "ann",
    "title_id": "film",
    "watched_seconds": 900.0,
    "impression": _SHOWN,
}
_REWARDED = {name: value for name, value in _SHOWN.items() if name not in ("member_id", "snapshot_version")}
_GOOD = (_SHOWN, _PLAYED, _REWARDED | {"credited_ms": 1_760_000_100_000, "credit": 0.5, "reward": 0.5})


def outcome(kind: type, value: bytes) -> str:
    """``record``, or the code of the dead letter that these bytes become."""
    try:
        codec.decode(kind, value)
    except DecodeError as error:
        return error.code
    return "record"


def mutate(count: int, seed: int) -> Counter[str]:
    """What becomes of so many mutations, by outcome."""
    rng = random.Random(seed)
    return Counter(outcome(rng.choice(READ), hostile(rng, rng.choice(_GOOD))) for _ in range(count))


def guided() -> None:
    """Let coverage choose the bytes; it ends where anything but a record or a reason comes of them."""
    import atheris  # noqa: PLC0415 - not a dependency: only who fuzzes by coverage needs it

    for name in ("decode", "_is_too_deep", "_shortened", "_first_bad_byte"):
        setattr(codec, name, atheris.instrument_func(getattr(codec, name)))

    def one(value: bytes) -> None:
        for kind in READ:
            assert outcome(kind, value) in {"record", *REASONS}

    atheris.Setup([sys.argv[0]], one)
    atheris.Fuzz()


def main() -> None:
    """Fuzz, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--coverage", action="store_true", help="guided by coverage")
    asked = parser.parse_args()
    if asked.coverage:
        guided()
    begun = time.monotonic()
    found = mutate(asked.count, asked.seed)
    about = {"payloads": asked.count, "seconds": round(time.monotonic() - begun, 1)}
    sys.stdout.write(json.dumps(about | dict(sorted(found.items()))) + "\n")
    if unknown := set(found) - {"record", *REASONS}:
        sys.exit(f"codes that are in no table: {unknown}")


if __name__ == "__main__":
    main()
