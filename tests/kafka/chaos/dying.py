"""A worker that kills itself within a checkpoint: ``dying.py STEP N learner …``, until then ``keyart learner …``.

It dies in its N-th transaction, by SIGKILL: nothing is closed, flushed or told to anybody.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, NoReturn

from kafka import KafkaProducer

from consumers import cli
from stream.kafka import committer

#: After the first record is on the log; after all are; with the offsets; while the end is asked for; afterwards.
STEPS = ("sent", "flushed", "offsets", "committing", "committed")
_ASKING_SECONDS = 0.001


class Dying(KafkaProducer):  # type: ignore[misc]
    """A producer of transactions that does not live to see the end of one."""

    step = ""
    alive = 0

    def begin_transaction(self) -> None:
        """Begin; the last one is the one that counts."""
        super().begin_transaction()
        Dying.alive -= 1

    def send(self, *arguments: Any, **given: Any) -> Any:
        """Send; die after the first."""
        future = super().send(*arguments, **given)
        if self._is_time("sent"):
            super().flush()
            _die()
        return future

    def flush(self, timeout: float | None = None) -> None:
        """Flush; die when all are there."""
        super().flush(timeout)
        if self._is_time("flushed"):
            _die()

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        """Send offsets; die when they are there."""
        super().send_offsets_to_transaction(*arguments)
        if self._is_time("offsets"):
            _die()

    def commit_transaction(self) -> None:
        """Ask for the end; die before it is answered, or after."""
        if self._is_time("committing"):
            self._transaction_manager.begin_commit()
            self._sender.wakeup()
            time.sleep(_ASKING_SECONDS)
            _die()
        super().commit_transaction()
        if self._is_time("committed"):
            _die()

    def _is_time(self, step: str) -> bool:
        return self._transaction_manager is not None and Dying.alive <= 0 and step == Dying.step


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    Dying.step, Dying.alive = sys.argv[1], int(sys.argv[2])
    sys.argv = ["keyart", *sys.argv[3:]]
    committer.KafkaProducer = Dying  # type: ignore[attr-defined]
    cli.main()
