"""Processes that are measured: starting them, and what they tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from consumers.embedded import start_tied
from stream.errors import KeyartError

if TYPE_CHECKING:
    from stream.settings import Settings

_ROOT = Path(__file__).parents[2]
#: Settings that a process is told.
TOLD = ("bootstrap_servers", "topic_prefix", "partitions", "publish_seconds")


class SideEnded(KeyartError):
    """A process that is measured ended before it should."""


class Side:
    """A process, from its start until :meth:`close`; on Linux it ends with this one.

    Parameters
    ----------
    role
        Which of :data:`benchmarks.speed.sides.ROLES`.
    ours
        Settings, of which the place and the cadence are told.
    **more
        What else it is told.
    """

    def __init__(self, role: str, ours: Settings, **more: Any) -> None:
        self._role = role
        self._log: IO[bytes] = tempfile.TemporaryFile(prefix="keyart-bench-")  # noqa: SIM115 - lives until close
        told = {name: getattr(ours, name) for name in TOLD} | more
        command = [sys.executable, "-m", "benchmarks.speed.sides", role, json.dumps(told)]
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self._process = start_tied(command, self._log, dict(os.environ) | {"PYTHONPATH": path})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def wait(self, name: str, seconds: float) -> Any:
        """What it tells under this name, once it does.

        Raises
        ------
        SideEnded
            It ended without having told, or time ran out.
        """
        deadline = time.monotonic() + seconds
        while True:
            ended = self._process.poll() is not None
            for line in self._said().splitlines():
                if line.startswith('{"told": ') and name in (found := json.loads(line)["told"]):
                    return found[name]
            if ended or time.monotonic() > deadline:
                how = "ended early" if ended else f"did not tell {name!r} within {seconds:g} s"
                raise SideEnded(f"{self._role} {how}; it said:\n{self._said()[-2000:] or 'nothing'}")
            time.sleep(0.01)

    def core_seconds(self) -> float | None:
        """The processor time that it has taken so far, None where that is not told."""
        return core_seconds_of(self._process.pid)

    def _said(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def close(self) -> None:
        """Ask it to end, and wait."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def core_seconds_of(pid: int) -> float | None:
    """The processor time that a process has taken so far, None where that is not told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
