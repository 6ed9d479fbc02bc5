"""Worlds to choose in: who comes when to see which title, and what changes meanwhile.

A world is a stream of visits that does not depend on what is chosen: every policy meets the same members, titles
and draws. :mod:`~benchmarks.quality.audience` says what truly decides plays, and how seeds differ.

============= ====================================================================================================
shared        200 titles of 9 artworks; themes work alike across titles. The best single artwork for everyone
              reaches 0.40 of the possible gain (mean of seeds 1 to 20; 0.25 to 0.57 by seed).
idiosyncratic The same, but tags say nothing: every artwork has effects of its own (best single: 0.40).
sparse        5,000 titles, the one of rank r looked at as often as 1 / r.
wide          30 titles, looked at often enough that it is known how often they are played: at the most 50 times as
              often as another (0.5 % to 25 %).
null          Artwork does not matter: what is shown of a title makes no difference to anybody.
launch        ``shared`` goes on for a while. Then 20 new titles come and get two fifths of the visits, and 20 of
              the old ones get a tenth artwork and two fifths. Counted from there, and by title: its first 50, 200
              and 1,000 impressions. Rows named ``launch`` are about the new titles, those named
              ``launch-artwork`` about the old ones with a new artwork.
late          The same, and rewards come 1 to 60 minutes after their impressions; the new titles' first 1,000
              impressions take about an hour.
drift         ``shared`` with themes of which half matter twice as much and the others not at all; half-way these
              change places, and artworks' own effects and quality are dealt anew. Counted in twentieths of the
              whole; the half-life of a policy that forgets is a fifth of it.
cast          ``shared``, and people matter as well as themes: members like a few people, and of those who play in
              a title its artworks show some. A taste names them ``cast:…``, and so do tags.
============= ====================================================================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.quality.audience import Strengths, dealt_anew, draw_truth, with_people
from benchmarks.quality.feedback import WINDOW_MS, Visits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.quality.audience import Floats, Ints, Truth

#: Visits between two snapshots, for every policy.
BATCH = 1000
#: Event time starts here.
START_MS = 1_760_000_000_000
#: Where rows are written, in impressions, and at the end.
MARKS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)

SHARED = Strengths()
IDIOSYNCRATIC = Strengths(tags=0.0, own=2.4, quality=0.29)
WIDE = Strengths(rates=(0.005, 0.25))
#: In ``cast`` themes matter less, and people so much: W of one who matters as much as the average one. To know
#: tastes for themes alone is worth 0.85 of the possible gain, to know those for people alone 0.62 (seeds 1 to 4).
CAST = Strengths(tags=5.0)
PEOPLE_MATTER = 8.0


class World:
    """A stream of visits.

    Parameters
    ----------
    name, seed
        Which.
    truth
        What decides plays.
    popularity
        How often each of the T titles is looked at, shape (T,).
    length
        Visits in all.
    spacing_ms
        Event time between two of them.

    Attributes
    ----------
    offered
        Which artworks each title has now, shape (T, K).
    edition
        Grows when that changes.
    half_life_days
        How fast a policy should forget that forgets.
    marks
        Where rows are written.
    """

    marks: tuple[int, ...] = MARKS
    half_life_days = 0.0
    late = False

    def __init__(
        self, name: str, seed: int, truth: Truth, popularity: Floats, *, length: int, spacing_ms: int = 1000
    ) -> None:
        self.name, self.seed, self.truth, self.length = name, seed, truth, length
        self.offered: NDArray[np.bool_] = np.ones(truth.level.shape, dtype=np.bool_)
        self.edition = 1
        self.visited = 0
        if self.marks is MARKS:
            self.marks = (*(mark for mark in MARKS if mark < length), length)
        self._popularity = popularity
        self._spacing_ms = spacing_ms
        self._rng = np.random.default_rng([seed, 2])

    def best_single(self) -> Ints:
        """The artwork of each title that is truly best when everybody is shown the same, shape (T,)."""
        return self.truth.best_single(self.offered)

    def counted(self, visits: Visits) -> dict[str, Ints]:
        """By name of the rows: which impression of its kind each visit is, from 1; 0: none. Shapes (n,)."""
        return {self.name: visits.number + 1}

    def visits(self) -> Visits:
        """The next ones, at most :data:`BATCH`."""
        n = min(BATCH, self.length - self.visited)
        rng, truth = self._rng, self.truth
        title = rng.choice(len(truth.rate), size=n, p=self._popularity / self._popularity.sum())
        member = rng.integers(len(truth.members), size=n)
        taste = truth.members[member]
        chance = np.where(self.offered[title], truth.chance(title, taste), np.nan)
        number = np.arange(self.visited, self.visited + n)
        self.visited += n
        shown_ms = START_MS + self._spacing_ms * number
        return Visits(number, title, member, taste, chance, rng.random(n), shown_ms, self._delays(n))

    def _delays(self, n: int) -> NDArray[np.int64]:
        return np.zeros(n, dtype=np.int64)


class Launch(World):
    """Titles and artworks that come to a running world, after ``before`` visits."""

    marks = (50, 200, 1000)
    OLD, NEW = 200, 20
    SHARE = 0.4
    #: Visits from then on: the launched titles get 1,000 each but for a few (1,100 on average).
    AFTER = 55_000

    def __init__(self, name: str, seed: int, before: int) -> None:
        titles = self.OLD + self.NEW
        truth = draw_truth(np.random.default_rng([seed, 1]), titles, 10, SHARED)
        popularity = np.where(np.arange(titles) < self.OLD, 1.0, 0.0)
        hour_ms = round(WINDOW_MS / (1000 * self.NEW / self.SHARE))
        super().__init__(name, seed, truth, popularity, length=before + self.AFTER, spacing_ms=hour_ms)
        self._before = before
        self.offered[self.OLD :] = False
        self.offered[:, 9] = False
        self._seen = np.zeros(titles, dtype=np.intp)

    def visits(self) -> Visits:
        """The next ones; the launch is between two batches."""
        if self.visited >= self._before and self.edition == 1:
            self.edition = 2
            new, old = np.arange(len(self.offered)) >= self.OLD, np.arange(len(self.offered)) < self.NEW
            self.offered[new, :9] = True
            self.offered[old, 9] = True
            rest = len(self.offered) - 2 * self.NEW
            self._popularity = np.where(new | old, self.SHARE / self.NEW, (1.0 - 2.0 * self.SHARE) / rest)
        return super().visits()

    def counted(self, visits: Visits) -> dict[str, Ints]:
        """By title, from the launch on."""
        place = np.zeros(len(visits), dtype=np.intp)
        if self.edition == 2:
            for i, title in enumerate(visits.title.tolist()):
                self._seen[title] += 1
                place[i] = self._seen[title]
        return {
            self.name: np.where(visits.title >= self.OLD, place, 0),
            f"{self.name}-artwork": np.where(visits.title < self.NEW, place, 0),
        }


class Late(Launch):
    """A launch whose rewards come 1 to 60 minutes after."""

    late = True

    def _delays(self, n: int) -> NDArray[np.int64]:
        return self._rng.integers(60_000, WINDOW_MS, size=n)


class Drift(World):
    """Effects turn half-way."""

    half_life_days = 4.0

    def __init__(self, name: str, seed: int, length: int) -> None:
        rng = np.random.default_rng([seed, 4])
        truth = draw_truth(np.random.default_rng([seed, 1]), 200, 9, SHARED)
        matters = rng.permutation(len(truth.matter)) < len(truth.matter) / 2.0
        before, after = (np.where(mattering, 2.0 * truth.matter, 0.0) for mattering in (matters, ~matters))
        self._turned = dealt_anew(rng, truth, after)
        truth = dealt_anew(rng, truth, before)
        # One half-life is two tenths of all visits.
        spacing_ms = round(self.half_life_days * 24 * 60 * 60 * 1000 / (0.2 * length))
        super().__init__(name, seed, truth, np.ones(200), length=length, spacing_ms=spacing_ms)
        self.marks = tuple(round(length * part / 20) for part in range(1, 21))

    def visits(self) -> Visits:
        """The next ones; the turn is between two batches."""
        if 2 * self.visited >= self.length and self.edition == 1:
            self.edition = 2
            self.truth = self._turned
        return super().visits()


def _steady(name: str, middle: Strengths, titles: int = 200, exponent: float = 0.0) -> Callable[[int, int], World]:
    def make(seed: int, impressions: int) -> World:
        truth = draw_truth(np.random.default_rng([seed, 1]), titles, 9, middle)
        return World(name, seed, truth, np.arange(1.0, titles + 1.0) ** -exponent, length=impressions)

    return make


def _null(seed: int, impressions: int) -> World:
    world = _steady("null", SHARED)(seed, impressions)
    one = world.truth.weights[:, :1], world.truth.level[:, :1]
    weights, level = (np.repeat(part, world.offered.shape[1], axis=1) for part in one)
    world.truth = replace(world.truth, weights=weights, level=level)
    return world


def _cast(seed: int, impressions: int) -> World:
    truth = draw_truth(np.random.default_rng([seed, 1]), 200, 9, CAST)
    truth = with_people(np.random.default_rng([seed, 5]), truth, PEOPLE_MATTER)
    return World("cast", seed, truth, np.ones(200), length=impressions)


#: By name: makes a world from a seed and a number of impressions (of launch and late: before the launch).
WORLDS: dict[str, Callable[[int, int], World]] = {
    "shared": _steady("shared", SHARED),
    "idiosyncratic": _steady("idiosyncratic", IDIOSYNCRATIC),
    "sparse": _steady("sparse", SHARED, titles=5000, exponent=1.0),
    "wide": _steady("wide", WIDE, titles=30),
    "null": _null,
    "launch": lambda seed, impressions: Launch("launch", seed, impressions),
    "late": lambda seed, impressions: Late("late", seed, impressions),
    "drift": lambda seed, impressions: Drift("drift", seed, impressions),
    "cast": _cast,
}
