"""Which impressions were seen in the last minute of event time."""

from __future__ import annotations


class RecentIds:
    """Remembers ids for a span of event time, and from which offset on they can be read again.

    A record is a duplicate if its id was seen and its time lies within the span before the latest time seen. So
    the answer depends on the records alone, not on when they are read or how they fall into batches.

    Parameters
    ----------
    span_ms
        How long an id is remembered.

    Examples
    --------
    >>> recent = RecentIds(60_000)
    >>> [recent.is_new(name, ms, offset) for offset, (name, ms) in enumerate([("a", 0), ("b", 5), ("a", 0)])]
    [True, True, False]
    >>> recent.is_new("c", 70_000, 3)
    True
    >>> recent.oldest_offset
    3
    """

    def __init__(self, span_ms: int) -> None:
        self._span_ms = span_ms
        self._through_ms = 0
        self._seen: dict[str, tuple[int, int]] = {}  # id -> time, offset; in the order of offsets

    def is_new(self, id_: str, at_ms: int, offset: int) -> bool:
        """Whether this id was not seen within the span; from now on it has been."""
        self._through_ms = max(self._through_ms, at_ms)
        oldest = self._through_ms - self._span_ms
        if at_ms < oldest:
            return True  # too old to tell: what came when it was young is forgotten
        if id_ in self._seen:
            return False
        self._seen[id_] = (at_ms, offset)
        if next(iter(self._seen.values()))[0] < oldest:
            self._forget(oldest)
        return True

    def _forget(self, oldest: int) -> None:
        """Drop from the front what has left the span."""
        gone = []
        for id_, (at_ms, _) in self._seen.items():
            if at_ms >= oldest:
                break
            gone.append(id_)
        for id_ in gone:
            del self._seen[id_]

    @property
    def oldest_offset(self) -> int | None:
        """The smallest offset still remembered; None if nothing is."""
        return next(iter(self._seen.values()))[1] if self._seen else None

    def __len__(self) -> int:
        return len(self._seen)
