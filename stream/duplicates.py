"""Which impressions were seen in the last minute of event time."""

from __future__ import annotations

from collections import OrderedDict


class RecentIds:
    """Remembers ids for a span of event time, and from which offset on they can be read again.

    A record is a duplicate if one with its id was seen whose time lies within the span before the time reached:
    the latest time seen, where none counts further than to when its record was written. So the answer depends on
    the records before it alone, not on when they are read or how they fall into batches; and what has left the
    span changes no answer, so that reading again from :attr:`oldest_offset` gives the same answers as never having
    stopped.

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
        # id -> its latest time, and the offset of the record that had it; in the order of those offsets. A plain
        # dict looks for its first entry among all that were deleted before it.
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._front_ms = 0  # no later than the time of the first; looked up when that may have left the span

    def is_new(self, id_: str, at_ms: int, offset: int, reached_ms: int | None = None) -> bool:
        """Whether this id was not seen within the span; from now on it has been.

        Parameters
        ----------
        id_, at_ms, offset
            The record's id, event time and place.
        reached_ms
            How far it shows that time has come, at most ``at_ms``; None: as far as that.
        """
        if reached_ms is None:
            reached_ms = at_ms
        self._through_ms = max(self._through_ms, reached_ms)
        oldest = self._through_ms - self._span_ms
        before = self._seen.get(id_)
        if at_ms >= oldest and (before is None or at_ms > before[0]):
            self._seen[id_] = (at_ms, offset)
            if before is not None:
                self._seen.move_to_end(id_)
                self._front_ms = -1
        if self._front_ms < oldest:
            self._forget(oldest)
        return before is None or before[0] < oldest

    def _forget(self, oldest: int) -> None:
        """Drop from the front what has left the span.

        What left it out of order waits for those in front of it: for one more span at most, and for as long as the
        time reached is behind a record that is remembered with a later one.
        """
        while self._seen:
            id_, (at_ms, _) = next(iter(self._seen.items()))
            if at_ms >= oldest:
                self._front_ms = at_ms
                return
            del self._seen[id_]
        self._front_ms = 0

    @property
    def oldest_offset(self) -> int | None:
        """The smallest offset still remembered; None if nothing is."""
        return next(iter(self._seen.values()))[1] if self._seen else None

    def __len__(self) -> int:
        return len(self._seen)
