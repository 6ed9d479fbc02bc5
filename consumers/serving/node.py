"""Running a node: start, listen, tell when ready, end.

It listens before it is ready, so that whoever watches it can tell a node that is still reading its tables from one
that is dead. The end, in this order: requests in hand are answered, for two seconds; then the tables are let go
and queued events are delivered, at the same time; then the socket is closed. All of it takes less than 10 seconds.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CollectorRegistry

from consumers.chooser import ArtworkChooser
from consumers.serving.app import build_app
from producers import EventProducer
from stream.errors import ConfigurationError
from stream.metrics import tell_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.settings import Settings

_ANSWER_SECONDS = 2
_DELIVER_SECONDS = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    settings
        Where to listen (``http_host``, ``http_port``; port 0 takes any free one), and everything else.
    announce
        Called once with the node's URL when it listens and is ready.

    Raises
    ------
    BrokerUnavailable
        There is no Kafka to start from. Once ready, a node never ends for lack of it.
    ConfigurationError
        The port is taken, a topic or the token secrets are missing.
    """
    settings.require_token_secrets()
    with listening(settings) as listener:
        chooser = ArtworkChooser(settings)
        events = EventProducer(settings)
        try:
            registry = CollectorRegistry()
            tell_process(registry)
            config = uvicorn.Config(
                build_app(settings, chooser, events, registry),
                lifespan="off",
                ws="none",
                access_log=False,  # it would name no member, but a line for each request helps nobody
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_ANSWER_SECONDS,
            )
            server = uvicorn.Server(config)
            with _stopping(server):
                asyncio.run(_serve(server, listener, chooser, announce))
        finally:
            # Delivering waits for a cluster that may not answer; nobody waits for it longer than this.
            delivering = threading.Thread(target=events.close, name="keyart-deliver", daemon=True)
            delivering.start()
            chooser.close()
            delivering.join(_DELIVER_SECONDS)


async def _serve(
    server: uvicorn.Server, listener: socket.socket, chooser: ArtworkChooser, announce: Callable[[str], None]
) -> None:
    """Answer requests from the start; raise if the tables cannot be read for a first time."""
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reading = asyncio.create_task(asyncio.to_thread(chooser.wait_ready))
    try:
        await asyncio.wait({serving, reading}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done() and not serving.done():
            reading.result()
            while not server.started and not serving.done():  # noqa: ASYNC110 - the server tells by a flag alone
                await asyncio.sleep(0.01)
            if server.started and not server.should_exit:
                announce(url_of(listener))
        await serving
    finally:
        server.should_exit = True
        chooser.follower.stop()  # ends the waiting for the tables, which a thread does
        await asyncio.gather(serving, reading, return_exceptions=True)


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that listens where the settings say.

    Raises
    ------
    ConfigurationError
        It cannot: the sentence names the settings.
    """
    host, port = settings.http_host, settings.http_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # The protocol must be named: asyncio sends small answers without delay (TCP_NODELAY) only on sockets that
        # say they are TCP, and a head and body sent apart would wait 40 ms for each other.
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            raise _cannot_listen(host, port, error) from None
        yield listener


def _cannot_listen(host: str, port: int, error: Exception) -> ConfigurationError:
    reason = getattr(error, "strerror", None) or "it is no address"
    return ConfigurationError(
        f"cannot listen on {host} port {port}: {reason}; set http_host and http_port "
        "(KEYART_HTTP_HOST, KEYART_HTTP_PORT)"
    )


def url_of(listener: socket.socket) -> str:
    """Where a listening socket can be reached, as far as it knows."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """A signal asks the server to end, also before it listens and when it hands on the one that ended it.

    Signals can only be taken in a process's main thread; elsewhere somebody else does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(_signal: int, _frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, asked) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
