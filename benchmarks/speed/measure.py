"""Measuring side by side: rounds in turn, medians, ratios, and the rows for people and for machines."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

#: Rounds of each side by name: what it measured in each.
Rounds = dict[str, list[float]]


def alternate(
    sides: Mapping[str, Callable[[], float]], rounds: int, said: Callable[[str], None] = lambda _: None
) -> Rounds:
    """Let the sides measure in turn, so many rounds; every other round begins at the other end.

    Parameters
    ----------
    sides
        By name, what measures once and returns it.
    rounds
        How many.
    said
        Told what is measured now.

    Examples
    --------
    >>> turns = []
    >>> alternate({"a": lambda: turns.append("a") or 1.0, "b": lambda: turns.append("b") or 2.0}, 2)
    {'a': [1.0, 1.0], 'b': [2.0, 2.0]}
    >>> turns
    ['a', 'b', 'b', 'a']
    """
    names = list(sides)
    found: Rounds = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            said(f"{name}, round {number + 1} of {rounds}")
            found[name].append(sides[name]())
    return found


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """How many times as much the first measured as the second: the median over rounds, each by itself.

    >>> ratio([10.0, 30.0, 12.0], [5.0, 10.0, 6.0])
    2.0
    """
    return median(one / other for one, other in zip(of, to, strict=True))


def core_seconds(work: Callable[[], object]) -> float:
    """The processor time that it takes this process: what others do on the machine meanwhile counts little."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


@dataclass(frozen=True)
class Bar:
    """What is asked for: at least, or below."""

    limit: float
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value < self.limit if self.below else value >= self.limit

    def __str__(self) -> str:
        return f"{'<' if self.below else '≥'} {short(self.limit)}"


@dataclass(frozen=True)
class Row:
    """One line: what was measured.

    Attributes
    ----------
    what
        Whose, and of what.
    value, unit
        The median over rounds, or what there is but one of; None: it could not be measured, see ``note``.
    lowest, highest
        Of the rounds.
    ratio
        How many times better Keyart is than this, or than what ``note`` says.
    bar
        What is asked of the ratio where there is one, and of the value otherwise.
    note
        What else there is to say.
    """

    what: str
    value: float | None
    unit: str
    lowest: float | None = None
    highest: float | None = None
    ratio: float | None = None
    bar: Bar | None = None
    note: str = ""

    @classmethod
    def of(cls, what: str, rounds: Sequence[float], unit: str, **more: Any) -> Row:
        """The row of what was measured in some rounds."""
        return cls(what, median(rounds), unit, min(rounds), max(rounds), **more)

    @property
    def spread(self) -> str:
        """Half the distance of the lowest round and the highest, in parts of the median; empty if there is none.

        >>> Row.of("ours", [9.0, 10.0, 12.0], "s").spread
        '15 %'
        """
        if self.lowest is None or self.highest is None or not self.value:
            return ""
        return f"{50.0 * (self.highest - self.lowest) / self.value:.0f} %"

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none, or nothing was measured."""
        held = self.value if self.ratio is None else self.ratio
        return None if self.bar is None or held is None else self.bar.holds(held)


@dataclass
class Report:
    """What a benchmark found.

    Attributes
    ----------
    bench
        Its name.
    about
        What was done, in a sentence.
    figures
        By their names for machines; what could not be measured is not among them.
    """

    bench: str
    about: str
    rows: list[Row] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def table(self) -> Table:
        """For people."""
        from rich.markup import escape
        from rich.table import Table

        made = Table(title=f"keyart bench {self.bench}", caption=escape(self.about))
        made.add_column("", overflow="fold", ratio=1)
        for name in ("median", "±", "ratio", "bar"):
            made.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            what = escape(row.what) + (f"\n[dim]{escape(row.note)}[/]" if row.note else "")
            met = {None: "", True: " [green]✓[/]", False: " [red]✗[/]"}[row.met]
            made.add_row(
                *(what, f"{short(row.value)} {row.unit}".strip() if row.value is not None else "", row.spread),
                "" if row.ratio is None else f"{short(row.ratio)} x",
                f"{'' if row.bar is None else row.bar}{met}",
            )
        return made

    def write(self, path: Path) -> None:
        """For machines: the figures by name, all rows, and the machine."""
        rows = [asdict(row) | {"bar": row.bar and str(row.bar), "met": row.met} for row in self.rows]
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
        found = {"bench": self.bench, "about": self.about} | self.figures | {"rows": rows, "machine": machine}
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def short(value: float | None) -> str:
    """Three digits, or whole numbers with commas.

    >>> short(1234567.8), short(12.345), short(0.0123456)
    ('1,234,568', '12.3', '0.0123')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
