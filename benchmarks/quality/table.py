"""What several seeds say together: means with intervals, and how far each policy is from the best peer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from scipy.stats import t as student

from benchmarks.quality.roster import POLICIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.quality.run import Row

#: A peer's share that others can be measured by.
_LEAST = 0.01


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, and half the width of its 95 % interval (Student's t); None from a single seed."""

    mean: float
    half: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Estimate | None:
        """None where a value is not defined.

        >>> str(Estimate.of([0.6, 0.7, 0.8]))
        '0.700 ± 0.248'
        """
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return cls.over(known)

    @classmethod
    def over(cls, values: Sequence[float]) -> Estimate:
        """Of at least one value."""
        n = len(values)
        half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else None
        return cls(float(np.mean(values)), half)

    def __str__(self) -> str:
        return self._with(3)

    @property
    def short(self) -> str:
        """With two decimals."""
        return self._with(2)

    def _with(self, decimals: int) -> str:
        return f"{self.mean:.{decimals}f}" + ("" if self.half is None else f" ± {self.half:.{decimals}f}")


@dataclass(frozen=True, slots=True)
class Line:
    """One policy in one world at one mark, over all seeds.

    ``of_peers`` and ``of_tagged`` are its share divided by that of the best peer which is not told the tags, and
    of the best one which is: seed by seed, as seeds differ in how much there is to be had. None where there is
    none to compare with.
    """

    world: str
    impressions: int
    policy: str
    seeds: int
    take_rate: float
    share: Estimate | None
    share_now: Estimate | None
    of_peers: Estimate | None
    of_tagged: Estimate | None


def lines(rows: Iterable[Row]) -> list[Line]:
    """Every world, mark and policy, in the order of the rows."""
    places: dict[tuple[str, int], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        places[row.world, row.impressions][row.policy].append(row)
    return [
        Line(
            world,
            mark,
            policy,
            len(group),
            float(np.mean([row.take_rate for row in group])),
            _share(group),
            Estimate.of([row.share_now for row in group]),
            _relative(group, policies, "peer"),
            _relative(group, policies, "tagged"),
        )
        for (world, mark), policies in places.items()
        for policy, group in policies.items()
    ]


def _share(rows: Sequence[Row]) -> Estimate | None:
    return Estimate.of([row.share for row in rows])


def _relative(group: Sequence[Row], policies: Mapping[str, Sequence[Row]], kind: str) -> Estimate | None:
    """A policy's shares divided by those of the best of a kind, if they are more than next to nothing."""
    peers = {name: _share(rows) for name, rows in policies.items() if POLICIES[name].kind == kind}
    means = {name: peer.mean for name, peer in peers.items() if peer is not None}
    if not means or _share(group) is None:
        return None
    best = {row.seed: row.share for row in policies[max(means, key=means.__getitem__)]}
    pairs = [(row.share, best[row.seed]) for row in group if row.seed in best]
    ratios = [ours / peer for ours, peer in pairs if ours is not None and peer is not None and peer > _LEAST]
    return Estimate.over(ratios) if ratios and len(ratios) == len(pairs) else None


def tables(found: Sequence[Line]) -> list[Table]:
    """A table for each world and mark; of the marks the last alone, unless each says something of its own."""
    marks: dict[str, list[int]] = defaultdict(list)
    for line in found:
        if line.impressions not in marks[line.world]:
            marks[line.world].append(line.impressions)
    wanted = [
        (world, mark)
        for world, these in marks.items()
        for mark in (these if world.startswith(("launch", "late")) else [max(these)])
    ]
    return [
        _table(world, mark, [line for line in found if (line.world, line.impressions) == (world, mark)])
        for world, mark in wanted
    ]


def _table(world: str, mark: int, found: Sequence[Line]) -> Table:
    seeds = max(line.seeds for line in found)
    title = f"{world}, {mark:,} impressions, {seeds} seed{'s' * (seeds > 1)}"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for name in ("taken", "share", "share now", "x peer", "x tags"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found:
        table.add_row(
            line.policy,
            f"{line.take_rate:.4f}",
            *("-" if one is None else str(one) for one in (line.share, line.share_now)),
            *("-" if one is None else one.short for one in (line.of_peers, line.of_tagged)),
        )
    return table


@dataclass(frozen=True, slots=True)
class Recovery:
    """In a world that turns: ``share_now`` before the turn, right after it, one half-life later; over all seeds.

    ``recovered`` is what there is again, in parts of the former share.
    """

    policy: str
    before: Estimate
    after: Estimate
    later: Estimate
    recovered: Estimate


def recoveries(rows: Iterable[Row]) -> list[Recovery]:
    """Of each policy in ``drift``: its marks are twentieths, its turn is half-way, its half-life is a fifth."""
    shares: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.world == "drift" and row.share_now is not None:
            shares[row.policy][row.seed].append(row.share_now)
    found = []
    for policy, by_seed in shares.items():
        three = [(now[9], now[10], now[13]) for now in by_seed.values() if len(now) == 20 and now[9] > 0.05]
        if not three:
            continue
        before, after, later = zip(*three, strict=True)
        again = [late / early for early, _, late in three]
        estimates = [Estimate.over(values) for values in (before, after, later, again)]
        found.append(Recovery(policy, *estimates))
    return found


def recovery_table(found: Sequence[Recovery]) -> Table:
    """As it is printed."""
    table = Table(
        title="drift: share in a twentieth of all visits", title_justify="left", box=SIMPLE, pad_edge=False
    )
    table.add_column("policy", no_wrap=True)
    for name in ("before the turn", "right after", "a half-life later", "of the former"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            one.policy, *(str(estimate) for estimate in (one.before, one.after, one.later, one.recovered))
        )
    return table
