"""A bounded load: a thread that goes on writing while a test does things to the workers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire import Sent, Wire

_CHUNK = 50


class Load:
    """Writes records in their order at a steady rate, until told to stop or all are written.

    Attributes
    ----------
    sent
        How many the broker has taken so far.
    """

    def __init__(self, wire: Wire, records: Sequence[Sent], per_second: float) -> None:
        self.sent = 0
        self._wire, self._records, self._per_second = wire, records, per_second
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether there is more to come; raises what went wrong while writing."""
        if self._failure is not None:
            raise self._failure
        return self._thread.is_alive()

    def stop(self) -> None:
        """Write no more, once what is under way is written."""
        self._stopping.set()
        self._thread.join(30)
        assert not self.running, "the load does not stop"

    def _run(self) -> None:
        try:
            begun = time.monotonic()
            for first in range(0, len(self._records), _CHUNK):
                due = begun + first / self._per_second
                if self._stopping.wait(max(due - time.monotonic(), 0.0)):
                    return
                self.sent += self._wire.send(self._records[first : first + _CHUNK])
        except BaseException as failure:  # noqa: BLE001 - shown to the test, which runs on another thread
            self._failure = failure
