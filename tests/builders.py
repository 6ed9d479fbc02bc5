"""Records, messages and tasks with sensible defaults: a test names only what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hypothesis

from stream.codec import encode
from stream.records import Artwork, Impression, Play, Record, RewardChange, Title
from stream.settings import Settings, load
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS, REWARDS, Topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: When the tests' stories begin.
START_MS = 1_760_000_000_000

#: Properties are tried on the same examples in every run.
repeatable = hypothesis.settings(derandomize=True, deadline=None, max_examples=60)


@dataclass(frozen=True)
class FakeMessage:
    """A record as a worker reads it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = -1
    headers: tuple[tuple[str, bytes], ...] = ()


def some_settings(**changes: Any) -> Settings:
    """Settings of a worker called ``tester``, which takes in what happened long ago: the tests' stories did.

    It learns all that the one member of these stories was shown, however often.
    """
    return load(**({"worker_id": "tester", "max_behind_days": 0, "impressions_per_hour": 0} | changes))


def some_title(
    title_id: str = "film", artworks: Iterable[str | Artwork] = ("face", "kiss"), **changes: Any
) -> Title:
    """A title of 6,000 seconds, so that 1,800 watched earn all there is; artworks may be given by their ids."""
    given: dict[str, Any] = {
        "name": f"The {title_id}",
        "runtime_seconds": 6000.0,
        "themes": {"comedy": 1.0, "romance": 0.5},
        "artworks": tuple(one if isinstance(one, Artwork) else Artwork(one, {}) for one in artworks),
    }
    return Title(title_id, **(given | changes))


def some_impression(impression_id: str = "i1", **changes: Any) -> Impression:
    """Member ``ann`` sees the face of the film."""
    given: dict[str, Any] = {
        "shown_ms": START_MS,
        "member_id": "ann",
        "title_id": "film",
        "artwork_id": "face",
        "context": {"comedy": 0.75, "romance": 0.25},
        "policy": "personal",
        "propensity": 0.5,
        "snapshot_version": 3,
    }
    return Impression(impression_id, **(given | changes))


def some_play(play_id: str = "p1", watched_seconds: float = 900.0, **changes: Any) -> Play:
    """Member ``ann`` plays the film an hour after she was shown it; 900 seconds earn a half."""
    impression = changes.get("impression")
    given: dict[str, Any] = {
        "played_ms": START_MS + HOUR_MS,
        "member_id": "ann" if impression is None else impression.member_id,
        "title_id": "film" if impression is None else impression.title_id,
        "watched_seconds": watched_seconds,
        "impression": None,
    }
    return Play(play_id, **(given | changes))


def some_reward(impression: Impression, credit: float, reward: float | None = None) -> RewardChange:
    """An impression's reward changed by ``credit``, to ``reward``; the first credit if it is not given."""
    return RewardChange(
        impression_id=impression.impression_id,
        shown_ms=impression.shown_ms,
        credited_ms=impression.shown_ms + HOUR_MS,
        title_id=impression.title_id,
        artwork_id=impression.artwork_id,
        context=impression.context,
        policy=impression.policy,
        propensity=impression.propensity,
        credit=credit,
        reward=credit if reward is None else reward,
    )


def message_of(record: Record, offset: int = 0, partition: int = 0) -> FakeMessage:
    """A record on its topic, under its key."""
    topic = _TOPICS[type(record)]
    return FakeMessage(
        topic.full_name("keyart."), partition, offset, getattr(record, topic.key.value).encode(), encode(record)
    )


def messages_of(records: Sequence[Record], first: int = 0, partition: int = 0) -> list[FakeMessage]:
    """Records on their topic, one after another."""
    return [message_of(record, first + i, partition) for i, record in enumerate(records)]


_TOPICS: dict[type[Record], Topic] = {
    Impression: IMPRESSIONS,
    Play: PLAYS,
    RewardChange: REWARDS,
    Title: CATALOGUE,
}
