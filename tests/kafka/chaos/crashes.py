"""Crashes with a transaction open: what is restored at once is what was committed."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import Process
from waiting import until

from .report import Row

if TYPE_CHECKING:
    from kafka import TopicPartition
    from wire import Wire

    from .stage import Stage

#: A transaction that nobody ends is ended by the broker after so long; until then its successor has to wait.
SETTINGS: dict[str, Any] = {"transaction_seconds": 4, "session_seconds": 4}

_DYING = Path(__file__).with_name("dying.py")
_OPEN_STEPS = ("sent", "flushed", "offsets", "committing")
_INPUTS = {"learner": ("impressions", "rewards"), "viewing": ("plays",)}
#: Every so many times the successor has another name: the transaction is not ended by it, but by the broker.
_STRANGER_EVERY = 5


def open_transactions(stage: Stage, times: int) -> Row:
    """Workers die within their checkpoints, one after the other."""
    row = Row(
        "open transactions", "a worker dies in a checkpoint (SIGKILL), its transaction open, and is started again"
    )
    running = {kind: _start(stage, kind, number) for number, kind in enumerate(_INPUTS)}
    still_open = 0
    with stage.pressure(stage.impressions / times) as pressure, stage.wire() as wire:
        try:
            for number in range(times):
                pressure.allow((number + 1) / times)
                kind = ("viewing", "learner")[number % 2]
                code = running[kind].wait(60)
                row.require(
                    code == -signal.SIGKILL, f"a {kind} ended with {code}: {running[kind].output()[-1000:]}"
                )
                still_open += _open_transactions_of(wire)
                begun = time.monotonic()
                running[kind] = _start(stage, kind, number + 2)
                running[kind].wait_ready(60)
                row.took(time.monotonic() - begun)
                _check_recorded(row, wire, kind)
                row.times += 1
                if row.times % 10 == 0:
                    stage.say(f"{row.times} of {times}")
        finally:
            for process in running.values():
                if process.running:
                    process.kill()
        row.told.append(f"the broker still had a transaction open after {still_open} of {times} crashes")
        row.require(still_open >= times // 2, f"only {still_open} of {times} crashes left a transaction open")
        with stage.fleet() as fleet:
            stage.settle(row, fleet, pressure)
    return row


def _start(stage: Stage, kind: str, number: int) -> Process:
    """One that will die in its first or second checkpoint."""
    step = stage.rng.choice(_OPEN_STEPS)
    folder = stage.folder / f"dying-{number}"
    folder.mkdir(parents=True)
    name = "" if number % _STRANGER_EVERY == 0 else "one"
    return Process(
        stage.settings.model_copy(update={"worker_id": name}),
        folder,
        *(kind, "--ready"),
        program=(sys.executable, str(_DYING), step, str(stage.rng.randint(1, 2))),
    )


def _open_transactions_of(wire: Wire) -> bool:
    """Whether the broker has a transaction open of anybody on this stage."""
    listed = wire.admin.list_transactions(state_filters=["Ongoing"])
    return any(wire.prefix in repr(one) for one in listed.values() if one)


def _check_recorded(row: Row, wire: Wire, kind: str) -> None:
    """The last position on the changelog is what the group has committed, whenever both are looked at.

    A checkpoint may land while one looks: then one looks again.
    """

    def agree() -> bool:
        before = wire.committed(kind)
        recorded = _recorded(wire, kind)
        return wire.committed(kind) == before == recorded

    try:
        until(agree, "the position recorded is the offset committed", 15)
    except AssertionError:
        row.faults.append(f"{kind}: recorded {_recorded(wire, kind)}, committed {wire.committed(kind)}")


def _recorded(wire: Wire, kind: str) -> dict[TopicPartition, int]:
    last: dict[int, dict[str, int]] = {}
    for record in wire.read(f"{kind}-changelog"):
        if record.key == b"\x00position":
            last[record.partition] = json.loads(record.value)["next"]
    return {
        place: last[place.partition][name]
        for name in _INPUTS[kind]
        for place in wire.places(name)
        if place.partition in last
    }
