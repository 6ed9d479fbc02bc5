"""The demo's processes: each runs the ``keyart`` command as deployed, with settings in its environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from consumers.embedded import start_tied
from stream.errors import KeyartError
from stream.settings import ENV_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TAIL_BYTES = 2000
_STOP_SECONDS = 8.0
_LOOK_SECONDS = 0.02


class ProcessEnded(KeyartError):
    """A process that should go on has ended; the message carries the end of what it wrote."""


@dataclass(frozen=True)
class _Running:
    name: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    stays: bool

    def tail(self) -> str:
        """The end of what it wrote, read without moving the place where it writes."""
        size = os.fstat(self.log.fileno()).st_size
        begin = max(size - _TAIL_BYTES, 0)
        return os.pread(self.log.fileno(), size - begin, begin).decode(errors="replace").strip()


class Processes:
    """Some ``keyart`` processes, until :meth:`close`. On Linux they end with this one even if it is killed.

    Parameters
    ----------
    variables
        Their settings, by the name of the environment variable; they come on top of this process's environment.
    also
        Called by :meth:`check`: raises if what they depend on is gone.
    """

    def __init__(self, variables: Mapping[str, str], *, also: Callable[[], None] = lambda: None) -> None:
        self._also = also
        self._command = _find_command()
        self._environment = dict(os.environ) | dict(variables)
        self._running: list[_Running] = []
        self._ready_files = tempfile.TemporaryDirectory(prefix="keyart-demo-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self.close(kill=failure is not None)

    def run(self, name: str, *arguments: str) -> Callable[[], bool]:
        """Start a command that ends by itself; the returned function says whether it has, without an error."""
        one = self._start(name, arguments, stays=False)

        def done() -> bool:
            code = one.process.poll()
            if code is None:
                return False
            if one in self._running:
                self._running.remove(one)
            if code != 0:
                raise _ended(one, code)
            one.log.close()
            return True

        return done

    def worker(self, name: str, *arguments: str, metrics_port: int = 0) -> Callable[[], bool]:
        """Start a worker; the returned function says whether it owns its partitions."""
        ready_file = Path(self._ready_files.name) / name
        port = {f"{ENV_PREFIX}METRICS_PORT": str(metrics_port)}
        self._start(name, (*arguments, "--ready-file", str(ready_file)), also=port)
        return ready_file.exists

    def node(self, name: str, *arguments: str, says: str) -> Callable[[], bool]:
        """Start a process that is ready once it has written these words."""
        one = self._start(name, arguments)
        return lambda: says in one.tail()

    def _start(
        self, name: str, arguments: tuple[str, ...], *, stays: bool = True, also: Mapping[str, str] | None = None
    ) -> _Running:
        log = tempfile.TemporaryFile(prefix="keyart-demo-")  # noqa: SIM115 - has no name, and lives as long as needed
        process = start_tied([self._command, *arguments], log, self._environment | dict(also or {}))
        one = _Running(name, process, log, stays)
        self._running.append(one)
        return one

    def check(self) -> None:
        """See that all of them are still there, but for those that end by themselves.

        Raises
        ------
        ProcessEnded
            One is not.
        """
        self._also()
        for one in self._running:
            code = one.process.poll()
            if one.stays and code is not None:
                raise _ended(one, code)

    def wait_until(self, *conditions: Callable[[], bool], seconds: float, stopped: Callable[[], bool]) -> bool:
        """Wait until all conditions hold; False if it was stopped before.

        Raises
        ------
        ProcessEnded
            A process has ended meanwhile, or time ran out.
        """
        deadline = time.monotonic() + seconds
        waiting = list(conditions)
        while waiting := [condition for condition in waiting if not condition()]:
            if stopped():
                return False
            self.check()
            if time.monotonic() > deadline:
                said = "\n".join(f"{one.name}: {one.tail().splitlines()[-1:]}" for one in self._running)
                raise ProcessEnded(f"the demo's processes were not ready within {seconds:g} s\n{said}")
            time.sleep(_LOOK_SECONDS)
        return True

    def started(self) -> None:
        """Nobody has to become ready any more: keep no file."""
        self._ready_files.cleanup()

    def close(self, *, kill: bool = False) -> None:
        """Ask all of them to leave, wait, and end those that do not; or end them at once."""
        for one in self._running:
            if one.process.poll() is None:
                (one.process.kill if kill else one.process.terminate)()
        deadline = time.monotonic() + _STOP_SECONDS
        for one in self._running:
            try:
                one.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            one.log.close()
        self._running.clear()
        self._ready_files.cleanup()


def _ended(one: _Running, code: int) -> ProcessEnded:
    how = f"with code {code}" if code >= 0 else f"by signal {-code}"
    return ProcessEnded(f"the demo's {one.name} ended early, {how}; it said:\n{one.tail() or 'nothing'}")


def _find_command() -> str:
    """The ``keyart`` command of this installation."""
    beside = Path(sysconfig.get_path("scripts")) / "keyart"
    found = str(beside) if beside.exists() else shutil.which("keyart")
    if found is None:
        raise KeyartError("the keyart command is not installed: pip install 'keyart[demo]'")
    return found
