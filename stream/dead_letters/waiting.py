"""Dead letters between two checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from stream.dead_letters.letter import dead_letter

if TYPE_CHECKING:
    from stream.errors import DecodeError
    from stream.kafka import Message, Output
    from stream.metrics import WorkerMetrics

#: What a record takes in memory beside its key and value: headers, and the client's own notes.
_OVERHEAD_BYTES = 2_000


log = structlog.get_logger("keyart")


class WaitingLetters:
    """A task's dead letters that wait for its next checkpoint.

    Parameters
    ----------
    worker
        Who finds them.
    metrics
        Where they are counted.

    Attributes
    ----------
    held_bytes
        About how much memory they take. Many bad records bring a checkpoint on.
    """

    def __init__(self, worker: str, metrics: WorkerMetrics) -> None:
        self._worker = worker
        self._metrics = metrics
        self._letters: list[Output] = []
        # By topic, partition and code: the first offset, the last one, and how many.
        self._unsaid: dict[tuple[str, int, str], tuple[int, int, int]] = {}
        self.held_bytes = 0

    def add(self, message: Message, error: DecodeError) -> None:
        """Keep a bad record."""
        letter = dead_letter(message, error, self._worker)
        self._letters.append(letter)
        self.held_bytes += len(letter.key or b"") + len(letter.value or b"") + _OVERHEAD_BYTES
        self._metrics.dead_letters.labels(error.code).inc()
        place = message.topic, message.partition, error.code
        first, _, count = self._unsaid.get(place, (message.offset, 0, 0))
        self._unsaid[place] = first, message.offset, count + 1

    def take(self) -> list[Output]:
        """All of them, once; a log line says where they were read and what was wrong, never what was in them."""
        for (topic, partition, code), (first, last, count) in self._unsaid.items():
            log.warning(
                "dead letters",
                topic=topic,
                partition=partition,
                offset=first,
                last_offset=last,
                count=count,
                code=code,
            )
        self._unsaid.clear()
        taken, self._letters, self.held_bytes = self._letters, [], 0
        return taken
