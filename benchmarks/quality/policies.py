"""What every policy keeps, and the plain ones: no learning, perfect knowledge, learning without context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import betainc, betaincinv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.quality.feedback import Heard, Visits
    from benchmarks.quality.worlds import World

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]


class Policy(Protocol):
    """Chooses artwork and learns from it, a batch at a time."""

    def meet(self, world: World) -> None:
        """Hear of the titles and artworks there are: at the start, and when they change."""
        ...

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """An artwork for each visit, and with what probability it was to be this one: shapes (n,)."""
        ...

    def learn(self, heard: Heard) -> None:
        """Learn what has been heard since the last time."""
        ...


class Reference:
    """A policy that does not learn."""

    def __init__(self, world: World) -> None:
        self._rng = np.random.default_rng([world.seed, 3])

    def meet(self, world: World) -> None:
        """Nothing to prepare."""

    def learn(self, heard: Heard) -> None:
        """Nothing."""


class Uniform(Reference):
    """Any artwork."""

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """Each is equally likely."""
        there = np.isfinite(visits.chance)
        artwork = np.argmax(np.where(there, self._rng.random(there.shape), -1.0), axis=1)
        return artwork, self.propensity(visits, artwork)

    def propensity(self, visits: Visits, artwork: Ints) -> Floats:
        """How likely each visit is to be shown this artwork, shape (n,)."""
        there = np.isfinite(visits.chance)
        found: Floats = there[np.arange(len(visits)), artwork] / there.sum(axis=1)
        return found


class BestSingle(Reference):
    """The artwork of each title that is truly best when everybody is shown the same."""

    def meet(self, world: World) -> None:
        """Look it up."""
        self._best = world.best_single()

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """The same for everyone."""
        return self._best[visits.title], np.ones(len(visits))


class Oracle(Reference):
    """The artwork that is truly best for the member."""

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """By the true probabilities."""
        return np.nanargmax(visits.chance, axis=1), np.ones(len(visits))


class Thompson:
    """Thompson sampling without context: a Beta distribution of each artwork's play rate.

    Chapelle & Li (2011), "An empirical evaluation of Thompson sampling", algorithm 2. The prior is Beta(1, 19): a
    play rate of 1 in 20, worth 20 impressions.
    """

    def __init__(self, world: World) -> None:
        self._rng = np.random.default_rng([world.seed, 3])
        self._taken, self._refused = np.full(world.offered.shape, 1.0), np.full(world.offered.shape, 19.0)

    def meet(self, world: World) -> None:
        """Every artwork there will ever be has its counts already."""

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """The largest draw. Its probability has no closed form, and takes longer to work out than all the rest."""
        drawn = self._rng.beta(self._taken[visits.title], self._refused[visits.title])
        artwork = np.argmax(np.where(np.isfinite(visits.chance), drawn, -1.0), axis=1)
        return artwork, np.full(len(visits), np.nan)

    def propensity(self, visits: Visits, artwork: Ints) -> Floats:
        """How likely each visit is to be shown this artwork, shape (n,)."""
        found = np.empty(len(visits))
        titles, rows = np.unique(visits.title, return_index=True)
        for title, row in zip(titles.tolist(), rows.tolist(), strict=True):
            here, offered = visits.title == title, np.isfinite(visits.chance[row])
            given = np.zeros(len(offered))
            given[offered] = _win_chances(self._taken[title, offered], self._refused[title, offered])
            found[here] = given[artwork[here]]
        return found

    def learn(self, heard: Heard) -> None:
        """Count."""
        rows = heard.shown
        place = rows.visits.title, rows.artwork
        np.add.at(self._taken, place, rows.reward)
        np.add.at(self._refused, place, 1.0 - rows.reward)


def _win_chances(taken: Floats, refused: Floats) -> Floats:
    """The probability that each of K Beta draws is the largest: shapes (K,), to four places."""
    low, high = betaincinv(taken, refused, 1e-7).max(), betaincinv(taken, refused, 1.0 - 1e-7).max()
    edges = np.concatenate([[0.0], np.linspace(low, high, 501), [1.0]])[:, None]
    below = betainc(taken, refused, edges)
    middle = np.maximum(betainc(taken, refused, (edges[1:] + edges[:-1]) / 2.0), 1e-300)
    won: Floats = (np.diff(below, axis=0) * (middle.prod(axis=1, keepdims=True) / middle)).sum(axis=0)
    found: Floats = won / won.sum()
    return found
