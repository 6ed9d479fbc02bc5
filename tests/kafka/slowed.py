"""A broker that takes its time: what clients ask of it goes through a door that can hold some requests up."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
from contextlib import suppress
from typing import Self

from ports import ports

from consumers.embedded import _find_binary, start_tied, stop, wait_until_answering

#: Requests by their number in Kafka's protocol (https://kafka.apache.org/protocol#protocol_api_keys).
ADD_PARTITIONS_TO_TXN, END_TXN = 24, 26
_START_SECONDS = 30.0
_HEADER = struct.Struct(
    ">hhih"
)  # the request's number, its version, its serial number, the length of the client's name


class SlowedBroker:
    """An embedded broker whose address is that of the door.

    Attributes
    ----------
    bootstrap
        The door's ``host:port``.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], float] = {}
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._door = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.bootstrap = f"127.0.0.1:{self._door.getsockname()[1]}"
        self._behind = ("127.0.0.1", ports()[0])
        self._log = tempfile.TemporaryFile(prefix="keyart-slowed-broker-")  # noqa: SIM115 - lives until the end
        self._process = start_tied(
            [
                *(_find_binary(), "broker", "--listener-url", f"tcp://127.0.0.1:{self._behind[1]}"),
                *("--advertised-listener-url", f"tcp://{self.bootstrap}", "--storage-engine", "memory://tansu/"),
            ],
            self._log,
        )
        threading.Thread(target=self._open, name="door", daemon=True).start()

    def __enter__(self) -> Self:
        wait_until_answering(self._process, self.bootstrap, _START_SECONDS)
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self.hurry()
        self._door.close()
        stop(self._process, 3.0)
        self._log.close()

    def hold(self, prefix: str, request: int, seconds: float) -> None:
        """Hold up such requests of clients whose names begin so: each for so long, and what comes after it."""
        with self._changed:
            self._held[prefix, request] = seconds

    def hurry(self) -> None:
        """Hold nothing up any more, and let go of what is held."""
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def _open(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError):
                client, _ = self._door.accept()
                try:
                    broker = socket.create_connection(self._behind, timeout=5)
                except OSError:  # it has not begun, or has ended
                    client.close()
                    continue
                broker.settimeout(None)
                for end in (client, broker):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._ask, args=(client, broker), daemon=True).start()
                threading.Thread(target=self._answer, args=(broker, client), daemon=True).start()

    def _ask(self, client: socket.socket, broker: socket.socket) -> None:
        """Hand requests on, one after the other."""
        with suppress(OSError, struct.error), client.makefile("rb") as requests:
            while size := requests.read(4):
                request = requests.read(struct.unpack(">i", size)[0])
                number, _, _, length = _HEADER.unpack_from(request)
                name = request[_HEADER.size : _HEADER.size + length].decode(errors="replace")
                with self._changed:
                    seconds = next(
                        (
                            held
                            for (prefix, one), held in self._held.items()
                            if (one, name[: len(prefix)]) == (number, prefix)
                        ),
                        0.0,
                    )
                    if seconds:
                        self._changed.wait(seconds)
                broker.sendall(size + request)
        _hang_up(client, broker)

    def _answer(self, broker: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while part := broker.recv(65536):
                client.sendall(part)
        _hang_up(client, broker)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
