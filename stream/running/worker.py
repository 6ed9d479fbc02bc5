"""A worker: one session after the other, until it is told to leave or its inputs are drained.

What happens within a session is :mod:`stream.running.session`'s. A broker that goes away, a lost membership, a
commit that failed: the session is over, and the next one restores its state from the changelog.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bound_contextvars

from stream.errors import BrokerUnavailable, WorkerFailed
from stream.health import Pulse
from stream.kafka import Admin, end_process
from stream.running.job import Counts
from stream.running.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.metrics import WorkerMetrics
    from stream.running.job import Job
    from stream.settings import Settings

_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 5.0
_LEAVE_SECONDS = 8.0  # a supervisor waits 10

log = structlog.get_logger("keyart")


class Worker:
    """Runs one job until told to stop, or until its inputs are drained.

    Parameters
    ----------
    settings
        What is in force.
    job
        What to do.
    metrics
        Where to count.
    now_ms
        The wall clock, for the time that snapshots carry; nothing learned depends on it.
    on_hang
        Called with what was being done when it does not end in its time: a commit, or leaving.

    Attributes
    ----------
    counts
        What it has done.
    ready
        Set while it owns partitions and has restored their state.
    pulse
        Whether its loop turns.
    """

    def __init__(
        self,
        settings: Settings,
        job: Job,
        metrics: WorkerMetrics,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        on_hang: Callable[[str], None] = end_process,
    ) -> None:
        self._settings = settings
        self._job = job
        self._metrics = metrics
        self._now_ms = now_ms
        self._on_hang = on_hang
        self._stopping = False
        self.counts = Counts()
        self.ready = threading.Event()
        self.pulse = Pulse.of(settings)
        metrics.ready.set_function(self.ready.is_set)
        metrics.still_seconds.set_function(lambda: self.pulse.still_seconds)
        metrics.expect(settings, job.inputs)

    def stop(self) -> None:
        """Ask the loop to commit what it has and to leave; safe in a signal handler, as it takes no lock.

        A broker that is away can make that take long. What is not committed after 8 seconds is left to the next
        owner, who learns it again: nothing is lost by ending the process.
        """
        self._stopping = True

    def run(self, *, until_drained: bool = False) -> Counts:
        """Work until :meth:`stop`, or until everything on the inputs now is learned and committed.

        A broker that goes away, a lost membership, a failed commit: the loop starts over from the changelog, for
        as long as it takes. What cannot be mended by waiting is raised.

        Raises
        ------
        BrokerUnavailable
            The cluster could not be reached at the start.
        TopicError
            A topic is missing or would lose records.
        StateMismatch
            State and committed offsets contradict each other.
        """
        done = threading.Event()
        threading.Thread(target=self._watch_leaving, args=(done,), name="keyart-leaving", daemon=True).start()
        try:
            with Admin(self._settings) as admin:
                found = admin.verify(
                    (*self._job.inputs, self._job.changelog, *self._job.outputs, *self._job.tables)
                )
            self._metrics.group_partitions.set(found[self._job.inputs[0].name])
            # Every line of this thread says whose it is.
            with bound_contextvars(job=self._job.name, worker=self._settings.worker_name):
                self._run_sessions(until_drained=until_drained)
        finally:
            done.set()
        return self.counts

    def _run_sessions(self, *, until_drained: bool) -> None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._stopping:
            checkpoints = self.counts.checkpoints
            try:
                self._run_session(until_drained=until_drained)
            except (BrokerUnavailable, WorkerFailed) as error:
                self.counts.failures += 1
                self._metrics.failures.inc()
                if self._stopping:
                    log.warning("left before all was done", reason=str(error))  # whoever comes next does it
                    return
                if self.counts.checkpoints > checkpoints:
                    backoff = _FIRST_BACKOFF_SECONDS  # it has worked in between: this is a new failure
                log.warning("starting over", reason=str(error), seconds=backoff)
                self._pause(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
            else:
                return

    def _run_session(self, *, until_drained: bool) -> None:
        session = Session(
            self._settings,
            self._job,
            self._metrics,
            self._now_ms,
            self.counts,
            stopping=lambda: self._stopping,
            on_hang=self._on_hang,
            beat=self.pulse.beat,
        )
        try:
            session.run(self.ready, until_drained=until_drained)
        finally:
            self.ready.clear()
            session.close()

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            self.pulse.beat()
            time.sleep(0.05)

    def _watch_leaving(self, done: threading.Event) -> None:
        """On a thread of its own, as the loop may be waiting for a broker that does not answer."""
        while not done.wait(0.2):
            if self._stopping:
                if not done.wait(_LEAVE_SECONDS):
                    self._on_hang("leaving")
                return
