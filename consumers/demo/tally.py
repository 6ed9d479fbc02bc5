"""What the demo counts: records on the topics themselves, and the time until an event has its effect."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from stream.codec import decode
from stream.errors import DecodeError
from stream.kafka import Admin, TableReader
from stream.records import Impression, Play, RewardChange
from stream.topics import DEAD_LETTERS, IMPRESSIONS, PLAYS, REWARDS, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.choosing.choice import Choice
    from stream.choosing.servable import ServableTitle
    from stream.kafka import Message
    from stream.settings import Settings
    from stream.topics import Topic

_UPDATE_SECONDS = 1.0
_LOOK_SECONDS = 0.01
_KEPT = 200_000


class Tally:
    """Counts what is on the topics, by reading them.

    Attributes
    ----------
    records
        Committed records, by the topic's short name.
    shown, earned
        Different impressions, and those of them that have earned a reward, by policy.
    credit
        The sum of all rewards.
    """

    def __init__(self, settings: Settings) -> None:
        self.records: Counter[str] = Counter()
        self.shown: Counter[str] = Counter()
        self.earned: Counter[str] = Counter()
        self.credit = 0.0
        self._impressions: set[str] = set()
        self._earned: set[str] = set()
        self._plays: set[str] = set()
        takes: dict[Topic, Callable[[Message], object]] = {
            IMPRESSIONS: lambda message: self._show(decode(Impression, message.value)),
            PLAYS: lambda message: self._plays.add(decode(Play, message.value).play_id),
            REWARDS: lambda message: self._credit(decode(RewardChange, message.value)),
            SNAPSHOTS: lambda _: None,
            DEAD_LETTERS: lambda _: None,
        }
        self._admin = Admin(settings)
        self._reader = TableReader(
            settings, self._admin, {topic: partial(self._take, topic, take) for topic, take in takes.items()}
        )

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._admin.close()

    @property
    def impressions(self) -> int:
        """Different impressions."""
        return len(self._impressions)

    @property
    def plays(self) -> int:
        """Different plays."""
        return len(self._plays)

    @property
    def rewarded(self) -> int:
        """Impressions that have earned a reward."""
        return len(self._earned)

    @property
    def learnable(self) -> int:
        """What the learners have learned once nothing is on its way: impressions, and changes of rewards."""
        return self.impressions + self.records[REWARDS.name]

    def update(self, seconds: float = 0.0) -> None:
        """Take in what has come, waiting so long for the first of it.

        Raises
        ------
        BrokerUnavailable
            The broker does not answer.
        """
        deadline = time.monotonic() + _UPDATE_SECONDS
        while self._reader.poll(seconds) and time.monotonic() < deadline:
            seconds = 0.0

    def _take(self, topic: Topic, take: Callable[[Message], object], messages: Sequence[Message]) -> None:
        self.records[topic.name] += len(messages)
        for message in messages:
            with suppress(DecodeError):  # a worker makes a dead letter of it, which is counted
                take(message)

    def _show(self, impression: Impression) -> None:
        if impression.impression_id not in self._impressions:
            self._impressions.add(impression.impression_id)
            self.shown[impression.policy] += 1

    def _credit(self, change: RewardChange) -> None:
        before = change.impression_id in self._earned
        if change.reward > 0 and not before:
            self._earned.add(change.impression_id)
        elif change.reward <= 0 and before:
            self._earned.discard(change.impression_id)
        self.earned[change.policy] += (change.reward > 0) - before
        self.credit += change.credit


class Freshness:
    """How long it takes from sending an impression until a snapshot that holds it is served here.

    A title's impressions are learned in the order in which they were sent. So the n-th one is held by the first
    snapshot that has counted n of them and is learned through its time.

    Parameters
    ----------
    snapshot
        What is served of a title now.
    """

    def __init__(self, snapshot: Callable[[str], ServableTitle | None]) -> None:
        self._snapshot = snapshot
        self._waiting: dict[str, deque[tuple[int, int, float]]] = {}
        self._sent: Counter[str] = Counter()
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="keyart-freshness", daemon=True)
        self._thread.start()

    def sent(self, choice: Choice, shown_ms: int) -> None:
        """An impression was sent just now."""
        with self._lock:
            self._sent[choice.title_id] += 1
            waiting = self._waiting.setdefault(choice.title_id, deque())
            waiting.append((self._sent[choice.title_id], shown_ms, time.monotonic()))

    def _look(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            with self._lock:
                titles = [title_id for title_id, waiting in self._waiting.items() if waiting]
            for title_id in titles:
                served = self._snapshot(title_id)
                if served is not None:
                    self._settle(title_id, int(served.impressions.sum()), served.learned_through_ms)

    def _settle(self, title_id: str, counted: int, through_ms: int) -> None:
        now = time.monotonic()
        with self._lock:
            waiting = self._waiting[title_id]
            while waiting and waiting[0][0] <= counted and waiting[0][1] <= through_ms:
                self._seconds.append(now - waiting.popleft()[2])

    def percentile(self, share: float, last: int = _KEPT) -> float | None:
        """So many seconds or less for that share (0 to 1) of the last impressions; None before the first."""
        with self._lock:
            seconds = list(self._seconds)[-last:]
        return float(np.quantile(seconds, share)) if seconds else None

    @property
    def waiting(self) -> int:
        """Impressions that no snapshot served here holds yet."""
        with self._lock:
            return sum(len(waiting) for waiting in self._waiting.values())

    def close(self) -> None:
        """Stop looking."""
        self._done.set()
        self._thread.join()
