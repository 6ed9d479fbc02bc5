"""Play policies in worlds, and write down what they earn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson

from benchmarks.quality.feedback import Feedback, Shown
from benchmarks.quality.roster import POLICIES, fitting
from benchmarks.quality.worlds import WORLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.quality.audience import Floats, Ints
    from benchmarks.quality.feedback import Visits
    from benchmarks.quality.worlds import World


@dataclass(frozen=True, slots=True)
class Row:
    """What a policy had earned after so many impressions.

    Attributes
    ----------
    world, seed, policy
        Which.
    impressions
        Since the start; in a launch, of each title since it was launched.
    take_rate
        The mean true probability of a play behind what was shown.
    share
        (policy - uniform) / (personalised oracle - uniform), of true expected rewards, over these impressions;
        None where artwork does not matter.
    share_now
        The same over the impressions since the mark before.
    """

    world: str
    seed: int
    policy: str
    impressions: int
    take_rate: float
    share: float | None
    share_now: float | None


class Tally:
    """Sums of true expected rewards between marks: of the policy, of uniform choice, of the oracle."""

    def __init__(self, marks: tuple[int, ...]) -> None:
        self._marks = np.array(marks)
        self._sums = np.zeros((len(marks) + 1, 4))

    def add(self, counted: Ints, visits: Visits, artwork: Ints) -> None:
        """Count visits, each as the impression of this number; 0: not at all."""
        here = np.flatnonzero(counted)
        if not len(here):
            return
        chance = visits.chance[here]
        got = chance[np.arange(len(here)), artwork[here]]
        uniform, oracle = np.nanmean(chance, axis=1), np.nanmax(chance, axis=1)
        earned = np.stack([np.ones(len(here)), got, uniform, oracle], axis=1)
        np.add.at(self._sums, np.searchsorted(self._marks, counted[here]), earned)

    def rows(self, world: str, seed: int, policy: str, through: int) -> list[Row]:
        """Up to the last mark that was reached."""
        so_far = np.cumsum(self._sums, axis=0)
        return [
            Row(world, seed, policy, int(mark), float(total[1] / total[0]), _share(total), _share(stretch))
            for mark, total, stretch in zip(self._marks, so_far[:-1], self._sums[:-1], strict=True)
            if mark <= through
        ]


def _share(sums: Floats) -> float | None:
    possible = float(sums[3] - sums[2])
    return float(sums[1] - sums[2]) / possible if possible > 1e-9 * sums[2] else None


def play(world: World, name: str, watch: Callable[[int], None] = lambda _: None) -> list[Row]:
    """One policy in one world, from nothing to its end.

    Parameters
    ----------
    world
        Not yet visited.
    name
        One of :data:`~benchmarks.quality.roster.POLICIES`.
    watch
        Told how many visits were made.
    """
    chosen = POLICIES[name]
    policy = chosen.make(world)
    feedback = Feedback(chosen.hearing if world.late else "at once")
    tallies: dict[str, Tally] = {}
    reached: dict[str, int] = {}
    edition = 0
    while world.visited < world.length:
        visits = world.visits()
        if world.edition != edition:
            policy.meet(world)
            edition = world.edition
        artwork, propensity = policy.choose(visits)
        for rows_of, counted in world.counted(visits).items():
            tallies.setdefault(rows_of, Tally(world.marks)).add(counted, visits, artwork)
            reached[rows_of] = max(reached.get(rows_of, 0), int(counted.max()))
        policy.learn(feedback.hear(Shown.of(visits, artwork, propensity)))
        watch(world.visited)
    return [
        row
        for rows_of, tally in tallies.items()
        for row in tally.rows(rows_of, world.seed, name, reached[rows_of])
    ]


@dataclass(frozen=True, slots=True)
class Play:
    """One policy, to be played in one world with one seed."""

    world: str
    seed: int
    policy: str
    impressions: int

    def __str__(self) -> str:
        return f"{self.world}, seed {self.seed}: {self.policy}"

    def run(self, watch: Callable[[int, int], None]) -> list[Row]:
        """Play it; ``watch`` is told how many visits were made, and of how many."""
        world = WORLDS[self.world](self.seed, self.impressions)
        return play(world, self.policy, lambda done: watch(done, world.length))


def plan(
    worlds: Sequence[str], seeds: Sequence[int], policies: Sequence[str] | None, impressions: int
) -> list[Play]:
    """Every policy in every world with every seed; None: those that say something in the world."""
    return [
        Play(world, seed, policy, impressions)
        for world in worlds
        for seed in seeds
        for policy in (fitting(world) if policies is None else policies)
    ]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """As a JSON array of objects."""
    path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
