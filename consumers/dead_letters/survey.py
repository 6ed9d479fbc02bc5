"""Dead letters by what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumers.dead_letters.box import DeadLetterBox, Selection
    from stream.dead_letters import Letter


@dataclass(slots=True)
class Group:
    """The dead letters of one reason and one topic.

    Attributes
    ----------
    code, topic
        Why, and from where.
    count, replayed
        How many there are, and how many of those were put back.
    first_ms, last_ms
        When the first and the last of them died.
    example
        The last of them: its place.
    reason
        What was said of it.
    """

    code: str
    topic: str
    count: int = 0
    replayed: int = 0
    first_ms: int = -1
    last_ms: int = -1
    example: str = ""
    reason: str = ""

    def add(self, letter: Letter, *, replayed: bool) -> None:
        """Count a letter."""
        self.count += 1
        self.replayed += replayed
        self.first_ms = letter.dead_ms if self.first_ms < 0 else min(self.first_ms, letter.dead_ms)
        if letter.dead_ms >= self.last_ms:
            self.last_ms, self.example, self.reason = letter.dead_ms, letter.place, letter.reason


def grouped(box: DeadLetterBox, selection: Selection) -> list[Group]:
    """The groups of a selection, the largest first."""
    groups: dict[tuple[str, str], Group] = {}
    replayed = box.replayed()

    def count(letter: Letter) -> None:
        key = letter.code, letter.topic
        group = groups.setdefault(key, Group(*key))
        group.add(letter, replayed=(letter.partition, letter.offset) in replayed)

    box.letters(selection, count)
    return sorted(groups.values(), key=lambda group: (-group.count, group.code, group.topic))
