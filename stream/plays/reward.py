"""What a play is worth: its reward, by how much of the title was watched, and the rules that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.settings import Settings

_HOUR_MS = 3_600_000
#: Rewards are multiples of 2⁻⁴⁰, so that sums and differences of them are exact: a reward taken back leaves
#: nothing behind, and an impression's first credit can be told from a change.
_GRID = 2.0**40


@dataclass(frozen=True, slots=True)
class ViewingRules:
    """The settings that decide what a play is worth. Times in milliseconds.

    ``plays_per_day`` is how many impressions of a member and day are credited (0: all), ``title_once`` whether of
    those of one title only one is; of a day with more than ``flood_plays`` plays none is (0: of no day).
    """

    min_seconds: float
    full_fraction: float
    attribution_ms: int
    late_ms: int
    half_life_ms: float
    plays_per_day: int = 0
    title_once: bool = False
    flood_plays: int = 0

    @property
    def limited(self) -> bool:
        """Whether there is a limit to what a member's plays may earn."""
        return self.title_once or self.plays_per_day > 0 or self.flood_plays > 0

    @classmethod
    def of(cls, settings: Settings) -> ViewingRules:
        """From the settings in force."""
        return cls(
            min_seconds=settings.min_seconds,
            full_fraction=settings.full_fraction,
            attribution_ms=round(settings.attribution_hours * _HOUR_MS),
            late_ms=round(settings.late_hours * _HOUR_MS),
            half_life_ms=settings.taste_half_life_days * 24 * _HOUR_MS,
            plays_per_day=settings.plays_per_day,
            title_once=settings.title_once,
            flood_plays=settings.flood_plays,
        )


def reward_of(watched_seconds: float, runtime_seconds: float, rules: ViewingRules) -> float:
    """What watching so long is worth, in [0, 1]: a short look is worth nothing, a real part of it everything.

    >>> rules = ViewingRules(120, 0.3, 24 * _HOUR_MS, _HOUR_MS, 1e9)
    >>> [reward_of(seconds, 6000, rules) for seconds in (119, 900, 1800, 5000)]
    [0.0, 0.5, 1.0, 1.0]
    """
    if watched_seconds < rules.min_seconds:
        return 0.0
    full_seconds = rules.full_fraction * runtime_seconds
    return 1.0 if watched_seconds >= full_seconds else round(watched_seconds / full_seconds * _GRID) / _GRID
