"""Waiting for a condition, with a deadline: no test sleeps for a fixed time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 30.0) -> T:
    """The first true answer of the condition.

    Raises
    ------
    AssertionError
        There was none within so many seconds; says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s (last answer: {answer!r})"
        time.sleep(0.02)
