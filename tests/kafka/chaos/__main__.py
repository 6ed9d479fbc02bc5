"""The command: run scenarios one after the other, print a row for each, and fail if any fails."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.apache import NoApacheKafka

from . import crashes, restoring, scenarios
from .broker import MortalBroker
from .report import Row, table, write
from .stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    Scenario = Callable[[Stage, int], Row]

#: By name: what it does, how often, its share of the impressions, and settings that differ.
SCENARIOS: dict[str, tuple[Scenario, int | None, float, dict[str, object]]] = {
    "kills": (scenarios.kills, None, 1.0, {}),
    "stops": (scenarios.stops, None, 1.0, {}),
    "mixed": (scenarios.mixed, 16, 0.3, {}),
    "freezes": (scenarios.freezes, 4, 0.2, {"poll_seconds": 10}),
    "broker-kills": (scenarios.broker_kills, 3, 0.2, {}),
    "broker-stops": (scenarios.broker_stops, 3, 0.2, {}),
    "broker-freeze": (scenarios.broker_freeze, 1, 0.2, {}),
    "open-transactions": (crashes.open_transactions, 50, 0.1, crashes.SETTINGS),
    "restore": (restoring.restore, 1, 0.0, {}),
    "retention": (restoring.retention, 3, 0.01, {}),
    "leaving": (restoring.leaving, 3, 0.01, {}),
}


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, tell; 0 if every scenario showed what it should."""
    asked = argparse.ArgumentParser(prog="chaos", description=__doc__)
    asked.add_argument("--seed", type=int, default=1, help="everything random follows from it (1)")
    asked.add_argument("--kills", type=int, default=100, help="kills, and clean stops, of workers (100)")
    asked.add_argument("--impressions", type=int, default=100_000, help="of the largest load (100000)")
    asked.add_argument("--seconds", type=float, help="begin no further scenario after so long")
    asked.add_argument("--json", type=Path, help="write the rows to this file")
    asked.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="these scenarios")
    asked.add_argument("--keep", action="store_true", help="keep what the processes wrote")
    given = asked.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is open is closed
    console = Console(stderr=True, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="keyart-chaos-"))
    rows: list[Row] = []
    begun = time.monotonic()
    try:
        with MortalBroker() as broker:
            for name in given.only:
                if given.seconds is not None and time.monotonic() - begun > given.seconds:
                    rows.append(Row(name, "not begun: there was no time left", faults=["not begun"]))
                    continue
                rows.append(_run(name, given, broker, folder / name, partial(_say, console, name)))
    except NoApacheKafka as reason:
        console.print(f"chaos: Apache Kafka cannot be had: {reason}", markup=False)
        return 69
    finally:
        if given.keep:
            console.print(f"what the processes wrote: {folder}", markup=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        if given.json is not None:
            write(rows, given.seed, given.json)
    result = Console(width=max(Console().width, 120), highlight=False)
    result.print(table(rows))
    for row in rows:
        for line in (*row.told, *row.faults[:5]):
            result.print(f"{row.name}: {line}", markup=False, soft_wrap=True)
    result.print(f"seed {given.seed}, {time.monotonic() - begun:.0f} s")
    return 0 if all(row.passed for row in rows) else 1


def _run(
    name: str, given: argparse.Namespace, broker: MortalBroker, folder: Path, say: Callable[[str], None]
) -> Row:
    scenario, times, share, changes = SCENARIOS[name]
    say("begins")
    begun = time.monotonic()
    try:
        stage = Stage(broker, folder, given.seed, round(given.impressions * share), say, dict(changes))
        row = scenario(stage, given.kills if times is None else times)
    except Exception as failure:  # noqa: BLE001 - one scenario that fails must not keep the others from being shown
        row = Row(name, f"ended by {type(failure).__name__}", faults=[str(failure)])
        broker.revive()
    say(f"{'as it should be' if row.passed else 'FAILED'}, {time.monotonic() - begun:.0f} s")
    return row


def _say(console: Console, name: str, what: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {name}: {what}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
