"""How often tuning recommends what is no better, and whether it finds what is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.evaluation.logs import KnownLog, explored
from consumers.evaluation.source import Earned, Source, Wanted, open_log
from consumers.evaluation.tuning import Tuned, try_settings
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stream.evaluation.log import Logged
    from stream.records import Title

TRIALS: tuple[dict[str, str], ...] = ({"exploration": "0.03"}, {"exploration": "0.3"}, {"exploration": "1"})
#: Settings of today that nobody should have: draws so wide that hardly anything of what was learned is left.
BAD = {"exploration": 5.0}


class InMemory:
    """A known log as a source."""

    name = "a made-up log"
    shares: Mapping[str, float] | None = None

    def __init__(self, log: KnownLog) -> None:
        self._log = log

    def everything(self) -> Iterator[Title | Logged | Earned]:
        """All of it."""
        yield from self._log.titles
        yield from self._log.earned
        yield from self._log.impressions

    def impressions(self) -> Iterator[Logged]:
        """In their order."""
        return iter(self._log.impressions)


def null(seed: int, impressions: int) -> KnownLog:
    """A log in which it makes no difference what is shown: one impression in ten earns something."""
    log = explored(seed, impressions)
    rng = np.random.default_rng([seed, 51])
    late_ms = rng.integers(60_000, 5_400_000, impressions)
    earned = [
        Earned(one.impression_id, 1.0, one.shown_ms + int(late))
        for one, late, draw in zip(log.impressions, late_ms, rng.random(impressions), strict=True)
        if draw < 0.1
    ]
    return KnownLog(log.titles, log.impressions, earned, log.end_ms, log.chance)


def tuned(log: KnownLog, seed: int = 0, **today: float) -> Tuned:
    """What tuning says of it."""
    source: Source = InMemory(log)
    return try_settings(open_log(source, Wanted()), Settings.model_construct(None, **today), TRIALS, seed)


class Row(NamedTuple):
    """Of so many logs, how many saw something recommended."""

    logs: str
    runs: int
    recommended: int


def measure(runs: int, impressions: int, watch: Callable[[int, int], None] = lambda _done, _of: None) -> list[Row]:
    """Logs in which nothing is better, and as many tenths in which everything is better than today's settings."""
    planted = max(runs // 10, 1)
    found = [0, 0]
    for seed in range(runs):
        found[0] += tuned(null(seed, impressions), seed).recommended is not None
        watch(seed + 1, runs + planted)
    for seed in range(planted):
        found[1] += tuned(explored(seed, 3 * impressions), seed, **BAD).recommended is not None
        watch(runs + seed + 1, runs + planted)
    return [Row("nothing is better", runs, found[0]), Row("everything is better", planted, found[1])]
