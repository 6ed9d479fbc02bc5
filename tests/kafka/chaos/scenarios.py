"""Kills, stops and freezes of workers and of their broker, under load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fleet import Fleet
    from .pressure import Pressure
    from .stage import Stage

from .report import Row
from .watch import Watch

_BACK_SECONDS = 30.0


def kills(stage: Stage, times: int) -> Row:
    """SIGKILLs at random moments: 3 learners, 2 viewing workers."""
    row = Row("kills", "a worker is killed (SIGKILL) at a random moment")
    return _harassed(stage, row, times, lambda fleet: fleet.kill(fleet.victim()))


def stops(stage: Stage, times: int) -> Row:
    """The same with SIGTERM: each is gone within 10 seconds."""
    row = Row("stops", "a worker is asked to leave (SIGTERM) at a random moment; gone in 10 s")
    return _harassed(stage, row, times, lambda fleet: fleet.stop(fleet.victim()))


def _harassed(stage: Stage, row: Row, times: int, deed: Callable[[Fleet], None]) -> Row:
    with stage.fleet() as fleet, stage.pressure() as pressure:
        fleet.wait_ready()
        for done in range(times):
            pressure.allow((done + 1) / times)
            deed(fleet)
            row.times += 1
            if row.times % 10 == 0:
                stage.say(f"{row.times} of {times}")
        stage.settle(row, fleet, pressure)
    return row


def freezes(stage: Stage, times: int) -> Row:
    """A worker frozen beyond its poll limit, while others take over, and resumed."""
    limit = stage.settings.poll_seconds
    row = Row("freezes", f"a worker sleeps (SIGSTOP) for longer than its poll limit ({limit:g} s) and goes on")
    with (
        stage.fleet() as fleet,
        stage.pressure() as pressure,
        Watch(stage.settings, stage.folder / "node", list(stage.titles)) as watch,
    ):
        fleet.wait_ready()
        for done in range(times):
            victim = fleet.victim(("learner",) if done % 2 == 0 else ("viewing",))
            pressure.allow((done + 0.5) / times)
            process = victim.process
            process.freeze()
            time.sleep(limit + 2)  # the limit is what this is about
            pressure.allow((done + 1) / times)
            process.thaw()
            noticed = until(
                lambda process=process: "starting over" in process.output() or not process.running,
                f"{victim.name} notices",
                60,
            )
            row.require(noticed, f"{victim.name} did not notice that it had slept")
            row.times += 1
            stage.say(f"{row.times} of {times}")
        stage.settle(row, fleet, pressure)
        _watched(row, stage, watch)
    return row


def _watched(row: Row, stage: Stage, watch: Watch) -> None:
    """What the node has shown; it must hold the newest snapshots at the end."""
    with stage.wire() as wire:
        newest = {title_id: snapshot["version"] for title_id, snapshot in wire.latest("snapshots").items()}
    held = until(lambda: all(watch.newest.get(title, 0) >= newest[title] for title in newest), "the node follows")
    row.require(held, "the node does not hold the newest snapshots")
    row.require(watch.failed == 0, f"{watch.failed} of {watch.asked} questions to a serving node had no answer")
    row.require(watch.went_back == 0, f"a serving node went back to an older snapshot {watch.went_back} times")
    row.told.append(
        f"a serving node answered {watch.asked - watch.failed} of {watch.asked}, at {watch.slowest:.1f} s"
    )


def broker_kills(stage: Stage, times: int) -> Row:
    """The broker killed hard, under load."""
    return _restarted(
        stage, Row("broker kills", "the broker is killed (SIGKILL) and comes back"), times, hard=True
    )


def broker_stops(stage: Stage, times: int) -> Row:
    """The broker stopped cleanly, under load."""
    return _restarted(
        stage, Row("broker stops", "the broker is stopped (SIGTERM) and comes back"), times, hard=False
    )


def _restarted(stage: Stage, row: Row, times: int, *, hard: bool) -> Row:
    with stage.fleet() as fleet, stage.pressure() as pressure:
        fleet.wait_ready()
        for done in range(times):
            pressure.allow((done + 0.5) / times)
            _some_load(stage, pressure, done / times, (done + 0.5) / times)
            if hard:
                stage.broker.kill()
            else:
                stage.broker.stop()
            time.sleep(3 * stage.rng.random())  # an outage of any length
            stage.broker.restart()
            row.took(_learning_again(stage))
            pressure.allow((done + 1) / times)
            row.times += 1
            stage.say(f"{row.times} of {times}")
        stage.settle(row, fleet, pressure)
    return row


def _some_load(stage: Stage, pressure: Pressure, least: float, most: float) -> None:
    """Wait until the load is somewhere between these shares of it."""
    share = least + (most - least) * stage.rng.uniform(0.2, 0.9)
    until(lambda: pressure.share >= share, f"{share:.0%} of the load is written", 120)


def _learning_again(stage: Stage, seconds: float = 120.0) -> float:
    """How long from now until a worker of each kind has committed something new."""
    begun = time.monotonic()
    with stage.wire() as wire:
        for group in ("viewing", "learner"):
            before = until(lambda group=group: wire.committed(group), f"{group}'s offsets are told", seconds)
            until(
                lambda group=group, before=before: (
                    any(offset > before.get(place, 0) for place, offset in wire.committed(group).items())
                    or wire.drained(group, ("plays",) if group == "viewing" else ("impressions", "rewards"))
                ),
                f"{group} works again",
                seconds,
            )
    return time.monotonic() - begun


def broker_freeze(stage: Stage, times: int, frozen_seconds: float = 60.0) -> Row:
    """The broker frozen: nothing breaks, nothing answers."""
    row = Row("broker freeze", f"the broker sleeps (SIGSTOP) for {frozen_seconds:g} s and goes on")
    back = 0.0
    with (
        stage.fleet() as fleet,
        stage.pressure() as pressure,
        Watch(stage.settings, stage.folder / "node", list(stage.titles)) as watch,
    ):
        fleet.wait_ready()
        for done in range(times):
            pressure.allow((done + 0.7) / times)
            _some_load(stage, pressure, done / times, (done + 0.7) / times)
            stage.broker.freeze()
            time.sleep(frozen_seconds)
            stage.broker.thaw()
            back = max(back, _learning_again(stage))
            row.times += 1
        row.require(back <= _BACK_SECONDS, f"it took {back:.1f} s until the workers learned again")
        stage.settle(row, fleet, pressure)
        _watched(row, stage, watch)
    row.told.append(f"learning again {back:.1f} s after its return")
    row.seconds = back
    return row


def mixed(stage: Stage, times: int) -> Row:
    """A little of everything, in a random order."""
    row = Row("mixed", "workers are killed, stopped and frozen, and the broker is killed")
    deeds = ["kill", "stop", "sleep", "broker"] * (times // 4) + ["kill"] * (times % 4)
    stage.rng.shuffle(deeds)
    with stage.fleet() as fleet, stage.pressure() as pressure:
        fleet.wait_ready()
        for done, deed in enumerate(deeds):
            pressure.allow((done + 1) / times)
            if deed == "kill":
                fleet.kill(fleet.victim())
            elif deed == "stop":
                fleet.stop(fleet.victim())
            elif deed == "sleep":
                process = fleet.victim().process
                process.freeze()
                time.sleep(stage.settings.session_seconds + 1)
                process.thaw()
            else:
                stage.broker.kill()
                stage.broker.restart()
            row.times += 1
            stage.say(f"{row.times} of {times}: {deed}")
        stage.settle(row, fleet, pressure)
    return row
