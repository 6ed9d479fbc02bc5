"""The smallest worker there can be: it counts plays, so that all else is the loop's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.kafka import Output
from stream.running.job import Job
from stream.topics import CATALOGUE, PLAYS, VIEWING_CHANGELOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stream.kafka import Message
    from stream.topics import Topic


class CountingTask:
    """Counts the plays of a partition; its whole state is the count."""

    held_bytes = 0

    def __init__(self, partition: int, _refresh: Callable[[], object]) -> None:
        self.partition = partition
        self.count = 0

    def restore(self, messages: Sequence[Message]) -> None:
        """The last count there is."""
        for message in messages:
            self.count = int(message.value or b"0")

    def remember(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Nothing."""

    def handle(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Count."""
        self.count += len(messages)

    def checkpoint(self) -> Iterable[Output]:
        """The count."""
        return [Output(VIEWING_CHANGELOG, b"count", b"%d" % self.count, self.partition)]

    def reread(self) -> dict[str, int]:
        """Nothing."""
        return {}

    def publish(self, now_ms: int, deadline: float) -> Iterable[Output]:
        """Nothing."""
        return ()

    def mark_unpublished(self, key: bytes) -> None:
        """Nothing."""


def counting_job(task: type[CountingTask] = CountingTask, checkpoint_seconds: float = 0.1) -> Job:
    """Plays in, counts kept."""
    return Job("viewing", (PLAYS,), VIEWING_CHANGELOG, (), {CATALOGUE: lambda _: None}, task, checkpoint_seconds)
