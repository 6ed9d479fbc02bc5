"""Which impressions were seen in the last minute of event time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Milliseconds = NDArray[np.int64]

_NEVER = -(1 << 62)  # no time is as early


class _Chapter:
    """Ids that were read one after the other, each with its time; forgotten together.

    Taking ids out one by one costs as much as looking them up; dropping a dictionary costs next to nothing.
    """

    def __init__(self, offset: int, begun_ms: int) -> None:
        self.seen: dict[str, int] = {}
        self.first_offset = offset
        self.begun_ms = begun_ms  # the time reached when it began
        self.latest_ms = _NEVER


class RecentIds:
    """Remembers ids for a span of event time, and from which offset on they can be read again.

    A record is a duplicate if one with its id was seen whose time lies within the span before the time reached:
    the latest time seen, where none counts further than to when its record was written. So the answer depends on
    the records before it alone, not on when they are read or how they fall into batches; and what has left the
    span changes no answer, so that reading again from :attr:`oldest_offset` gives the same answers as never having
    stopped. What has left it is forgotten half a span later at the most.

    Parameters
    ----------
    span_ms
        How long an id is remembered.

    Examples
    --------
    >>> recent = RecentIds(60_000)
    >>> times = np.array([0, 5, 0])
    >>> recent.are_new(["a", "b", "a"], times, [0, 1, 2], times).tolist()
    [True, True, False]
    >>> recent.oldest_offset
    0
    """

    def __init__(self, span_ms: int) -> None:
        self._span_ms = span_ms
        self._through_ms = 0
        self._chapters: deque[_Chapter] = deque()

    def are_new(
        self, ids: Sequence[str], at_ms: Milliseconds, offsets: Sequence[int], reached_ms: Milliseconds
    ) -> NDArray[np.bool_]:
        """Whether each id was not seen within the span when its turn came; from then on it has been.

        Parameters
        ----------
        ids, at_ms, offsets
            The ids, event times and places of n records, in their order.
        reached_ms
            How far each shows that time has come, at most ``at_ms``.

        Returns
        -------
        NDArray[np.bool_]
            Shape (n,).
        """
        new = np.ones(len(ids), dtype=np.bool_)
        if not ids:
            return new
        through = np.maximum.accumulate(np.maximum(reached_ms, self._through_ms))
        self._through_ms = int(through[-1])
        oldest = through - self._span_ms
        times = at_ms.tolist()
        latest = dict(zip(ids, times, strict=True))
        again = self._again(ids, latest)
        before: dict[str, int] = {}
        for i in (i for i, id_ in enumerate(ids) if id_ in again) if again else ():
            id_, ms = ids[i], times[i]
            last = before[id_] if id_ in before else self._last_ms(id_)
            new[i] = last < oldest[i]
            before[id_] = max(last, ms)
        kept = np.flatnonzero(at_ms >= oldest)
        if kept.size:
            if again or kept.size < len(ids):
                latest = {}
                for i in kept.tolist():
                    latest[ids[i]] = max(times[i], latest.get(ids[i], _NEVER))
            self._remember(latest, int(at_ms[kept].max()), offsets[kept[0]], again)
        while self._chapters and self._chapters[0].latest_ms < oldest[-1]:
            self._chapters.popleft()
        return new

    def _again(self, ids: Sequence[str], distinct: dict[str, int]) -> set[str]:
        """Those of the ids that are remembered, or come twice among these: nearly always none."""
        known = [chapter.seen for chapter in self._chapters if not chapter.seen.keys().isdisjoint(ids)]
        again = {id_ for seen in known for id_ in seen.keys() & distinct.keys()}
        if len(distinct) < len(ids):
            named: set[str] = set()
            again.update(id_ for id_ in ids if id_ in named or named.add(id_))  # type: ignore[func-returns-value]
        return again

    def _last_ms(self, id_: str) -> int:
        return max((chapter.seen.get(id_, _NEVER) for chapter in self._chapters), default=_NEVER)

    def _remember(self, latest: Mapping[str, int], latest_ms: int, offset: int, again: set[str]) -> None:
        """Keep what may still answer something: ids, each with the latest time that it came with."""
        if not self._chapters or self._through_ms - self._chapters[-1].begun_ms >= self._span_ms / 2:
            self._chapters.append(_Chapter(offset, self._through_ms))
        chapter = self._chapters[-1]
        chapter.latest_ms = max(chapter.latest_ms, latest_ms)
        seen = chapter.seen
        seen.update({id_: max(ms, seen.get(id_, ms)) for id_, ms in latest.items()} if again else latest)

    @property
    def oldest_offset(self) -> int | None:
        """The smallest offset still remembered; None if nothing is."""
        return self._chapters[0].first_offset if self._chapters else None

    def __len__(self) -> int:
        return sum(len(chapter.seen) for chapter in self._chapters)
