"""What a policy hears of its choices, and when.

Rewards may come late. A policy then hears of impressions at once and of their rewards as they come (Keyart), or of
both once no more rewards are to be expected (a join that waits for its window), or, to know what lateness costs,
of both at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.quality.audience import Floats, Ints

Hearing = Literal["at once", "as they come", "joined"]
#: The longest that a reward takes.
WINDOW_MS = 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Visits:
    """n visits, K artworks at most, F themes.

    Attributes
    ----------
    number
        From 0 in the order of the visits, shape (n,).
    title, member
        Shape (n,).
    taste
        The members' tastes, shape (n, F).
    chance
        The true probability of a play behind each artwork, shape (n, K); NaN where the title has no such artwork.
    draw
        Uniform, shape (n,): common random numbers, the same whatever is shown.
    shown_ms, delay_ms
        Event time, and how long after it a reward would come, shape (n,).
    """

    number: Ints
    title: Ints
    member: Ints
    taste: Floats
    chance: Floats
    draw: Floats
    shown_ms: NDArray[np.int64]
    delay_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.title)

    def rows(self, which: Ints | NDArray[np.bool_]) -> Visits:
        """Some of them."""
        return Visits(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Shown:
    """n visits with what was shown, how likely that was, and what came of it: shapes (n,)."""

    visits: Visits
    artwork: Ints
    propensity: Floats
    reward: Floats

    @classmethod
    def of(cls, visits: Visits, artwork: Ints, propensity: Floats) -> Shown:
        """A member plays if the visit's draw is below the chance behind what is shown."""
        played = visits.draw < visits.chance[np.arange(len(visits)), artwork]
        return cls(visits, artwork, propensity, played.astype(np.float64))

    def __len__(self) -> int:
        return len(self.artwork)

    def rows(self, which: Ints | NDArray[np.bool_]) -> Shown:
        """Some of them."""
        return Shown(self.visits.rows(which), self.artwork[which], self.propensity[which], self.reward[which])


@dataclass(frozen=True, slots=True)
class Heard:
    """What a policy hears at one time.

    Attributes
    ----------
    now_ms
        When, in event time.
    shown
        Impressions. Unless rewards come one by one, each with what came of it.
    rewarded
        Those of these impressions, or of earlier ones, that are known to be rewarded only now.
    """

    now_ms: int
    shown: Shown
    rewarded: Shown


class Feedback:
    """Keeps what has not been heard yet, and says what is heard after each batch."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._waiting: list[Shown] = []

    def hear(self, shown: Shown) -> Heard:
        """What there is to hear after this batch."""
        now_ms = int(shown.visits.shown_ms[-1])
        if self._hearing == "at once":
            return Heard(now_ms, shown, shown.rows(shown.reward > 0))
        joined = self._hearing == "joined"
        known = together([*self._waiting, shown if joined else shown.rows(shown.reward > 0)])
        due = known.visits.shown_ms + (WINDOW_MS if joined else known.visits.delay_ms) <= now_ms
        self._waiting = [known.rows(~due)]
        told = known.rows(due)
        return Heard(now_ms, told if joined else shown, told.rows(told.reward > 0))


def together(parts: Sequence[Shown]) -> Shown:
    """One after another."""
    visits = Visits(
        *(np.concatenate([getattr(part.visits, field.name) for part in parts]) for field in fields(Visits))
    )
    return Shown(
        visits,
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("artwork", "propensity", "reward")),
    )
