"""The topics themselves as a log: impressions joined with their rewards, in bounded memory."""

from __future__ import annotations

import heapq
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from consumers.evaluation.source import Earned
from stream.codec import decode, decode_key
from stream.errors import DecodeError
from stream.evaluation.log import Logged
from stream.kafka import Admin, RangeReader
from stream.records import Title
from stream.topics import CATALOGUE, IMPRESSIONS, REWARDS
from stream.worth.policies import shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stream.kafka import Message
    from stream.settings import Settings
    from stream.topics import Topic

R = TypeVar("R")

#: Records read of one partition at a time.
_AT_ONCE = 20_000


class _Reward(msgspec.Struct, gc=False):
    impression_id: str
    reward: float
    credited_ms: int


_IMPRESSIONS = msgspec.json.Decoder(Logged)
_REWARDS = msgspec.json.Decoder(_Reward)


class Topics:
    """What is on the topics now; what comes later is not seen. Context manager.

    A record that cannot be read is passed over: the learner made a dead letter of it. What it refused for other
    reasons (an artwork nobody knows, a time too far off) is read all the same.

    Raises
    ------
    BrokerUnavailable
        The cluster cannot be reached.
    TopicError
        A topic is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self.name = f"topics {settings.topic_prefix}* at {settings.bootstrap_servers}"
        self.shares: Mapping[str, float] | None = shares(settings)
        self._patience = 3 * settings.transaction_seconds
        self._ranges: dict[Topic, dict[int, tuple[int, int]]] = {}
        with Admin(settings) as admin:
            counts = admin.verify((CATALOGUE, IMPRESSIONS, REWARDS))
            for topic in (CATALOGUE, IMPRESSIONS, REWARDS):
                partitions = range(counts[topic.name])
                begin, end = admin.begin_offsets(topic, partitions), admin.end_offsets(topic, partitions)
                self._ranges[topic] = {p: (begin[p], end[p]) for p in partitions if begin[p] < end[p]}
        self._reader = RangeReader(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._reader.close()

    def everything(self) -> Iterator[Title | Logged | Earned]:
        """The catalogue, rewards, impressions: partition by partition."""
        titles: dict[str, Title] = {}
        for partition in self._ranges[CATALOGUE]:
            for record in self._records(CATALOGUE, partition, _title):
                if isinstance(record, Title):
                    titles[record.title_id] = record
                else:
                    titles.pop(record, None)
        yield from titles.values()
        for partition in self._ranges[REWARDS]:
            yield from self._records(REWARDS, partition, _earned)
        for partition in self._ranges[IMPRESSIONS]:
            yield from self._records(IMPRESSIONS, partition, _impression)

    def impressions(self) -> Iterator[Logged]:
        """Merged by their times over the partitions."""
        partitions = (
            self._records(IMPRESSIONS, partition, _impression) for partition in self._ranges[IMPRESSIONS]
        )
        return heapq.merge(*partitions, key=lambda one: one.shown_ms)

    def _records(self, topic: Topic, partition: int, read: Callable[[Message], R]) -> Iterator[R]:
        """A partition's records, so many at a time."""
        begin, end = self._ranges[topic][partition]
        while begin < end:
            found: list[R] = []
            upto = min(begin + _AT_ONCE, end)
            taking = partial(_take, read, found)
            self._reader.read({(topic, partition): (begin, upto)}, taking, patience_seconds=self._patience)
            yield from found
            begin = upto


def _take(
    read: Callable[[Message], R], found: list[R], _topic: Topic, _partition: int, messages: Sequence[Message]
) -> None:
    for message in messages:
        try:
            found.append(read(message))
        except (msgspec.MsgspecError, UnicodeDecodeError, DecodeError, RecursionError):
            continue


def _title(message: Message) -> Title | str:
    """A title, or the id of one that was withdrawn."""
    return decode_key(message.key) if message.value is None else decode(Title, message.value)


def _earned(message: Message) -> Earned:
    reward = _REWARDS.decode(message.value or b"")
    return Earned(reward.impression_id, reward.reward, reward.credited_ms)


def _impression(message: Message) -> Logged:
    return _IMPRESSIONS.decode(message.value or b"")
