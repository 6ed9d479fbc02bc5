"""How the doctor speaks: a few names, how many, how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.doctor.facts import Facts, PartitionFacts

HOUR_MS = 3_600_000


def places(facts: Facts, is_meant: Callable[[PartitionFacts], bool]) -> str:
    """A few of the partitions that are meant."""
    return some(
        [
            f"{name}-{number}"
            for name, topic in facts.topics.items()
            for number, partition in enumerate(topic.partitions)
            if is_meant(partition)
        ]
    )


def some(names: list[str], most: int = 5) -> str:
    """A few names, and how many more.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest} more"


def many(count: int, what: str) -> str:
    """How many of something.

    >>> many(1, "title"), many(2, "title")
    ('1 title', '2 titles')
    """
    return f"{count} {what}{'' if count == 1 or what == 'viewing' else 's'}"


def have(names: list[str]) -> str:
    """The verb for some names."""
    return "has" if len(names) == 1 else "have"


def keep(count: int) -> str:
    """The verb for so many."""
    return "keeps" if count == 1 else "keep"


def time(ms: float) -> str:
    """A length of time in one unit.

    >>> time(90_000), time(7_200_000), time(200 * 3_600_000)
    ('90 s', '2 h', '8.3 days')
    """
    for unit, name, most in ((1000, "s", 120), (60_000, "min", 120), (HOUR_MS, "h", 72)):
        if ms < most * unit:
            return f"{ms / unit:.0f} {name}"
    return f"{ms / (24 * HOUR_MS):.1f} days"
