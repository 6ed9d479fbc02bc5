"""What all learners' titles teach together, followed by every learner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from stream.errors import StateMismatch
from stream.learning.lessons import Lessons, Taught, learn_from, together
from stream.learning.teaching import read_lessons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.kafka import Message

log = structlog.get_logger("keyart")


class SharedPriorView:
    """Lessons by partition, and what follows from their sum. One thread applies and asks."""

    def __init__(self) -> None:
        self._lessons: dict[bytes, Lessons] = {}
        self._taught: Taught | None = None

    def apply(self, messages: Sequence[Message]) -> None:
        """Take in records of the shared prior's topic; what another version wrote is left out."""
        for message in messages:
            key = message.key or b""
            self._lessons.pop(key, None)
            if message.value is not None:
                try:
                    self._lessons[key] = read_lessons(message.value)
                except StateMismatch as reason:
                    log.warning(
                        "lessons left out",
                        topic=message.topic,
                        partition=message.partition,
                        offset=message.offset,
                        reason=str(reason),
                    )
        self._taught = None

    def taught(self, features: Sequence[str]) -> Taught:
        """What they teach, for these features."""
        if self._taught is None or self._taught.features != tuple(features):
            # By partition, so that every learner adds in the same order and comes to the same bits.
            parts = [self._lessons[key] for key in sorted(self._lessons)]
            self._taught = learn_from(together(parts, features))
        return self._taught
