"""What a seeded audience does: who comes, who plays what they are shown, for how long, and how it is reported.

Every visit has a number, and everything random about it is drawn from that number and the seed. So the same
choices meet the same reactions, however fast the clock runs and however the visits are cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from producers.audience_world import World

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

_BLOCK = 1024
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_HISTORY_HOURS = 12

_DELAY_MS, _LONGEST_DELAY_MS = 45_000.0, 15 * _MINUTE_MS  # from the impression to the play
_LAG_MS, _LONGEST_LAG_MS = 8_000.0, 10 * _MINUTE_MS  # from the play to its report
_OFFLINE_SHARE = 0.06  # reports that come minutes late, often after later ones
_PROGRESS_SECONDS = 180.0  # the first report of progress
_PROGRESS_PARTS = (0.12, 0.35)  # then at these parts of the runtime

# The columns of a visit's draws.
_MEMBER, _TITLE, _START, _SHORT, _LENGTH, _PART, _DELAY, _LAG, _OFFLINE = range(9)
_AGAIN_PLAY, _AGAIN_IMPRESSION, _MALFORMED, _KIND, _ORGANIC, _ORGANIC_MEMBER, _ORGANIC_TITLE, _LAG_2 = range(9, 17)
_COLUMNS = 17


@dataclass(frozen=True, slots=True)
class Habits:
    """How the audience's events arrive.

    Attributes
    ----------
    repeated_share
        Play reports that are sent twice, and impressions likewise at a third of that.
    malformed_share
        Visits after which some app sends a record that nobody can understand.
    organic_share
        Visits after which some member plays a title without having been shown it.
    history
        The least and the most titles a member has watched before the first visit.
    """

    repeated_share: float = 0.03
    malformed_share: float = 0.002
    organic_share: float = 0.03
    history: tuple[int, int] = (3, 5)


class Visits(NamedTuple):
    """Some visits in a row: who sees which title. Arrays of length n; ``draws`` has a row of numbers in (0, 1)."""

    first: int
    members: Indices
    titles: Indices
    draws: Floats


class Report(NamedTuple):
    """One record of a play: how long was watched, and when. Times are milliseconds after the impression.

    ``again_ms`` is when the same record is sent once more, None for most.
    """

    sent_ms: int
    played_ms: int
    watched_seconds: float
    again_ms: int | None


class Watched(NamedTuple):
    """A play that no artwork led to. ``played_ms`` is relative to the moment the audience comes, or the visit."""

    play_id: str
    member: int
    title: int
    played_ms: int
    watched_seconds: float


class Audience:
    """The people of a :class:`~producers.audience_world.World`, at work.

    Parameters
    ----------
    world
        The truth about them.
    habits
        How their events arrive.
    """

    def __init__(self, world: World, habits: Habits | None = None) -> None:
        self.world = world
        self.habits = habits or Habits()
        self._popular: Floats = np.cumsum(world.popularity)
        self._love: Floats = np.cumsum(world.love, axis=1)
        self._block = -1
        self._draws: Floats = np.zeros((0, _COLUMNS))

    @property
    def longest_ms(self) -> int:
        """The longest time between an impression and the last report of its play."""
        return _LONGEST_DELAY_MS + 2 * _LONGEST_LAG_MS + int(self.world.runtime.max() * 1000)

    @property
    def history_ms(self) -> int:
        """How long before it comes it has begun to watch."""
        return _HISTORY_HOURS * _HOUR_MS

    # --- before the first visit

    def history(self) -> list[Watched]:
        """What the members have watched before: a few titles each that they love, oldest first.

        Times are negative: before the audience comes.
        """
        rng = np.random.default_rng([self.world.seed, 2])
        count, titles = self.world.love.shape
        least, most = (min(number, titles) for number in self.habits.history)
        # The largest few of log-weights plus Gumbel noise are a weighted draw without replacement.
        order = np.argsort(-(np.log(self.world.love + 1e-300) + rng.gumbel(size=(count, titles))), axis=1)
        numbers = rng.integers(least, most + 1, size=count)
        times = -rng.integers(_HOUR_MS, _HISTORY_HOURS * _HOUR_MS, size=(count, most))
        parts = rng.uniform(0.4, 1.0, size=(count, most))
        plays = [
            Watched(
                f"{self.world.member_ids[member]}-before-{j}",
                member,
                int(order[member, j]),
                int(times[member, j]),
                round(float(parts[member, j] * self.world.runtime[order[member, j]]), 1),
            )
            for member in range(count)
            for j in range(int(numbers[member]))
        ]
        return sorted(plays, key=lambda play: play.played_ms)

    # --- visits

    def visits(self, first: int, count: int) -> Visits:
        """The visits number ``first`` and following."""
        parts, at = [], first
        while at < first + count:
            block, begin = divmod(at, _BLOCK)
            end = min(_BLOCK, begin + first + count - at)
            if block != self._block:
                rng = np.random.default_rng([self.world.seed, 3, block])
                self._block, self._draws = block, rng.random((_BLOCK, _COLUMNS))
            parts.append(self._draws[begin:end])
            at += end - begin
        draws = np.concatenate(parts) if parts else np.zeros((0, _COLUMNS))
        members = (draws[:, _MEMBER] * len(self.world.member_ids)).astype(np.intp)
        return Visits(first, members, _pick(self._popular, draws[:, _TITLE]), draws)

    def react(
        self, visits: Visits, artworks: Indices
    ) -> tuple[NDArray[np.bool_], Iterator[tuple[int, list[Report]]]]:
        """What comes of showing those artworks.

        Parameters
        ----------
        visits
            Who was shown what, n visits.
        artworks
            The number of the artwork each was shown, shape (n,); -1 for one the world does not know.

        Returns
        -------
        taken
            Which visits lead to a play that is long enough to count, shape (n,).
        plays
            For each visit that leads to any play: its place in ``visits``, and the play's reports.
        """
        world, draws = self.world, visits.draws
        rows = np.arange(len(artworks))
        start = world.start_probability(visits.members, visits.titles)[rows, artworks]
        started = draws[:, _START] < start
        short = draws[:, _SHORT] < world.short_probability(visits.titles)[rows, artworks]
        return started & ~short, (
            (row, self._reports(draws[row], bool(short[row]), float(world.runtime[visits.titles[row]])))
            for row in np.flatnonzero(started).tolist()
        )

    def _reports(self, draws: Floats, short: bool, runtime: float) -> list[Report]:
        """A play as its app reports it: now and then while it lasts, and at its end."""
        watched = round(_watched_seconds(draws, short, runtime), 1)
        progress = [s for s in (_PROGRESS_SECONDS, *(part * runtime for part in _PROGRESS_PARTS)) if s < watched]
        delay = min(-_DELAY_MS * np.log1p(-draws[_DELAY]), _LONGEST_DELAY_MS)
        reports = []
        for number, seconds in enumerate([*progress, watched]):
            played = int(delay + 1000.0 * seconds)
            lag = _lag(_again(draws[_LAG], number), _again(draws[_OFFLINE], number))
            again = None
            if _again(draws[_AGAIN_PLAY], number) < self.habits.repeated_share:
                again = played + lag + _lag(_again(draws[_LAG_2], number), 0.0)
            reports.append(Report(played + lag, played, round(seconds, 1), again))
        return reports

    # --- what else arrives

    def repeated_impressions(self, visits: Visits) -> list[int]:
        """The places of visits whose impression is sent twice."""
        return np.flatnonzero(visits.draws[:, _AGAIN_IMPRESSION] < self.habits.repeated_share / 3.0).tolist()

    def malformed(self, visits: Visits) -> list[float]:
        """One number in (0, 1) for each malformed record that comes with these visits: what is wrong with it."""
        found = visits.draws[:, _MALFORMED] < self.habits.malformed_share
        return [float(kind) for kind in visits.draws[found, _KIND]]

    def organic(self, visits: Visits) -> list[Watched]:
        """Plays without an impression that come with these visits."""
        world, plays = self.world, []
        for row in np.flatnonzero(visits.draws[:, _ORGANIC] < self.habits.organic_share).tolist():
            draws = visits.draws[row]
            member = int(draws[_ORGANIC_MEMBER] * len(world.member_ids))
            title = int(_pick(self._love[member], draws[_ORGANIC_TITLE : _ORGANIC_TITLE + 1])[0])
            seconds = round(_watched_seconds(draws, False, float(world.runtime[title])), 1)
            plays.append(Watched(f"organic-{world.seed}-{visits.first + row}", member, title, 0, seconds))
        return plays

    # --- what an omniscient app would get

    def oracle(self, visits: Visits, artworks: Sequence[int] | Indices) -> tuple[Floats, Floats, Floats]:
        """The chance of a play that counts, with the artwork shown, with the best one, and with a uniform choice.

        Each has shape (n,).
        """
        values = self.world.values(visits.members, visits.titles)
        exists = self.world.exists[visits.titles]
        shown = np.maximum(values[np.arange(len(values)), artworks], 0.0)
        uniform = np.where(exists, values, 0.0).sum(axis=1) / self.world.artwork_counts[visits.titles]
        return shown, values.max(axis=1), uniform


def _pick(cumulative: Floats, u: Floats) -> Indices:
    """Draws from a discrete distribution, given its cumulative shares."""
    return np.minimum(np.searchsorted(cumulative, u, side="right"), len(cumulative) - 1)


def _again(u: float, number: int) -> float:
    """Another number in (0, 1) from one, for the n-th report of a play: steps of the golden ratio, modulo 1."""
    return float((u + number * 0.6180339887498949) % 1.0)


def _lag(u: float, offline: float) -> int:
    """How long a report is on its way, in milliseconds."""
    mean = _LAG_MS if offline > _OFFLINE_SHARE else _LONGEST_LAG_MS / 2
    return int(min(-mean * np.log1p(-u), _LONGEST_LAG_MS))


def _watched_seconds(draws: Floats, short: bool, runtime: float) -> float:
    """How long is watched: half a minute or so; or three quarters of the plays run long, the others end early.

    A play that is not short lasts more than two minutes, unless the title itself is shorter than that.
    """
    if short:
        return 20.0 + 90.0 * float(draws[_LENGTH])
    part = float(draws[_PART])
    if draws[_LENGTH] < 0.75:
        return runtime * (0.35 + 0.65 * float(np.sqrt(part)))
    return min(130.0 + 0.3 * runtime * part, runtime)
