"""Workers as people run them: operating system processes, started by the ``keyart`` command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.settings import Settings

KEYART = Path(sys.executable).with_name("keyart")


def environment(settings: Settings) -> dict[str, str]:
    """The environment that makes a process read these settings and no others."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KEYART_")}
    defaults = type(settings).model_fields
    for name in defaults:
        value = getattr(settings, name)
        if value != defaults[name].default:
            ours[f"KEYART_{name.upper()}"] = _text(value)
    return ours | {"KEYART_LOG_FORMAT": "json"}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class Process:
    """One ``keyart`` process, with what it writes kept in a file.

    ``program`` is what to run in its place, with the same arguments and environment.
    """

    def __init__(
        self, settings: Settings, folder: Path, *arguments: str, program: Sequence[str] = (str(KEYART),)
    ) -> None:
        self.name = " ".join(("keyart", *arguments))
        self._log = folder / "output.log"
        self._ready_file = folder / "ready"
        if "--ready" in arguments:
            where = arguments.index("--ready")
            arguments = (*arguments[:where], "--ready-file", str(self._ready_file), *arguments[where + 1 :])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*program, *arguments],
                env=environment(settings),
                cwd=folder,  # no keyart.toml of ours
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def output(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    def wait(self, seconds: float = 60.0) -> int:
        """Its exit code, once it ends."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end within {seconds:g} s:\n{self.output()}") from None

    def succeed(self, seconds: float = 60.0) -> str:
        """Its output, once it has ended well."""
        code = self.wait(seconds)
        assert code == 0, f"{self.name} ended with {code}:\n{self.output()}"
        return self.output()

    @property
    def ready(self) -> bool:
        """Whether it has owned its partitions and had their state; started with ``--ready``."""
        return self._ready_file.exists()

    def wait_ready(self, seconds: float = 40.0) -> None:
        """Wait until it owns its partitions and has their state; started with ``--ready``."""

        def ready() -> bool:
            assert self.running, f"{self.name} ended with {self._process.returncode}:\n{self.output()}"
            return self.ready

        until(ready, f"{self.name} is ready", seconds)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask it to end, as a supervisor does."""
        self.send(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it as a long swap or a sleeping machine does: it notices nothing. See :meth:`thaw`."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out: it cannot do a thing about it."""
        self._process.kill()
        self._process.wait()
