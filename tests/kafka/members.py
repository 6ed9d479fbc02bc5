"""Members of a consumer group, driven the way a worker's loop drives its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waiting import until

from stream.kafka import GroupReader
from stream.topics import IMPRESSIONS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.settings import Settings

INPUTS = [IMPRESSIONS, REWARDS]


class Member:
    """A learner's reader that keeps what it has read."""

    def __init__(self, settings: Settings) -> None:
        self.reader = GroupReader(settings, "learner", INPUTS)
        self.owned: frozenset[int] = frozenset()
        self.read: list[tuple[str, int, bytes]] = []
        self.rebalances = 0

    def turn(self, shown_from: int = 0) -> bool:
        """Once around the loop: take what was assigned, impressions from an offset on, and read."""
        assigned = self.reader.assignment()
        if assigned is not None:
            self.owned = assigned
            self.rebalances += 1
            for partition in assigned:
                self.reader.open(partition, {"impressions": shown_from, "rewards": 0})
        for topic, partition, messages in self.reader.poll(0.02):
            assert partition in self.owned
            self.read.extend((topic.name, partition, message.value) for message in messages)
        return not self.reader.rebalancing


def turn_all(members: Sequence[Member], condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Let members take turns until a condition holds."""

    def turned() -> bool:
        settled = [member.turn() for member in members]
        return all(settled) and bool(condition())

    until(turned, what, seconds)
