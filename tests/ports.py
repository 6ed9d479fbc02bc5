"""Ports for processes that are yet to start, which nobody takes meanwhile."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

#: Below those that outgoing connections take: on Linux from 32768 on, elsewhere from 49152 on.
_FIRST, _LAST = 20_000, 32_767


def ports(count: int = 1) -> list[int]:
    """So many ports of 127.0.0.1 that nobody listens on now, all of them different."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            port = random.randint(_FIRST, _LAST)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found
