"""The topic ``dead-letters`` as it stands: which letters there are, and which of them were put back."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stream.dead_letters import Letter, is_replayed, read_mark
from stream.errors import InputError
from stream.kafka import Admin, RangeReader
from stream.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stream.kafka import Message
    from stream.settings import Settings
    from stream.topics import Topic

#: Partition and offset on the topic ``dead-letters``.
Place = tuple[int, int]


def place_of(text: str) -> Place:
    """A place as a person writes it, ``partition:offset``.

    Raises
    ------
    InputError
        It is none.

    Examples
    --------
    >>> place_of("3:41")
    (3, 41)
    """
    partition, colon, offset = text.partition(":")
    if not (colon and partition.isdecimal() and offset.isdecimal() and len(text) < 30):
        raise InputError(f"{text!r} is no place: give partition:offset, as keyart dead-letters list does")
    return int(partition), int(offset)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; what is left empty leaves none out.

    Attributes
    ----------
    places
        These.
    codes
        Those with one of these reasons.
    topics
        Those read from one of these topics: full names.
    since_ms
        Those that died at this time or later.
    limit
        The newest so many of them; None: all.
    """

    places: frozenset[Place] = frozenset()
    codes: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    since_ms: int = 0
    limit: int | None = None

    def has(self, letter: Letter) -> bool:
        """Whether a letter is meant, whatever the limit."""
        return (
            (not self.places or (letter.partition, letter.offset) in self.places)
            and (not self.codes or letter.code in self.codes)
            and (not self.topics or letter.topic in self.topics)
            and letter.dead_ms >= self.since_ms
        )


class History(NamedTuple):
    """What became of letters: the places of those that were put back, and of those that died again (as text)."""

    replayed: frozenset[Place]
    died_again: frozenset[str]


class DeadLetterBox:
    """All dead letters that are there now. Those that come later are not seen.

    Nothing of them is held in memory: they are read again for every question.

    Raises
    ------
    BrokerUnavailable
        The cluster cannot be reached.
    TopicError
        There is no topic ``dead-letters``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with Admin(settings) as admin:
            partitions = range(admin.verify((DEAD_LETTERS,))[DEAD_LETTERS.name])
            begin = admin.begin_offsets(DEAD_LETTERS, partitions)
            end = admin.end_offsets(DEAD_LETTERS, partitions)
        self._ranges = {partition: (begin[partition], end[partition]) for partition in partitions}
        self._history: History | None = None

    def history(self) -> History:
        """What became of letters; looked up once."""
        if self._history is None:
            replayed: set[Place] = set()
            died_again: set[str] = set()

            def take(message: Message) -> None:
                offsets = read_mark(message)
                if offsets is not None:
                    replayed.update((message.partition, offset) for offset in offsets)
                elif is_replayed(message):
                    died_again.add(Letter.read(message).replay_of)

            self._read(self._ranges, take)
            self._history = History(frozenset(replayed), frozenset(died_again))
        return self._history

    def replayed(self) -> frozenset[Place]:
        """The letters that were put back."""
        return self.history().replayed

    def letters(self, selection: Selection, take: Callable[[Letter], object]) -> None:
        """Have ``take`` look at each letter that is meant, those of a partition oldest first."""
        if selection.limit is not None:
            selection = self._newest(selection, selection.limit)
            if not selection.places:
                return

        def sort_out(message: Message) -> None:
            if read_mark(message) is None:
                letter = Letter.read(message)
                if selection.has(letter):
                    take(letter)

        self._read(self._within(selection.places), sort_out)

    def letter(self, place: Place) -> Letter:
        """One letter.

        Raises
        ------
        InputError
            There is none at this place.
        """
        found: list[Letter] = []
        self.letters(Selection(places=frozenset((place,))), found.append)
        if not found:
            raise InputError(
                f"there is no dead letter at {place[0]}:{place[1]}: keyart dead-letters list --each shows those "
                "there are; they are kept for 14 days"
            )
        return found[0]

    def _newest(self, selection: Selection, limit: int) -> Selection:
        """The newest so many letters of a selection, as their places."""
        newest: list[tuple[int, int, int]] = []

        def keep(message: Message) -> None:
            if read_mark(message) is None and selection.has(Letter.read(message)):
                at = message.timestamp, message.partition, message.offset
                (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, at)

        self._read(self._within(selection.places), keep)
        return Selection(places=frozenset((partition, offset) for _, partition, offset in newest))

    def _within(self, places: frozenset[Place]) -> Mapping[int, tuple[int, int]]:
        """The stretches that hold these places: everything if none are given."""
        if not places:
            return self._ranges
        within = {}
        for partition, (begin, end) in self._ranges.items():
            offsets = [offset for p, offset in places if p == partition]
            if offsets:
                within[partition] = max(begin, min(offsets)), min(end, max(offsets) + 1)
        return within

    def _read(self, ranges: Mapping[int, tuple[int, int]], take: Callable[[Message], object]) -> None:
        wanted = {(DEAD_LETTERS, p): (begin, end) for p, (begin, end) in ranges.items() if begin < end}
        if not wanted:
            return

        def apply(_topic: Topic, _partition: int, messages: Sequence[Message]) -> None:
            for message in messages:
                take(message)

        reader = RangeReader(self._settings)
        try:
            reader.read(wanted, apply, patience_seconds=3 * self._settings.transaction_seconds)
        finally:
            reader.close()
