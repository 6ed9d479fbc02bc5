"""The one loop that every worker runs: poll, decode, handle, publish, checkpoint.

A worker owns some partitions of its inputs; each is a :class:`~stream.running.job.Task` with its own state. The
unit of work is the batch that a poll returns.

A checkpoint, in this order:

1. poll; take the group metadata right after it; handle the batch (state changes in memory only)
2. when a checkpoint is due: collect from every task that handled something its changelog records, what it wants
   published exactly once, and its dead letters; and from the consumer the positions those cover
3. the position is itself a changelog record of the partition, so that state and offsets can be compared later
4. commit all of it in one transaction (:mod:`stream.kafka.committer`)
5. on any error the session is over: every task and every client is dropped, and restoring is the only way back to
   a known state

State comes back as :mod:`stream.running.restore` says. A partition that stays with its worker through a rebalance
keeps its state if the group's committed offset is still the one this worker committed: nobody else has moved it,
and state is a pure function of the input so far.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import structlog

from stream.errors import BrokerUnavailable, WorkerFailed, WorkerReplaced
from stream.kafka import Admin, Committer, GroupReader, Output, TableReader, Writer
from stream.running.restore import FORMAT, Interrupted, Position, Restorer

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from stream.kafka import Assignment, Message
    from stream.metrics import WorkerMetrics
    from stream.running.job import Counts, Job, Task
    from stream.settings import Settings
    from stream.topics import Topic

_POLL_SECONDS = 0.05
#: Records are let gather for so long, unless as many as this were there at the last turn. A batch of ten takes a
#: worker nearly as long as one of a hundred, and what it takes the machine to ask for them does not depend on it.
_GATHER_SECONDS, _GATHERED = 0.02, 1_000
_TABLE_SECONDS = 0.1
_PUBLISH_BUDGET_SECONDS = 0.25
MOST_HELD_BYTES = 4 * 1024 * 1024

log = structlog.get_logger("keyart")


class Session:
    """The loop between two failures: one set of clients, and the tasks they keep alive.

    Parameters
    ----------
    counts
        Where to count; it outlives the session.
    stopping
        Whether to commit and leave.
    on_hang
        See :class:`stream.kafka.Committer`.
    beat
        Called at every turn, and between calls that may take long.
    """

    def __init__(
        self,
        settings: Settings,
        job: Job,
        metrics: WorkerMetrics,
        now_ms: Callable[[], int],
        counts: Counts,
        *,
        stopping: Callable[[], bool],
        on_hang: Callable[[str], None],
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._stopping = stopping
        self._beat = beat
        self._on_hang = on_hang
        self._settings = settings
        self._job = job
        self._metrics = metrics
        self._now_ms = now_ms
        self._counts = counts
        self._tasks: dict[int, Task] = {}
        self._committed: dict[int, dict[str, int | None]] = {}
        self._positions: dict[int, dict[str, int]] = {}
        self._changed: set[int] = set()
        self._assigned = False
        self._committer: Committer | None = None
        self._turn = 0
        self._next_publish = 0.0
        self._lost: deque[bytes | None] = deque()
        self._open: list[Admin | TableReader | Committer | Writer | GroupReader] = []
        try:
            self._admin = Admin(settings)
            self._open.append(self._admin)
            beat()
            self._tables = TableReader(settings, self._admin, job.tables)
            self._open.append(self._tables)
            beat()
            self._writer = Writer(settings, job.name, on_lost=lambda output, _: self._lost.append(output.key))
            self._open.append(self._writer)
            beat()
            self._tables.catch_up()
            beat()
            self._group = GroupReader(settings, job.name, job.inputs)
            self._open.append(self._group)
            self._restorer = Restorer(settings, job, self._admin, self._tables.catch_up, self._keep_alive)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop every client; leaves the group first, so that others take over at once."""
        self._metrics.partitions.set(0)
        self._metrics.show_lag({})
        self._job.show(())
        while self._open:
            client = self._open.pop()
            self._beat()
            try:
                client.close()
            except Exception as error:  # noqa: BLE001 - nothing is lost by a client that closes badly
                log.debug("closing failed", client=type(client).__name__, reason=str(error))

    # --- the loop

    def run(self, ready: threading.Event, *, until_drained: bool) -> None:
        """Poll, handle, publish, checkpoint, until told to stop or drained.

        Raises
        ------
        WorkerFailed, BrokerUnavailable
            The session is over; another may do better.
        WorkerReplaced
            Another process goes by this worker's name. Another session would only put that one out in its turn.
        StateMismatch
            State and committed offsets contradict each other.
        """
        try:
            self._run(ready, until_drained=until_drained)
        except (BrokerUnavailable, WorkerFailed) as failure:
            if self._group.is_replaced(failure):
                raise WorkerReplaced(
                    f"another process has joined {self._settings.topic_prefix}{self._job.name} with worker_id "
                    f"{self._settings.worker_id!r} and goes on in this one's place. If it is not its successor, "
                    "give each worker a worker_id of its own, or none"
                ) from failure
            raise

    def _run(self, ready: threading.Event, *, until_drained: bool) -> None:
        job = self._job
        now = time.monotonic()
        next_checkpoint, next_tables = now + job.checkpoint_seconds, now
        not_before = now
        while not self._stopping():
            self._beat()
            time.sleep(max(not_before - time.monotonic(), 0.0))
            assigned = self._group.assignment()
            if assigned is not None:
                self._take(assigned)
            if self._assigned and not self._group.rebalancing:
                ready.set()
            batches = self._group.poll(_POLL_SECONDS)
            metadata = self._group.metadata()
            now = time.monotonic()
            few = 0 < sum(len(messages) for _, _, messages in batches) < _GATHERED
            not_before = now + _GATHER_SECONDS if few else now
            if now >= next_tables:
                self._tables.poll(0.0)
                next_tables = now + _TABLE_SECONDS
            for topic, partition, messages in batches:
                self._handle(topic, partition, messages)
            drained = until_drained and not batches and self._drained()
            if now >= next_checkpoint or drained or self._held_bytes() > MOST_HELD_BYTES:
                if metadata is not None:
                    self._checkpoint(metadata)
                next_checkpoint = now + job.checkpoint_seconds
                self._show()
            if drained and job.publish_seconds is not None:
                self._publish(time.monotonic() + 3600.0)
            else:
                self._publish_if_due()
            self._require_delivery()
            if drained and not self._changed:
                break
        self._finish()

    def _require_delivery(self) -> None:
        """A client that has lost its producer id can keep what it holds for ever (seen in 3.0.12).

        What a sound one holds is delivered or given up, and then published again, before the limit.
        """
        limit = self._settings.transaction_seconds
        if self._writer.waits_seconds > limit:
            raise WorkerFailed(
                f"the client has neither delivered nor given up for {limit:g} s what was to be published; a new "
                "one is made, and it is published again"
            )

    def _handle(self, topic: Topic, partition: int, messages: Sequence[Message]) -> None:
        started, metrics = time.monotonic(), self._metrics
        self._tasks[partition].handle(topic, messages)
        self._positions[partition][topic.name] = messages[-1].offset + 1
        self._changed.add(partition)
        self._counts.records += len(messages)
        metrics.records.labels(topic.name).inc(len(messages))
        metrics.batch_seconds.labels(topic.name).observe(time.monotonic() - started)
        metrics.record_age_seconds.labels(topic.name).observe(
            max(self._now_ms() - messages[0].timestamp, 0) / 1000
        )

    def _held_bytes(self) -> int:
        """What waits for the next checkpoint: a flood of bad records must not fill the memory until it is due."""
        return sum(task.held_bytes for task in self._tasks.values())

    def _show(self) -> None:
        lag = self._group.lag()
        if lag is not None:
            self._metrics.show_lag(lag)
        self._job.show(self._tasks.values())

    def _finish(self) -> None:
        """Commit what is still in memory, publish it, and deliver."""
        metadata = self._group.metadata()
        if metadata is not None:
            self._checkpoint(metadata)
            if self._job.publish_seconds is not None:
                self._publish(time.monotonic() + 1.0)
        self._writer.flush(3.0)

    def _drained(self) -> bool:
        """Whether everything on the inputs of the open partitions has been read."""
        if not self._assigned or self._group.rebalancing:
            return False
        return all(
            self._group.position(topic, partition) >= end
            for topic in self._job.inputs
            for partition, end in self._admin.end_offsets(topic, self._tasks).items()
        )

    def _checkpoint(self, metadata: object) -> None:
        if not self._changed:
            return
        started = time.monotonic()
        outputs: list[Output] = []
        offsets: dict[tuple[str, int], int] = {}
        positions = {partition: self._position(partition) for partition in sorted(self._changed)}
        for partition, here in positions.items():
            task = self._tasks[partition]
            outputs.extend(task.checkpoint())
            self._publish_if_due()  # it changes nothing of this, and must not wait for all of them
            outputs.append(Position(FORMAT, here, task.reread()).output(self._job.changelog, partition))
            for topic in self._job.inputs:
                offsets[topic.full_name(self._settings.topic_prefix), partition] = here[topic.name]
        assert self._committer is not None  # it came before the first partition  # noqa: S101
        self._counts.committed += self._committer.commit(outputs, offsets, metadata)
        self._counts.checkpoints += 1
        self._committed.update({partition: dict(here) for partition, here in positions.items()})
        self._counts.positions.update(positions)
        self._changed.clear()
        log.debug("checkpoint", offsets=positions, records=len(outputs))
        self._metrics.checkpoints.inc()
        self._metrics.checkpoint_seconds.observe(time.monotonic() - started)

    def _position(self, partition: int) -> dict[str, int]:
        """The next offset of each input. The client's own position is ahead where markers end a batch.

        Should a rebalance have begun meanwhile, the client knows less than we do, and the commit is fenced.
        """
        here = self._positions[partition]
        if not self._group.rebalancing:
            for topic in self._job.inputs:
                here[topic.name] = max(here[topic.name], self._group.position(topic, partition))
        return dict(here)

    def _publish_if_due(self) -> None:
        now, every = time.monotonic(), self._job.publish_seconds
        if every is not None and now >= self._next_publish:
            self._publish(now + _PUBLISH_BUDGET_SECONDS)
            self._next_publish = now + every

    def _publish(self, deadline: float) -> None:
        while self._lost:
            key = self._lost.popleft()
            for task in self._tasks.values():
                task.mark_unpublished(key or b"")
        now_ms, tasks = self._now_ms(), list(self._tasks.values())
        # Each begins in its turn: all share one deadline, and a busy partition must not keep the others waiting.
        self._turn = (self._turn + 1) % max(len(tasks), 1)
        for task in tasks[self._turn :] + tasks[: self._turn]:
            for output in task.publish(now_ms, deadline):
                self._writer.write(output)
                self._counts.published += 1
                self._metrics.published.inc()

    # --- ownership

    def _take(self, assigned: Assignment) -> None:
        """Become the owner of these partitions and of no others."""
        self._metrics.rebalances.inc()
        self._assigned = False
        for partition in set(self._tasks) - assigned:
            self._drop(partition)
        if self._committer is None:
            self._committer = self._commit_alone()
        committed = {partition: self._committed_of(partition) for partition in sorted(assigned)}
        keep = {p for p in assigned & set(self._tasks) if committed[p] == self._committed.get(p)}
        start = {p: self._positions[p] for p in keep}
        missing = sorted(assigned - keep)
        for partition in missing:
            self._drop(partition)
        if missing:
            started = time.monotonic()
            try:
                tasks, restored = self._restorer.restore(missing, committed)
            except Interrupted:
                return  # another rebalance began, whose end decides what is ours; or we are leaving
            self._tasks |= tasks
            self._committed |= {p: dict(committed[p]) for p in missing}
            start |= restored
            self._counts.restores += len(missing)
            self._metrics.restore_seconds.observe(time.monotonic() - started)
        for partition in missing:
            log.info("restored", partition=partition, offsets=start[partition])
        for partition in sorted(assigned):
            self._group.open(partition, start[partition])
            self._positions[partition] = start[partition]
        self._assigned = True
        self._metrics.partitions.set(len(assigned))
        log.info("partitions", owned=sorted(assigned), restored=missing)

    def _committed_of(self, partition: int) -> dict[str, int | None]:
        self._beat()  # each may have to wait for the end of a transaction
        return self._group.committed(partition)

    def _commit_alone(self) -> Committer:
        """A committer, which ends what an earlier process of this name may have left open.

        Not before the group has given us the name: of two processes that go by it, the one that was put out of
        the group could otherwise be told of by nothing but a transaction that failed, and many things do that.
        """
        name = f"{self._settings.topic_prefix}{self._job.name}.{self._settings.worker_name}"
        committer = Committer(self._settings, name, on_hang=self._on_hang)
        self._open.insert(0, committer)  # the group is left first, see close
        return committer

    def _drop(self, partition: int) -> None:
        self._tasks.pop(partition, None)
        self._committed.pop(partition, None)
        self._positions.pop(partition, None)
        self._changed.discard(partition)

    def _keep_alive(self) -> None:
        """Called while restoring: stay in the group, and notice when it moves on, or we should."""
        self._beat()
        self._group.keep_alive()
        if self._group.rebalancing or self._stopping():
            raise Interrupted
