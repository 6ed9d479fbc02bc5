"""The load: seeded impressions and plays in the order of time, at the pace of what is done to the workers."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import traffic
from kafka.errors import KafkaError
from wire import Wire

from stream.kafka.client import hang_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wire import Sent

    from stream.settings import Settings

#: What is written at once, and again if it fails: less than the time within which a repetition counts once.
_CHUNK = 100
_APART_MS = 18
_AGO_MS = traffic.HOUR_MS
_REPEATED = 0.05
_REPEATED_WITHIN = 30_000 // _APART_MS  # half a minute of event time


def events(seed: int, titles: Mapping[str, Any], impressions: int, now_ms: int) -> list[Sent]:
    """Impressions, plays of them, and some of both again.

    They happened within the last hour, and no member was shown a title twice: nothing is there that a worker
    should refuse or limit.
    """
    rng = random.Random(seed)
    shown = traffic.impressions(rng, dict(titles), impressions, members=1, span_ms=impressions * _APART_MS)
    seen: dict[str, int] = defaultdict(int)
    shift = now_ms - traffic.START_MS - _AGO_MS
    for one in shown:
        one["impression_id"] = f"{seed}-{one['impression_id']}"
        one["member_id"] = f"viewer-{seed}-{seen[one['title_id']]}"
        seen[one["title_id"]] += 1
        one["shown_ms"] += shift
    due = []  # (place in the order, record); the records of one play keep their order
    for i, one in enumerate(shown):
        record = ("impressions", one["title_id"], one)
        due.append((i, record))
        if rng.random() < _REPEATED:
            due.append((i + rng.randrange(_REPEATED_WITHIN), record))
    at = {one["impression_id"]: i for i, one in enumerate(shown)}
    for play in traffic.plays(rng, shown):
        if play["impression"] is None:
            continue  # its place in the order is nowhere
        after = at[play["impression"]["impression_id"]] + impressions // 50
        due.append((after, ("plays", play["member_id"], play)))
        if rng.random() < _REPEATED:
            due.append((after + rng.randrange(impressions // 10 + 1), ("plays", play["member_id"], play)))
    return [record for _, record in sorted(due, key=lambda one: one[0])]


class Pressure:
    """Writes records on a thread of its own, up to the part of them that has been allowed so far.

    A broker that is away does not upset it: what was not acknowledged is written again. What is on the topics
    then is what the recount reads.
    """

    def __init__(self, settings: Settings, records: Sequence[Sent], per_second: float) -> None:
        self.written = 0
        self._settings, self._records, self._per_second = settings, records, per_second
        self._allowed = 0
        self._stopping = threading.Event()
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        with self._more:
            self._more.notify_all()
        self._thread.join(60)

    def allow(self, share: float) -> None:
        """Write up to this share of the records."""
        with self._more:
            self._allowed = max(self._allowed, round(min(share, 1.0) * len(self._records)))
            self._more.notify_all()

    @property
    def share(self) -> float:
        """The part of the records that is written."""
        return self.written / len(self._records)

    @property
    def finished(self) -> bool:
        """Whether all is written."""
        return self.written >= len(self._records)

    def _run(self) -> None:
        wire: Wire | None = None
        while not self._stopping.is_set() and not self.finished:
            with self._more:
                self._more.wait_for(lambda: self._allowed > self.written or self._stopping.is_set())
            chunk = self._records[self.written : min(self.written + _CHUNK, self._allowed)]
            begun = time.monotonic()
            try:
                wire = wire or Wire(self._settings)
                wire.send(chunk)
                self.written += len(chunk)
            except (KafkaError, AssertionError):
                wire = self._dropped(wire)
            self._stopping.wait(max(len(chunk) / self._per_second - (time.monotonic() - begun), 0.0))
        self._dropped(wire)

    @staticmethod
    def _dropped(wire: Wire | None) -> None:
        if wire is not None:
            hang_up(wire._producer, 1.0)  # what it holds is written again; its own close would wait for it
            with suppress(KafkaError):
                wire.admin.close()
