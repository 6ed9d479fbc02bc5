"""What a worker is made of: the job it does, the task it runs for each partition, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from stream.kafka import Message, Output
    from stream.topics import Topic


class Task(Protocol):
    """What a worker does with one partition. All state is in here; dropping the task drops it."""

    @property
    def held_bytes(self) -> int:
        """About how much memory its output takes that waits for the next checkpoint; much brings it on."""
        ...

    def restore(self, messages: Sequence[Message]) -> None:
        """Take back changelog records, oldest first."""

    def remember(self, topic: Topic, messages: Sequence[Message]) -> None:
        """See input again that was learned before, without learning it."""

    def handle(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Take in a batch of one input, in order."""

    def checkpoint(self) -> Iterable[Output]:
        """What must be committed with the offsets: changed state, rewards, dead letters. Then forget it."""

    def reread(self) -> dict[str, int]:
        """The first offset of each input that a restore must remember; inputs without need are left out."""

    def publish(self, now_ms: int, deadline: float) -> Iterable[Output]:
        """What may be written twice: snapshots of what changed. Stops at the monotonic deadline."""

    def mark_unpublished(self, key: bytes) -> None:
        """A published record was lost on the way: publish it again."""


@dataclass(frozen=True)
class Job:
    """A kind of worker: the edges of the graph it stands between, and what it does.

    Attributes
    ----------
    name
        The consumer group, behind the prefix.
    inputs
        Partitioned alike; a task gets the same partition of each.
    changelog
        Where its state is kept.
    outputs
        What else it writes.
    tables
        What it follows in whole, and what takes the records.
    new_task
        Makes the empty task of a partition.
    checkpoint_seconds, publish_seconds
        The two cadences; ``publish_seconds`` None: nothing is published outside checkpoints.
    show
        Given the tasks that the worker runs now, with each checkpoint and when it runs none: sets the gauges that
        tell of what they hold.
    """

    name: str
    inputs: tuple[Topic, ...]
    changelog: Topic
    outputs: tuple[Topic, ...]
    tables: Mapping[Topic, Callable[[Sequence[Message]], None]]
    new_task: Callable[[int, Callable[[], object]], Task]
    checkpoint_seconds: float
    publish_seconds: float | None = None
    show: Callable[[Collection[Any]], None] = lambda _: None


@dataclass
class Counts:
    """What a worker has done since it was started."""

    records: int = 0
    checkpoints: int = 0
    committed: int = 0
    published: int = 0
    restores: int = 0
    failures: int = 0
    positions: dict[int, dict[str, int]] = field(default_factory=dict)
