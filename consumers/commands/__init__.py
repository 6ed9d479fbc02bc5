"""The commands, by what they are about; and what they all need: settings, the two consoles, a clean end."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.settings import Settings

# A name that reads :smile: is a name.
out = Console(emoji=False)
err = Console(stderr=True, emoji=False, highlight=False, soft_wrap=True)


def settings_in_force() -> Settings:
    """Read the settings once, and log as they say."""
    from consumers import logs
    from stream.settings import load

    settings = load()
    logs.configure(settings)
    return settings


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask for a clean end."""

    def asked(_signal: int, _frame: object) -> None:
        stop()

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
