"""Delivering many records at once: all of them, or an error that says how many are missing."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.errors import BrokerUnavailable, InputError
from stream.kafka import Admin, Output, Writer
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stream.settings import Settings

    Progress = Callable[[int, int | None], object]

#: How long a record is tried before the replay is given up: a restart of brokers is sat out.
DELIVERY_SECONDS = 120.0
# kafka-python bounds neither what it holds nor how much of it a broken connection can lose. A batch is delivered
# before the next is begun, so no more than one is ever in doubt.
_BATCH_RECORDS = 5_000
_BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Delivered:
    """How many records were delivered, by topic."""

    catalogue: int
    impressions: int
    plays: int

    @property
    def total(self) -> int:
        """On all topics."""
        return self.catalogue + self.impressions + self.plays


def deliver(
    settings: Settings,
    outputs: Iterable[Output],
    *,
    total: int | None = None,
    progress: Progress | None = None,
) -> Delivered:
    """Write records of the catalogue, of impressions and of plays; return when the last one is acknowledged.

    Records of one key keep their order, and a catalogue is delivered before what comes after it is sent, so that
    no worker meets an impression of a title it cannot know yet.

    Parameters
    ----------
    settings
        Where to.
    outputs
        The records.
    total
        How many records there are, if that is known; it is passed on to ``progress``.
    progress
        Called with the number of records delivered so far, and ``total``, after every few thousand of them.

    Raises
    ------
    BrokerUnavailable
        The cluster cannot be reached, or records are missing; the message says how many. Nothing more was sent.
    TopicError
        A topic is missing, or would lose records.
    InputError
        ``outputs`` raised it half-way; the message adds how many records before the fault were delivered.
    """
    with Admin(settings) as admin:
        admin.verify((CATALOGUE, IMPRESSIONS, PLAYS))
    batch = _Batch(settings, total, progress)
    with closing(batch):
        try:
            for output in outputs:
                batch.write(output)
        except InputError as error:
            batch.settle()
            raise InputError(f"{error}; {batch.delivered} records before it were delivered") from error
        batch.settle()
    counts = batch.counts
    return Delivered(counts[CATALOGUE.name], counts[IMPRESSIONS.name], counts[PLAYS.name])


class _Batch:
    """Records on their way, settled a few thousand at a time."""

    def __init__(self, settings: Settings, total: int | None, progress: Progress | None) -> None:
        self._settings = settings
        self._total = total
        self._progress = progress
        self._writer = Writer(
            settings,
            "replay",
            max_block_seconds=DELIVERY_SECONDS,
            delivery_seconds=DELIVERY_SECONDS,
            on_lost=self._lost,
        )
        self._reason = ""
        self._records = self._bytes = 0
        self._catalogue = False
        self.counts: Counter[str] = Counter()

    @property
    def delivered(self) -> int:
        """How many records are acknowledged."""
        return self._writer.delivered

    def write(self, output: Output) -> None:
        """Send one record, and wait for the batch if it is full."""
        if self._catalogue and output.topic is not CATALOGUE:
            self.settle()
        self.counts[output.topic.name] += 1
        self._records += 1
        self._bytes += len(output.value or b"")
        self._catalogue |= output.topic is CATALOGUE
        queued = self._writer.write(output)
        if not queued or self._records >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES:
            self.settle()

    def settle(self) -> None:
        """Wait for everything sent.

        Raises
        ------
        BrokerUnavailable
            Something is missing.
        """
        tried = self.counts.total()
        try:
            self._writer.flush(DELIVERY_SECONDS + self._settings.transaction_seconds)
        except BrokerUnavailable as error:
            self._reason = self._reason or str(error)
        missing = tried - self._writer.delivered
        if missing:
            raise BrokerUnavailable(
                f"{missing} of the first {tried} records were not delivered to "
                f"{self._settings.bootstrap_servers}, and nothing after them was sent ({self._reason}). Replayed "
                "again, plays that had arrived count once, impressions that had arrived count twice"
            )
        self._records = self._bytes = 0
        self._catalogue = False
        if self._progress is not None:
            self._progress(tried, self._total)

    def close(self) -> None:
        """Hang up."""
        self._writer.close(1.0)

    def _lost(self, _output: Output, error: Exception) -> None:
        self._reason = str(error) or type(error).__name__
