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

import gzip
import heapq
import zlib
from typing import TYPE_CHECKING

import msgspec

from consumers.evaluation.source import Earned
from producers.replay import MAX_LINE_BYTES
from stream.errors import InputError
from stream.evaluation.log import Logged  # noqa: TC001 - annotations of structs are read at run time
from stream.plays.reward import ViewingRules, reward_of
from stream.records import Title  # noqa: TC001
from stream.worth.policies import shares

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


_Line = _Titles | _Impressions | _Rewards | _Plays
_LINES = msgspec.json.Decoder(_Line)
_BLOCK_BYTES = 1 << 20


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
        self.shares: Mapping[str, float] | None = shares(settings)
        self._files = files
        self._rules = ViewingRules.of(settings)

    def everything(self) -> Iterator[Title | Logged | Earned]:
        """File by file; rewards that follow from plays last."""
        best: dict[str, Earned] = {}
        runtimes: dict[str, float] = {}
        rewards = False
        for file in self._files:
            for line in _lines(file):
                if isinstance(line, _Impressions):
                    yield line.record
                elif isinstance(line, _Rewards):
                    rewards = True
                    yield Earned(line.record.impression_id, line.record.reward, line.record.credited_ms)
                elif isinstance(line, _Titles):
                    runtimes[line.record.title_id] = line.record.runtime_seconds
                    yield line.record
                else:
                    self._play(line.record, runtimes, best, file)
        if not rewards:
            yield from best.values()

    def _play(self, play: _Play, runtimes: Mapping[str, float], best: dict[str, Earned], file: Path) -> None:
        """Keep what the best of an impression's plays is worth."""
        impression = play.impression
        if impression is None:
            return
        runtime = runtimes.get(play.title_id)
        if runtime is None:
            raise InputError(
                f"{file}: a play of title {play.title_id!r}, whose runtime no line of the catalogue has named "
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
    return (line.record for line in _lines(file) if isinstance(line, _Impressions))


def _lines(file: Path) -> Iterator[_Line]:
    """The lines of a file, read by the block: one at a time would take half as long again."""
    before = 0
    for block in _blocks(file):
        try:
            yield from _LINES.decode_lines(block)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            _find_fault(file, block, before)
        before += block.count(b"\n")


def _blocks(file: Path) -> Iterator[bytes]:
    """Whole lines, about a megabyte at a time."""
    rest = b""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                whole, newline, after = block.rpartition(b"\n")
                if newline:
                    yield rest + whole + newline
                    rest = after
                else:
                    rest += block
                if len(rest) > MAX_LINE_BYTES + _BLOCK_BYTES:
                    raise InputError(f"{file}: it has a line longer than {MAX_LINE_BYTES} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if rest:
        yield rest


def _find_fault(file: Path, block: bytes, before: int) -> None:
    """Say which line of a block cannot be read, and why."""
    for number, text in enumerate(block.split(b"\n"), before + 1):
        if text.strip():
            try:
                _LINES.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise InputError(f"{file}:{number}: not a line of a log: {error}") from None
