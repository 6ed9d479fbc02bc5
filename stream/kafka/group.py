"""A worker's share of its input topics: membership, assignment, and records read since the last poll.

The client calls a rebalance listener on its IO thread, where blocking calls raise. So the listener only records
what happened and pauses; the worker's own thread then restores state, seeks and resumes.

Range assignment gives the same partition numbers of all input topics to one worker, which is what makes the
impressions and the rewards of a title meet.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import FencedInstanceIdError, IllegalStateError, KafkaTimeoutError

from stream.errors import BrokerUnavailable, WorkerFailed
from stream.kafka.client import Message, consumer_options, plainly, position_of
from stream.kafka.fencing import holders, tells_of_fencing
from stream.kafka.unpacking import new_consumer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stream.settings import Settings
    from stream.topics import Topic

#: How much a worker that is behind takes at once, of all partitions and of one: a few polls' worth, compressed.
#: What was fetched is held until it is handled, and twice while it is received. A larger record comes by itself.
_FETCHED = {"fetch_max_bytes": 2 * 1024 * 1024, "max_partition_fetch_bytes": 512 * 1024}

#: The partition numbers that a worker owns now.
Assignment = frozenset[int]
#: Records of one partition of one topic, oldest first.
Batch = tuple["Topic", int, "Sequence[Message]"]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs on the client's IO thread: records and pauses, nothing more."""

    def __init__(self, reader: GroupReader) -> None:
        self._reader = reader

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._reader._begin_rebalance()  # noqa: SLF001 - two halves of one thing

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._reader._begin_rebalance()  # noqa: SLF001

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._reader._end_rebalance(assigned)  # noqa: SLF001


