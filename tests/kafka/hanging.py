"""A broker that hangs: its sockets are open, and nothing is answered."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from waiting import until

if TYPE_CHECKING:
    from consumers.embedded import EmbeddedBroker

needs_proc = pytest.mark.skipif(
    sys.platform != "linux", reason="looks into /proc to see that a process is stopped"
)


class Stopped:
    """A broker of the test's own, stopped from here to the end of the block."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        process = broker._process
        assert process is not None
        self._pid = process.pid

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        until(lambda: self._state() == "T", "the broker is stopped")

    def __exit__(self, *exc: object) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def _state(self) -> str:
        return Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
