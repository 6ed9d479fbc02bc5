"""What a scenario shows: one row of the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from audit import Findings


@dataclass
class Row:
    """One scenario.

    Attributes
    ----------
    name, done
        Which, and what was done in it, in words.
    times
        How often.
    counted, lost, twice, deviation
        As in :class:`audit.Findings`; None where the scenario counts nothing.
    seconds
        How long until all was well again; of several times the longest.
    told
        What else there is to say.
    faults
        Why it failed; empty if it did not.
    """

    name: str
    done: str
    times: int = 0
    counted: int | None = None
    lost: int | None = None
    twice: int | None = None
    deviation: float | None = None
    seconds: float | None = None
    told: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether it showed what it should."""
        return not self.faults

    def add(self, findings: Findings) -> None:
        """Take in an audit."""
        self.counted = (self.counted or 0) + findings.counted
        self.lost = (self.lost or 0) + findings.lost
        self.twice = (self.twice or 0) + findings.twice
        self.deviation = max(self.deviation or 0.0, findings.deviation)
        self.faults += findings.faults

    def took(self, seconds: float) -> None:
        """Keep the longest."""
        self.seconds = max(self.seconds or 0.0, seconds)

    def require(self, holds: object, otherwise: str) -> None:
        """A fault unless something holds."""
        if not holds:
            self.faults.append(otherwise)


def table(rows: Iterable[Row]) -> Table:
    """The rows for people."""
    made = Table(box=SIMPLE, pad_edge=False)
    made.add_column("scenario", no_wrap=True)
    made.add_column("what was done")
    for name in ("times", "counted", "lost", "twice", "largest deviation", "seconds until well"):
        made.add_column(name, justify="right", no_wrap=name != "seconds until well")
    made.add_column("")
    for row in rows:
        made.add_row(
            row.name,
            row.done,
            str(row.times),
            *("-" if count is None else f"{count:,}" for count in (row.counted, row.lost, row.twice)),
            "-" if row.deviation is None else f"{row.deviation:.1e}",
            "-" if row.seconds is None else f"{row.seconds:.1f}",
            "as it should be" if row.passed else "FAILED",
        )
    return made


def write(rows: Iterable[Row], seed: int, path: Path) -> None:
    """The rows for machines."""
    made = {"seed": seed, "rows": [asdict(row) | {"passed": row.passed} for row in rows]}
    path.write_text(json.dumps(made, indent=1) + "\n")
