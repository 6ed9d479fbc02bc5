"""Where a log comes from, and what is read of it: titles, impressions, and what they have earned.

A log is read twice. The first time rewards are kept (the ids of impressions that earned something, and nothing of
those that did not) and the log is surveyed; the second time it is judged, a batch at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from stream.errors import InputError
from stream.evaluation.checks import Split
from stream.evaluation.log import Logged
from stream.evaluation.rewards import Rewards
from stream.evaluation.roster import Roster, Survey
from stream.records import Title

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    #: Called with the number of rows read so far, and their number in all where that is known.
    Progress = Callable[[int, int | None], None]

#: A repeated impression is recognised within so many others.
_REMEMBERED = 100_000
#: How often progress is told, in rows.
_STEP = 5000


class Earned(NamedTuple):
    """An impression has earned so much in all, as was known then."""

    impression_id: str
    reward: float
    known_ms: int


class Source(Protocol):
    """A log that can be read twice.

    Attributes
    ----------
    name
        What a person calls it.
    shares
        In which shares members are dealt to policies; None: they are not.
    """

    name: str
    shares: Mapping[str, float] | None

    def everything(self) -> Iterator[Title | Logged | Earned]:
        """Every record, in any order; of an impression's rewards the last one counts."""
        ...

    def impressions(self) -> Iterator[Logged]:
        """The impressions, in the order of their times as far as the source has one."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which impressions are meant.

    Attributes
    ----------
    since_ms, until_ms
        Shown from then on, and before then.
    policies
        Chosen by these; empty: by any.
    """

    since_ms: int = 0
    until_ms: int = 1 << 62
    policies: Collection[str] = ()

    def has(self, impression: Logged) -> bool:
        """Whether it is."""
        return self.since_ms <= impression.shown_ms < self.until_ms and (
            not self.policies or impression.policy in self.policies
        )


@dataclass
class Opened:
    """A log that was read once.

    Attributes
    ----------
    source, wanted
        What is read of it.
    roster, rewards
        What it is about, and what impressions have earned.
    end_ms
        The last event of the log, whichever impressions are wanted.
    split
        The members of each policy in the time that is meant, before any were left out.
    repeated
        The ids of impressions that came again soon after, as apps send them that are unsure.
    left_out
        The share of impressions that these are.
    """

    source: Source
    wanted: Wanted
    roster: Roster
    rewards: Rewards
    end_ms: int
    split: Split
    repeated: frozenset[str]
    left_out: float
    progress: Progress = field(default=lambda _done, _total: None)

    def impressions(self) -> Iterator[Logged]:
        """Those that are meant, each once, in the order of the source."""
        seen: set[str] = set()
        total, done = self.roster.rows, 0
        for impression in filter(self.wanted.has, self.source.impressions()):
            id_ = impression.impression_id
            if id_ in self.repeated:
                if id_ in seen:
                    continue
                seen.add(id_)
            yield impression
            done += 1
            if done % _STEP == 0:
                self.progress(done, total)
        self.progress(done, total)


def open_log(source: Source, wanted: Wanted, progress: Progress = lambda _done, _total: None) -> Opened:
    """Read a log through for the first time.

    Raises
    ------
    InputError
        There are no such impressions in it.
    """
    survey, rewards, split, recent = Survey(), Rewards(), Split(), _Recent()
    whole = Wanted(wanted.since_ms, wanted.until_ms)
    end_ms = again = read = 0
    repeated: set[str] = set()
    for record in source.everything():
        read += 1
        if read % _STEP == 0:
            progress(read, None)
        if isinstance(record, Logged):
            end_ms = max(end_ms, record.shown_ms)
            if not whole.has(record):
                continue
            split.see(record)
            if not wanted.has(record):
                continue
            if recent.is_new(record.impression_id):
                survey.see(record)
            else:
                again += 1
                repeated.add(record.impression_id)
        elif isinstance(record, Title):
            survey.list(record)
        else:
            end_ms = max(end_ms, record.known_ms)
            rewards.add(record.impression_id, record.reward, record.known_ms)
    if not survey.rows:
        raise InputError(f"{source.name}: {_none(wanted)}")
    left_out = again / (survey.rows + again)
    return Opened(source, wanted, survey.roster(), rewards, end_ms, split, frozenset(repeated), left_out)


def _none(wanted: Wanted) -> str:
    if wanted == Wanted():
        return "there are no impressions in it"
    return "no impressions in it are of the time and the policies that were asked for"


class _Recent:
    """The ids of the last impressions."""

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._before: set[str] = set()

    def is_new(self, id_: str) -> bool:
        """Whether it was not seen lately; from now on it was."""
        if id_ in self._now or id_ in self._before:
            return False
        self._now.add(id_)
        if len(self._now) >= _REMEMBERED:
            self._before, self._now = self._now, set()
        return True
