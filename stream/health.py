"""Whether a worker lives and is ready, and what it counts: three pages for whoever runs it.

``/livez`` is 200 while the worker's loop turns, and 503 once it has stood still for longer than any call to a
broker may take: then ending the process is the remedy. A broker that is away does not fail it, as starting again
would not bring the broker back. ``/readyz`` is 200 while the worker owns partitions and has restored their state.
``/metrics`` is for Prometheus.
"""

from __future__ import annotations

import errno
import json
import socket
import threading
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

    from stream.settings import Settings


class Pulse:
    """A loop's pulse: the loop beats at each of its turns, and anybody sees how long ago the last one was.

    Parameters
    ----------
    limit_seconds
        Standing still for longer than that is being dead.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> now = 0.0
    >>> pulse = Pulse(60.0, clock=lambda: now)
    >>> now = 59.0
    >>> pulse.beats, pulse.still_seconds
    (True, 59.0)
    >>> now = 61.0
    >>> pulse.beats
    False
    """

    def __init__(self, limit_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_seconds = limit_seconds
        self._clock = clock
        self._last = clock()

    @classmethod
    def of(cls, settings: Settings) -> Pulse:
        """For a loop with these settings: no call that it makes takes longer, whatever the cluster does."""
        return cls(settings.poll_seconds + settings.connect_seconds + 3 * settings.transaction_seconds)

    def beat(self) -> None:
        """The loop turns."""
        self._last = self._clock()

    @property
    def still_seconds(self) -> float:
        """How long ago it last turned."""
        return max(self._clock() - self._last, 0.0)

    @property
    def beats(self) -> bool:
        """Whether that is not too long."""
        return self.still_seconds <= self.limit_seconds


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests, as a probe comes every few seconds, for ever; nor of callers that are silent."""

    timeout = 10.0  # seconds that a caller may be silent: each holds a thread

    def handle(self) -> None:
        """Answer one request."""
        with suppress(TimeoutError, ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Nothing."""


def serve(
    registry: CollectorRegistry,
    host: str,
    port: int,
    *,
    live: Callable[[], bool] = lambda: True,
    ready: Callable[[], bool] = lambda: True,
) -> WSGIServer:
    """Answer probes and Prometheus from a thread of its own.

    Parameters
    ----------
    registry
        What ``/metrics`` tells.
    host, port
        Where to listen: settings ``metrics_host`` and ``metrics_port``. Port 0 takes any free one.
    live, ready
        What ``/livez`` and ``/readyz`` tell.

    Returns
    -------
    The server: its ``server_port``, and ``shutdown()`` and ``server_close()`` to end it before the process ends.

    Raises
    ------
    ConfigurationError
        It cannot listen there; the message names the setting.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        kind = type("_Server", (_Server,), {"address_family": family})
        server: WSGIServer = make_server(
            str(address[0]), port, _pages(registry, live, ready), kind, handler_class=_Quiet
        )
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error
    threading.Thread(target=server.serve_forever, name="keyart-metrics", daemon=True).start()
    return server


def _pages(registry: CollectorRegistry, live: Callable[[], bool], ready: Callable[[], bool]) -> WSGIApplication:
    probes = {"/livez": ("live", live), "/readyz": ("ready", ready)}
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start_response)
        if path not in probes:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [b'{"error": "there are /livez, /readyz and /metrics here"}']
        name, ask = probes[path]
        good = ask()
        start_response(
            "200 OK" if good else "503 Service Unavailable",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [json.dumps({name: good}).encode()]

    return answer


def _cannot_listen(host: str, port: int, error: Exception) -> ConfigurationError:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            said = (
                f"metrics_port: another process listens on {host}:{port}; give this worker a port of its own in "
                "KEYART_METRICS_PORT"
            )
        case errno.EACCES:
            said = (
                f"metrics_port: this user may not listen on port {port}; choose one above 1023 in "
                "KEYART_METRICS_PORT"
            )
        case _:
            said = (
                f"metrics_host: cannot listen on {host!r} ({error}); give an address of this machine in "
                "KEYART_METRICS_HOST"
            )
    return ConfigurationError(said)
