"""Logs in files: JSON lines as ``keyart replay`` reads them, and rewards beside them.

::

    {"topic": "catalogue", "record": {"title_id": …}}
    {"topic": "impressions", "record": {"impression_id": "i-1", "shown_ms": 1574553634762, "propensity": 0.25, …}}
    {"topic": "rewards", "record": {"impression_id": "i-1", "reward": 1.0, "credited_ms": 1574553999000}}
    {"topic": "plays", "record": {"watched_seconds": 900, "impression": {…}, …}}

Of several files the impressions are merged by their times. Where there are rewards, plays are passed over; where
there are none, an impression earns what the best of its plays is worth, which needs the title's runtime from the
catalogue.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from consumers.evaluation.source import Earned
from producers.replay import name_of, numbered_lines
from stream.errors import InputError
from stream.evaluation.log import Logged  # noqa: TC001 - annotations of structs are read at run time
from stream.policies import shares
from stream.records import Title  # noqa: TC001
from stream.viewing import ViewingRules, reward_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from stream.settings import Settings


class _Reward(msgspec.Struct, gc=False):
    impression_id: str
    reward: float
    credited_ms: int


class _Play(msgspec.Struct, gc=False):
    played_ms: int
    title_id: str
    watched_seconds: float
    impression: Logged | None = None


class _Titles(msgspec.Struct, tag="catalogue", tag_field="topic"):
    record: Title


class _Impressions(msgspec.Struct, tag="impressions", tag_field="topic", gc=False):
    record: Logged


class _Rewards(msgspec.Struct, tag="rewards", tag_field="topic", gc=False):
    record: _Reward


class _Plays(msgspec.Struct, tag="plays", tag_field="topic", gc=False):
    record: _Play


_LINES = msgspec.json.Decoder(_Titles | _Impressions | _Rewards | _Plays)


class Files:
    """Files of JSON lines, compressed if their names end in ``.gz``.

    Parameters
    ----------
    files
        Which.
    settings
        What a play is worth, and how members are dealt to policies.
    """

    def __init__(self, files: Sequence[Path], settings: Settings) -> None:
        for file in files:
            if not file.is_file():
                raise InputError(f"{file}: it is not there, or no file that can be read twice")
        self.name = ", ".join(map(str, files))
        self.shares = shares(settings)
        self._files = files
        self._rules = ViewingRules.of(settings)

    def everything(self) -> Iterator[Title | Logged | Earned]:
        """File by file; rewards that follow from plays last."""
        best: dict[str, Earned] = {}
        runtimes: dict[str, float] = {}
        rewards = False
        for file in self._files:
            for where, line in _lines(file):
                if isinstance(line, _Impressions):
                    yield _sound(line.record, where)
                elif isinstance(line, _Rewards):
                    rewards = True
                    yield Earned(line.record.impression_id, line.record.reward, line.record.credited_ms)
                elif isinstance(line, _Titles):
                    runtimes[line.record.title_id] = line.record.runtime_seconds
                    yield line.record
                else:
                    self._play(line.record, runtimes, best, where)
        if not rewards:
            yield from best.values()

    def _play(self, play: _Play, runtimes: Mapping[str, float], best: dict[str, Earned], where: str) -> None:
        """Keep what the best of an impression's plays is worth."""
        impression = play.impression
        if impression is None:
            return
        runtime = runtimes.get(play.title_id)
        if runtime is None:
            raise InputError(
                f"{where}: a play of title {play.title_id!r}, whose runtime no line of the catalogue has named "
                "before: what is it worth?"
            )
        reward = reward_of(play.watched_seconds, runtime, self._rules)
        before = best.get(impression.impression_id)
        in_time = play.played_ms - impression.shown_ms <= self._rules.attribution_ms
        if reward > 0 and in_time and (before is None or reward > before.reward):
            best[impression.impression_id] = Earned(impression.impression_id, reward, play.played_ms)

    def impressions(self) -> Iterator[Logged]:
        """Merged by their times."""
        if len(self._files) == 1:
            return _impressions(self._files[0])
        return heapq.merge(*map(_impressions, self._files), key=lambda one: one.shown_ms)


def _impressions(file: Path) -> Iterator[Logged]:
    return (line.record for _, line in _lines(file) if isinstance(line, _Impressions))


def _lines(file: Path) -> Iterator[tuple[str, _Titles | _Impressions | _Rewards | _Plays]]:
    name, decode = name_of(file), _LINES.decode
    for number, text in numbered_lines(file, name):
        if text.isspace():
            continue
        try:
            line = decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise InputError(f"{name}:{number}: not a line of a log: {error}") from None
        yield f"{name}:{number}", line


def _sound(impression: Logged, where: str) -> Logged:
    """An impression that can be put into columns."""
    if not 0 <= impression.shown_ms < 1 << 53:
        raise InputError(f"{where}: shown_ms is {impression.shown_ms}: milliseconds since 1970 are wanted")
    return impression
