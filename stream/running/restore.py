"""Getting the state of partitions back, for whoever owns them next.

1. read the changelog, committed records only, to its uncommitted end
2. the position it records must equal the group's committed offset; otherwise refuse loudly
3. read again what the task wants to remember (ids of the last minute), without learning it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from stream.errors import StateMismatch
from stream.kafka import Output, RangeReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stream.kafka import Admin, Message
    from stream.running.job import Job, Task
    from stream.settings import Settings
    from stream.topics import Topic

#: The changelog key of a partition's position. Ids hold no control characters, so it is nobody's.
POSITION_KEY = b"\x00position"
FORMAT = 1


class Interrupted(Exception):
    """A rebalance began during a restore, or the worker is to leave."""


class Position(Struct, omit_defaults=True):
    """Where a partition's state stands: the next offset of each input, and from where to read again."""

    format: int
    next: dict[str, int]
    reread: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, message: Message, changelog: Topic) -> Position:
        """From its changelog record.

        Raises
        ------
        StateMismatch
            Another version of Keyart wrote it, or it is damaged.
        """
        try:
            position = msgspec.json.decode(message.value or b"", type=cls)
        except msgspec.DecodeError as error:
            raise StateMismatch(f"{changelog.name}: the recorded position cannot be read: {error}") from error
        if position.format != FORMAT:
            raise StateMismatch(
                f"{changelog.name} holds format {position.format}, this version reads {FORMAT}: run the version "
                "that wrote it"
            )
        return position

    def output(self, changelog: Topic, partition: int) -> Output:
        """As a changelog record."""
        return Output(changelog, POSITION_KEY, msgspec.json.encode(self), partition)


class Restorer:
    """Restores the tasks of one job.

    Parameters
    ----------
    refresh
        Handed to each task: reads the tables to their ends.
    keep_alive
        Called between reads; raises :class:`Interrupted` to give up.
    """

    def __init__(
        self,
        settings: Settings,
        job: Job,
        admin: Admin,
        refresh: Callable[[], object],
        keep_alive: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._job = job
        self._admin = admin
        self._refresh = refresh
        self._keep_alive = keep_alive

    def restore(
        self, partitions: Sequence[int], committed: Mapping[int, Mapping[str, int | None]]
    ) -> tuple[dict[int, Task], dict[int, dict[str, int]]]:
        """Bring back the state of partitions.

        Parameters
        ----------
        partitions
            Those to restore.
        committed
            What the group has committed for each, by the inputs' short names; None where nothing was.

        Returns
        -------
        The tasks, and where each goes on reading its inputs.

        Raises
        ------
        Interrupted
            A rebalance began, whose end decides what is ours; or the worker is to leave.
        StateMismatch
            The recorded position is not the committed one, or its records are gone.
        BrokerUnavailable
            The topics could not be read to their ends.
        """
        job = self._job
        tasks = {partition: job.new_task(partition, self._refresh) for partition in partitions}
        found: dict[int, Position] = {}

        def take(_topic: Topic, partition: int, messages: Sequence[Message]) -> None:
            state = []
            for message in messages:
                if message.key == POSITION_KEY:
                    found[partition] = Position.read(message, job.changelog)
                else:
                    state.append(message)
            tasks[partition].restore(state)

        begin = self._admin.begin_offsets(job.changelog, partitions)
        end = self._admin.end_offsets(job.changelog, partitions)
        self._read({(job.changelog, p): (begin[p], end[p]) for p in partitions}, take)
        start = self._verify(partitions, committed, found)
        again = {
            (topic, p): (max(found[p].reread[topic.name], first), start[p][topic.name])
            for topic in job.inputs
            for p, first in self._admin.begin_offsets(topic, found).items()
            if topic.name in found[p].reread
        }
        self._read(again, lambda topic, p, messages: tasks[p].remember(topic, messages))
        return tasks, start

    def _read(
        self,
        ranges: Mapping[tuple[Topic, int], tuple[int, int]],
        apply: Callable[[Topic, int, Sequence[Message]], None],
    ) -> None:
        if all(begin >= end for begin, end in ranges.values()):
            return
        reader = RangeReader(self._settings)
        try:
            reader.read(
                ranges,
                apply,
                keep_alive=self._keep_alive,
                patience_seconds=3 * self._settings.transaction_seconds,
            )
        finally:
            reader.close()

    def _verify(
        self,
        partitions: Iterable[int],
        committed: Mapping[int, Mapping[str, int | None]],
        found: Mapping[int, Position],
    ) -> dict[int, dict[str, int]]:
        """Where to go on: the recorded position, provided that the group and the topics agree with it."""
        job, prefix = self._job, self._settings.topic_prefix
        start: dict[int, dict[str, int]] = {p: {} for p in partitions}
        for topic in job.inputs:
            name = topic.full_name(prefix)
            begin = self._admin.begin_offsets(topic, start)
            end = self._admin.end_offsets(topic, start)
            for p, here in start.items():
                recorded = found[p].next.get(topic.name) if p in found else None
                if recorded != committed[p][topic.name]:
                    raise StateMismatch(
                        f"{job.name}: the state of partition {p} stands at offset {recorded} of {name}, but the "
                        f"group has committed {committed[p][topic.name]}; going on would lose or repeat records. "
                        "Were offsets reset, was the topic made anew, or restored from a copy? Put both back, or "
                        f"delete the group {prefix}{job.name} and the topic {job.changelog.full_name(prefix)} "
                        "with what docs/operating.md (Recover) names beside them"
                    )
                if recorded is not None and not begin[p] <= recorded <= end[p]:
                    raise StateMismatch(
                        f"{job.name}: partition {p} of {name} holds offsets {begin[p]} to {end[p]}, but the "
                        f"state stands at {recorded}: records were deleted before they were learned, or the "
                        "topic was made anew. Lengthen its retention; to go on without them, delete the group "
                        f"{prefix}{job.name} and the topic {job.changelog.full_name(prefix)} with what "
                        "docs/operating.md (Recover) names beside them"
                    )
                here[topic.name] = begin[p] if recorded is None else recorded
        return start