class GroupReader:
    """One member of a consumer group.

    A partition yields records only between :meth:`open` and the next rebalance.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``.
    """

    def __init__(self, settings: Settings, group: str, inputs: Sequence[Topic]) -> None:
        self._settings = settings
        self._topics = {topic.full_name(settings.topic_prefix): topic for topic in inputs}
        self._lock = threading.Lock()
        self._rebalancing = True
        self._rebalancing_since = time.monotonic()
        self._assigned: Assignment | None = None
        self._open: set[int] = set()
        self._join: Any = None  # the client's join of the group, while it is under way
        self._member = ""  # what the group called us when we last joined it
        session_ms = round(settings.session_seconds * 1000)
        given = consumer_options(settings, group) | {
            "group_id": settings.topic_prefix + group,
            "group_instance_id": settings.worker_id or None,
            "partition_assignment_strategy": (RangePartitionAssignor,),
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": max(session_ms // 5, 100),
            "max_poll_interval_ms": round(settings.poll_seconds * 1000),
            **_FETCHED,
        }
        with plainly(settings, "connecting"):
            self._client = new_consumer(**given)
            self._client.subscribe(topics=list(self._topics), listener=_Listener(self))
            # A leader that does not know the topics yet would assign nothing, and rebalance again when it does.
            self._client.topics()

    # --- the IO thread

    def _begin_rebalance(self) -> None:
        # Should the client begin to join within a poll of its own all the same, see _joined, this keeps it at it.
        self._client._coordinator.request_rejoin()  # noqa: SLF001 - there is no public way
        with self._lock:
            if not self._rebalancing:
                self._rebalancing_since = time.monotonic()
            self._rebalancing = True
            self._assigned = None

    def _end_rebalance(self, assigned: Iterable[Any]) -> None:
        places = list(assigned)
        for place in places:
            # A position of our own keeps the client from looking one up; nothing is fetched while paused.
            self._client.seek(place, 0)
        if places:
            self._client.pause(*places)
        with self._lock:
            self._assigned = frozenset(place.partition for place in places)

    # --- the worker's thread

    def poll(self, seconds: float) -> list[Batch]:
        """Records of the open partitions, waiting for the first at most so long.

        Raises
        ------
        WorkerFailed
            A rebalance does not end, though every member has had the time it is given; or another has our name.
        BrokerUnavailable
            The group has not answered for a session: the partitions may be another's by now.
        """
        with plainly(self._settings, "reading"):
            found = self._client.poll(timeout_ms=round(seconds * 1000)) if self._joined(seconds) else {}
        self._check_heartbeat()
        with self._lock:
            usable = not self._rebalancing
            lasts = 0.0 if usable else time.monotonic() - self._rebalancing_since
        if lasts > self._settings.poll_seconds + 2 * self._settings.session_seconds:
            raise WorkerFailed(f"the group has been rebalancing for {lasts:.0f} s")
        return [
            (self._topics[place.topic], place.partition, records)
            for place, records in found.items()
            if usable and place.partition in self._open
        ]

    def _joined(self, seconds: float) -> bool:
        """Whether there is no rebalance under way; waits for the end of one at most so long.

        Left to itself the client joins within a poll, and one that times out leaves the join half-way (seen in
        3.0.12): an answer that comes between two polls is thrown away, and all members have to join again, over
        and over; a join because topics have changed is forgotten, paused for ever with its heartbeats off. So a
        join is begun here, without a limit, and runs to its end on the client's thread, whoever polls meanwhile.
        """
        coordinator = self._client._coordinator  # noqa: SLF001 - there is no public way
        if self._join is None:
            if not coordinator.need_rejoin():
                return True
            self._begin_rebalance()
            self._join = coordinator._manager.call_soon(coordinator.ensure_active_group_async)  # noqa: SLF001
        try:
            self._client._net.run(coordinator._manager.wait_for, self._join, seconds * 1000)  # noqa: SLF001
        except KafkaTimeoutError:
            return False
        finally:
            if self._join.is_done:
                self._join = None
        self._member = coordinator._generation.member_id  # noqa: SLF001
        return True

    def _check_heartbeat(self) -> None:
        """A member that is fenced stops its heartbeat, one that hears nothing goes on: neither tells (3.0.12)."""
        coordinator = self._client._coordinator  # noqa: SLF001 - there is no public way
        if self._join is not None or coordinator.need_rejoin():
            return
        if not coordinator._heartbeat_enabled:  # noqa: SLF001
            raise WorkerFailed("the group has put this worker out") from FencedInstanceIdError()
        if coordinator.heartbeat.session_timeout_expired():
            raise BrokerUnavailable(
                f"the group has not been heard of for session_seconds ({self._settings.session_seconds:g}); is a "
                f"broker of {self._settings.bootstrap_servers} away?"
            )

    def is_replaced(self, failure: BaseException) -> bool:
        """Whether another process has joined the group under this worker's name since we did.

        The failure that ended the session may say so. A transaction that the other's producer has ended does not,
        so then the group is asked; not once the client has given up what the group called it, as the group may
        have called it something else since. A join that is under way keeps the name that it has.
        """
        coordinator = self._client._coordinator  # noqa: SLF001 - there is no public way
        if not self._settings.worker_id or not self._member:
            return False
        if tells_of_fencing(failure):
            return True
        if coordinator._generation.member_id != self._member:  # noqa: SLF001
            return False
        named = holders(self._settings, coordinator.group_id)
        return bool(named) and self._member not in named

    def metadata(self) -> Any | None:
        """The membership under which everything polled so far may be committed; None during a rebalance.

        Take it right after :meth:`poll`. A rebalance is noticed before the generation changes, so a membership
        taken before asking whether one has begun is the one of the open partitions.
        """
        taken = self._client.group_metadata()
        with self._lock:
            return None if self._rebalancing else taken

    def assignment(self) -> Assignment | None:
        """The partitions of a rebalance that has ended since the last call; None if there was none."""
        with self._lock:
            assigned, self._assigned = self._assigned, None
            if assigned is not None:
                self._rebalancing = False
                self._open.clear()
            return assigned

    @property
    def rebalancing(self) -> bool:
        """Whether the open partitions may already be somebody else's."""
        with self._lock:
            return self._rebalancing

    def open(self, partition: int, positions: Mapping[str, int]) -> None:
        """Read this partition of every input from the given offsets (by the topics' short names)."""
        places = []
        for name, topic in self._topics.items():
            place = TopicPartition(name, partition)
            if place not in self._client.assignment():
                if self.rebalancing:
                    return  # the next assignment decides
                raise WorkerFailed(
                    f"partition {partition} of {name} belongs to another worker: the inputs of a worker must have "
                    "the same number of partitions"
                )
            self._client.seek(place, positions[topic.name])
            places.append(place)
        self._client.resume(*places)
        self._open.add(partition)

    def committed(self, partition: int) -> dict[str, int | None]:
        """The group's committed offset of each input, by short name; None where there is none.

        A transaction of the partition's last owner that has not ended yet is waited for: what it goes on to commit
        is in the changelog too.

        Raises
        ------
        BrokerUnavailable
            No answer, or no end of that transaction. The client keeps such a question in flight and would take its
            answer, old by then, for that of the next: drop this reader.
        """
        patience_ms = round(3 * self._settings.transaction_seconds * 1000)
        try:
            with plainly(self._settings, "looking up committed offsets"):
                return {
                    topic.name: self._client.committed(TopicPartition(name, partition), timeout_ms=patience_ms)
                    for name, topic in self._topics.items()
                }
        except BrokerUnavailable as error:
            if isinstance(error.__cause__, KafkaTimeoutError):
                raise BrokerUnavailable(
                    f"the offsets committed of partition {partition} are not told within "
                    f"{patience_ms / 1000:g} s; is a broker of {self._settings.bootstrap_servers} away, or a "
                    "transaction left open? "
                    "kafka-transactions.sh find-hanging would name it"
                ) from error
            raise

    def position(self, topic: Topic, partition: int) -> int:
        """The next offset to read; it also moves past markers, which are no records."""
        place = TopicPartition(topic.full_name(self._settings.topic_prefix), partition)
        return position_of(self._client, place, self._settings)

    def lag(self) -> dict[tuple[str, int], int] | None:
        """How many records of each input (by short name) and open partition are still to be read.

        As of the last answer of the brokers, so asking costs nothing; a partition that has not been read from yet
        is left out. None during a rebalance.
        """
        if self.rebalancing:
            return None
        behind = {}
        try:
            for name, topic in self._topics.items():
                for partition in self._open:
                    end = self._client.highwater(TopicPartition(name, partition))
                    if end is not None:
                        behind[topic.name, partition] = max(end - self.position(topic, partition), 0)
        except (IllegalStateError, BrokerUnavailable):
            return None  # a rebalance began meanwhile; nothing but numbers were asked for
        return behind

    def keep_alive(self) -> None:
        """Tell the group that the worker is at work, while everything is paused."""
        with plainly(self._settings, "keeping alive"):
            if self._joined(0.0):
                self._client.poll(timeout_ms=0)

    def close(self) -> None:
        """Leave the group. Nothing is committed."""
        self._client.close(autocommit=False, timeout_ms=3000)
