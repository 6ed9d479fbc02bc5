"""Records as a worker reads them, for measurements without Kafka."""

from __future__ import annotations

from typing import Any, NamedTuple

#: A made-up world has a time of its own: settings that take in events of any.
ANY_TIME: dict[str, Any] = {"max_ahead_seconds": 0, "max_behind_days": 0}


class Arrived(NamedTuple):
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
