"""Keeping a serving node's view current, in a thread of its own, for as long as it takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from consumers.chooser.counts import Delays
from consumers.chooser.view import ServingView
from stream.errors import BrokerUnavailable, KeyartError
from stream.kafka import Admin, TableReader
from stream.metrics import AGE_BUCKETS
from stream.reading.event_time import wall_clock_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stream.kafka import Message
    from stream.settings import Settings
    from stream.topics import Topic

    Handlers = Mapping[Topic, Callable[[Sequence[Message]], None]]

#: The first reading may take so long: every taste there is.
FIRST_READ_SECONDS = 600.0
#: How often the view is compared with the ends of its tables, and how long it may take to reach them.
CHECK_SECONDS = 5.0
REACH_SECONDS = 30.0
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 2.0
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0

log = structlog.get_logger("keyart")


class Tables(Protocol):
    """An open reader of some tables; see :class:`stream.kafka.TableReader`."""

    def poll(self, seconds: float) -> int:
        """Apply what has come."""
        ...

    def catch_up(self, seconds: float) -> int:
        """Apply everything there is now."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class KafkaTables:
    """The tables on the cluster that the settings name.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``.
    TopicError
        A topic is missing.
    """

    def __init__(self, settings: Settings, handlers: Handlers) -> None:
        self._admin = Admin(settings)
        try:
            self._reader = TableReader(settings, self._admin, handlers)
        except BaseException:
            self._admin.close()
            raise
        self.poll = self._reader.poll
        self.catch_up = self._reader.catch_up

    def close(self) -> None:
        """Hang up."""
        try:
            self._reader.close()
        finally:
            self._admin.close()


class _Stopped(Exception):
    """The follower was closed while it was reading."""


class TableFollower:
    """Reads tables into a view, and reads them anew into a new view after any failure.

    While it reads anew the old view stays in use, so that nobody sees the past go by a second time; the new one
    takes its place in one step. Since a client waits silently for a broker that is away, the view is compared
    with the ends of its tables every few seconds: that is what :attr:`connected` and :attr:`behind_seconds` tell.

    Parameters
    ----------
    open_tables
        Opens the tables for some handlers.
    clock
        Seconds that only grow.
    now_ms
        The wall clock, by which learners say when they published.

    Attributes
    ----------
    view
        The last complete view; an empty one before there is any.
    connected
        Whether the tables could be read when last tried.
    failures
        How often reading has failed.
    snapshot_delays
        How long after it was published a snapshot could be chosen from; not of those that were there before the
        follower.
    """

    def __init__(
        self,
        open_tables: Callable[[Handlers], Tables],
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._open_tables = open_tables
        self._clock = clock
        self._now_ms = now_ms
        self._stop = threading.Event()
        self._settled = threading.Event()  # ready, failed for the first time, or closed
        self._error: Exception | None = None
        self._complete_at: float | None = None
        self.view = ServingView()
        self.connected = False
        self.failures = 0
        self.snapshot_delays = Delays(AGE_BUCKETS)
        self._thread = threading.Thread(target=self._run, name="keyart-tables", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether every table has been read to its end once."""
        return self._complete_at is not None

    @property
    def alive(self) -> bool:
        """Whether its thread is at work, or was told to end."""
        return self._thread.is_alive() or self._stop.is_set()

    @property
    def behind_seconds(self) -> float | None:
        """For how long the view has not been known to be complete; None before it was."""
        return None if self._complete_at is None else self._clock() - self._complete_at

    def wait_ready(self, seconds: float | None = None) -> None:
        """Wait until every table was read to its end once.

        Raises
        ------
        BrokerUnavailable
            No broker answers, or the time ran out.
        TopicError
            A topic is missing.
        """
        if not self._settled.wait(seconds):
            raise BrokerUnavailable(
                f"the tables could not be read to their end within {seconds:g} s: does the cluster answer, and is "
                "KEYART_BOOTSTRAP_SERVERS right?"
            )
        if not self.ready:
            raise self._error or KeyartError("closed before the tables were read")

    def stop(self) -> None:
        """Ask it to end, and let go of whoever waits for it; returns at once."""
        self._stop.set()
        self._settled.set()

    def close(self) -> None:
        """Stop following; the view stays as it is.

        A thread in the middle of an attempt to connect ends with that, and nobody need wait for it.
        """
        self.stop()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._stop.is_set():
            known_before = self._complete_at
            try:
                self._follow()
            except _Stopped:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, a node goes on serving what it has
                self.connected = False
                self.failures += 1
                self._error = error
                self._settled.set()
                if self._complete_at != known_before:
                    backoff = _FIRST_BACKOFF_SECONDS
                reason = str(error) if isinstance(error, KeyartError) else type(error).__name__
                log.warning("tables cannot be read, trying again", reason=reason, seconds=backoff)
                self._stop.wait(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)

    def _follow(self) -> None:
        """Read the tables to their ends, and follow them until told to stop."""
        view = ServingView()
        tables = self._open_tables({topic: self._unless_stopped(apply) for topic, apply in view.tables.items()})
        try:
            tables.catch_up(FIRST_READ_SECONDS)
            view.keep_newer(self.view)
            view.on_snapshot = self._came
            self.view = view
            self._now_complete()
            log.info("tables read", titles=len(view.titles), refused=sum(view.refused.values()))
            next_check = self._clock() + CHECK_SECONDS
            while not self._stop.is_set():
                tables.poll(_POLL_SECONDS)
                if self._clock() >= next_check:
                    tables.catch_up(REACH_SECONDS)
                    self._now_complete()
                    next_check = self._clock() + CHECK_SECONDS
        finally:
            _close(tables)

    def _came(self, published_ms: int) -> None:
        self.snapshot_delays.add(max(self._now_ms() - published_ms, 0) / 1000)

    def _now_complete(self) -> None:
        self._complete_at = self._clock()
        self.connected = True
        self._settled.set()

    def _unless_stopped(self, apply: Callable[[Sequence[Message]], None]) -> Callable[[Sequence[Message]], None]:
        """A handler that ends a long reading when the follower is closed."""

        def checked(messages: Sequence[Message]) -> None:
            if self._stop.is_set():
                raise _Stopped
            apply(messages)

        return checked


def _close(tables: Tables) -> None:
    try:
        tables.close()
    except Exception as error:  # noqa: BLE001 - nothing is lost by a client that closes badly
        log.debug("closing failed", reason=type(error).__name__)
