"""Records on their way to Kafka: a bounded queue, and a thread that connects, writes and reconnects.

Why not write from the caller's thread: Kafka's client connects while it is made, looks topics up while it sends,
and holds any number of records. A caller would have to wait for the first two, and nothing bounds the third.

An outbox takes records while it is `connecting` for the first time and while it is `open`; while it is `away` it
refuses them at once::

    connecting ──a broker answers──► open ──records time out──► away ──a broker answers──► open
        └────nobody answers────► away
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import structlog

from stream.errors import KeyartError
from stream.kafka import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.kafka import Output
    from stream.settings import Settings
    from stream.topics import Topic

log = structlog.get_logger("keyart")

#: How long a record is tried before it is dropped: long enough to sit out the election of new leaders.
DELIVERY_SECONDS = 30.0
#: How much memory records on their way may take before callers wait, and then lose theirs.
MAX_QUEUED_BYTES = 64 * 1024 * 1024

_FULL = "the queue is full"
_RECORD_OVERHEAD = 1024  # what a record costs beside its bytes while it waits, here and in the client
_BATCH = 256
_CLOSE_SECONDS = 5.0
_STUCK_SECONDS = 5.0  # how much later than it should the client may give records up
_LOOK_SECONDS = 1.0  # how often the thread looks up from its work: to speak, to see whether anything moves
_FIRST_ATTEMPT_SECONDS, _LONGEST_ATTEMPT_SECONDS = 1.0, 5.0


class Outbox:
    """Takes records from any thread, delivers them, and counts those it cannot deliver.

    Parameters
    ----------
    settings
        Where to; and ``max_block_seconds``, the longest that :meth:`put` waits.
    role
        The writer's name among the cluster's clients.
    wanted
        The topics it will be given records for: they must exist before it is open.
    """

    def __init__(self, settings: Settings, role: str, wanted: Iterable[Topic]) -> None:
        self._settings = settings
        self._role = role
        self._topics = tuple(wanted)
        lock = threading.Lock()
        self._work = threading.Condition(lock)  # the outbox's thread waits here
        self._settled = threading.Condition(lock)  # callers wait here: for room, or for the end of a flush
        self._waiting: deque[tuple[float, Output]] = deque()
        self._queued = 0  # those waiting, and those the client holds
        self._bytes = 0
        self._moved_at = time.monotonic()  # when a record last left the client, or found it empty
        self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._unsaid: Counter[tuple[str, str]] = Counter()  # by topic and reason
        self._said_at = -_LOOK_SECONDS
        self._away = self._closed = self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=f"keyart-{role}", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    # --- for callers

    def put(self, output: Output) -> bool:
        """Queue one record. False, and counted, if that cannot be."""
        size = _size(output)
        with self._work:
            self._settled.wait_for(lambda: self._refusal(size) != _FULL, self._settings.max_block_seconds)
            refusal = self._refusal(size)
            if refusal is not None:
                self._drop(output, refusal)
                return False
            if self._queued == len(self._waiting):
                self._moved_at = time.monotonic()
            self._waiting.append((time.monotonic(), output))
            self._queued += 1
            self._bytes += size
            self._work.notify()
        return True

    def flush(self, seconds: float | None) -> None:
        """Wait until nothing is on its way, or until the time is up."""
        with self._settled:
            self._settled.wait_for(lambda: not self._queued, seconds)

    def close(self) -> None:
        """Deliver what can be delivered within seconds, drop the rest, hang up."""
        atexit.unregister(self.close)
        with self._work:
            self._closed = True
            self._work.notify()
            self._settled.notify_all()
            self._settled.wait_for(lambda: self._away or not self._queued, _CLOSE_SECONDS)
            self._abandoned = True
            self._work.notify()
        # While away it may be in the middle of an attempt; it ends with that, and nobody need wait for it.
        self._thread.join(_LOOK_SECONDS if self._away else _CLOSE_SECONDS)
        with self._work:
            self._drop_waiting(float("inf"), "the producer was closed")
        self._say(at_last=True)

    @property
    def delivered(self) -> int:
        """Records that the cluster has acknowledged."""
        return self._delivered

    @property
    def dropped(self) -> dict[str, int]:
        """Records refused or lost, by the short name of their topic."""
        with self._work:
            return dict(self._dropped)

    @property
    def queued(self) -> int:
        """Records neither delivered nor dropped yet."""
        return self._queued

    # --- with the lock held

    def _refusal(self, size: int) -> str | None:
        """Why a record of this size cannot be taken now; None if it can."""
        if self._closed:
            return "the producer is closed"
        if self._away:
            return "no broker takes records"
        return _FULL if self._bytes + size > MAX_QUEUED_BYTES else None

    def _drop(self, output: Output, reason: str) -> None:
        self._dropped[output.topic.name] += 1
        self._unsaid[output.topic.name, reason] += 1

    def _settle(self, output: Output) -> None:
        """A record is no longer on its way."""
        self._queued -= 1
        self._bytes -= _size(output)
        self._settled.notify_all()

    def _drop_waiting(self, until: float, reason: str) -> None:
        """Give up what has waited since before a moment."""
        while self._waiting and self._waiting[0][0] <= until:
            _, output = self._waiting.popleft()
            self._drop(output, reason)
            self._settle(output)

    # --- on the client's thread

    def _on_delivered(self, output: Output) -> None:
        with self._work:
            self._delivered += 1
            self._moved_at = time.monotonic()
            self._settle(output)

    def _on_lost(self, output: Output, error: Exception) -> None:
        with self._work:
            self._drop(output, f"not delivered ({type(error).__name__})")
            self._moved_at = time.monotonic()
            self._settle(output)

    # --- on the outbox's thread

    def _run(self) -> None:
        while (writer := self._connect()) is not None:
            self._write(writer)
            # A client that has let records expire may hold others for ever: what it holds is given up.
            writer.close(_CLOSE_SECONDS if self._closed and not self._abandoned else 0.0)
        self._say(at_last=True)

    def _connect(self) -> Writer | None:
        """Try until a broker answers; None once there is nothing to connect for."""
        seconds = _FIRST_ATTEMPT_SECONDS
        while not (self._abandoned or (self._closed and not self._queued)):
            began = time.monotonic()
            try:
                writer = self._open(min(seconds, self._settings.connect_seconds))
            except KeyartError as error:
                self._stay_away(str(error))
            except Exception as error:  # noqa: BLE001 - were this thread to end, records would queue up unsaid
                self._stay_away(f"{type(error).__name__}: {error}")
            else:
                self._open_again()
                return writer
            seconds = min(2 * seconds, _LONGEST_ATTEMPT_SECONDS)
            with self._work:
                pause = began + _LOOK_SECONDS - time.monotonic()
                self._work.wait_for(lambda: self._closed, max(pause, 0))
        return None

    def _open(self, seconds: float) -> Writer:
        """One attempt to connect and to find the topics, in about so long."""
        limited = self._settings.model_copy(update={"connect_seconds": seconds})
        writer = Writer(
            limited,
            self._role,
            delivery_seconds=DELIVERY_SECONDS,
            on_delivered=self._on_delivered,
            on_lost=self._on_lost,
        )
        try:
            writer.warm(self._topics)
        except BaseException:
            writer.close(0)
            raise
        return writer

    def _stay_away(self, reason: str) -> None:
        with self._work:
            newly, self._away = not self._away, True
            self._drop_waiting(time.monotonic() - DELIVERY_SECONDS, "no broker answered in time")
            self._settled.notify_all()
        if newly:
            log.warning("events cannot be delivered and are dropped until they can", reason=reason)
        self._say()

    def _open_again(self) -> None:
        with self._work:
            was_away, self._away = self._away, False
            self._moved_at = time.monotonic()
            if not self._closed:
                # What is called at exit is called last in, first out: this must come before the client's own.
                atexit.unregister(self.close)
                atexit.register(self.close)
        if was_away:
            log.info("events can be delivered again", brokers=self._settings.bootstrap_servers)

    def _write(self, writer: Writer) -> None:
        """Hand records to the client until the outbox is closed, or the client no longer gets rid of them."""
        while not writer.expired and not self._is_stuck():
            with self._work:
                self._work.wait_for(lambda: self._waiting or self._closed, _LOOK_SECONDS)
                batch = [self._waiting.popleft()[1] for _ in range(min(_BATCH, len(self._waiting)))]
                if self._closed and not batch:
                    return  # what the client holds is delivered while it is closed
            for output in batch:
                writer.write(output)
            self._say()

    def _is_stuck(self) -> bool:
        held = self._queued > len(self._waiting)
        return held and time.monotonic() - self._moved_at > DELIVERY_SECONDS + _STUCK_SECONDS

    def _say(self, *, at_last: bool = False) -> None:
        """Log what was dropped since this was last done, once a second at most until the end."""
        with self._work:
            if not at_last and time.monotonic() - self._said_at < _LOOK_SECONDS:
                return
            self._said_at = time.monotonic()
            unsaid, self._unsaid = self._unsaid, Counter()
        for (topic, reason), count in unsaid.items():
            log.warning("events dropped", topic=topic, count=count, reason=reason)


def _size(output: Output) -> int:
    return len(output.key or b"") + len(output.value or b"") + _RECORD_OVERHEAD
