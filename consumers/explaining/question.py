"""What is known of a title and a member on the topics now."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from stream.codec import decode
from stream.errors import DecodeError, InputError
from stream.kafka.keyed import read_keys
from stream.records import Record, Snapshot, Taste, Title
from stream.topics import CATALOGUE, SNAPSHOTS, TASTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stream.kafka import Message
    from stream.settings import Settings
    from stream.topics import Topic

R = TypeVar("R", bound=Record)

#: Of more snapshots than that every second one is forgotten: an hour of a busy title's has thousands.
_MOST_KEPT = 600


class Question(Struct, frozen=True):
    """A title, perhaps a member, and what there is to explain.

    Attributes
    ----------
    title
        From the catalogue.
    history
        Snapshots that its topic still holds, each of a higher version than the one before; the last is in force.
    member_id
        For whom; None: for nobody in particular.
    taste
        The member's; empty where nothing is known.
    """

    title: Title
    history: tuple[Snapshot, ...]
    member_id: str | None = None
    taste: Mapping[str, float] = {}


def ask(settings: Settings, title_id: str, member_id: str | None = None) -> Question:
    """Read what is known.

    Raises
    ------
    InputError
        The catalogue does not have the title, or there is no snapshot of it.
    BrokerUnavailable
        No broker answers.
    TopicError
        A topic is missing.
    """
    values: dict[Topic, list[bytes]] = {topic: [] for topic in (CATALOGUE, SNAPSHOTS, TASTES)}

    def take(topic: Topic, message: Message) -> None:
        kept = values[topic]
        if message.value is None:
            kept.clear()
            return
        kept.append(message.value)
        if len(kept) > (_MOST_KEPT if topic is SNAPSHOTS else 1):
            del kept[-3::-2]

    wanted = {CATALOGUE: title_id, SNAPSHOTS: title_id}
    if member_id is not None:
        wanted[TASTES] = member_id
    read_keys(settings, wanted, take)
    title = next(_sound(Title, values[CATALOGUE]), None)
    if title is None:
        raise InputError(f"title {title_id!r} is not in the catalogue")
    history = _in_order(values[SNAPSHOTS])
    if not history:
        raise InputError(
            f"there is no snapshot of title {title_id!r}: members see its first artwork; does a learner run?"
        )
    taste = next(_sound(Taste, values[TASTES]), None)
    return Question(title, history, member_id, {} if taste is None else taste.taste)


def _sound(kind: type[R], values: list[bytes]) -> Iterator[R]:
    """Records that can be read; nodes leave out the others, too."""
    for value in values:
        try:
            yield decode(kind, value, limit=None)
        except DecodeError:
            continue


def _in_order(values: list[bytes]) -> tuple[Snapshot, ...]:
    """Snapshots as nodes take them: none of a lower version than the one before, of two equals the later."""
    found: list[Snapshot] = []
    for one in _sound(Snapshot, values):
        if found and one.version == found[-1].version:
            found[-1] = one
        elif not found or one.version > found[-1].version:
            found.append(one)
    return tuple(found)
