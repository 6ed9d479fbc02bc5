"""A log as columns: a batch of impressions, what was earned by each, and what is heard of them afterwards."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from msgspec import Struct

from stream.features import FeatureSpace
from stream.records import Milliseconds as Time  # noqa: TC001 - annotations of structs are read at run time
from stream.records import Policy, Value  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.rewards import Rewards
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]
    Milliseconds = NDArray[np.int64]

#: Rows judged in one go: so many at first, then a twentieth of those before, and never more than that.
FIRST_ROWS, GROWTH, MOST_ROWS = 250, 0.05, 16_384
#: The policies of a log, by number.
POLICIES = ("personal", "popular", "explore", "app")


class Logged(Struct, frozen=True, gc=False):
    """What evaluation reads of an impression.

    It is less strict than :class:`~stream.records.Impression`: a log of somebody else's may have no propensities,
    and to be told that is the point.
    """

    impression_id: str
    shown_ms: Time
    member_id: str
    title_id: str
    artwork_id: str
    context: dict[str, Value]
    policy: Policy = "personal"
    propensity: float | None = None
    canvas: str | None = None
    advised: str | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """n impressions of a log. Arrays are of shape (n,) unless said otherwise.

    Attributes
    ----------
    records
        As they were read.
    offer
        The number of the offer: which title, for which canvas.
    place
        Which of its artworks was shown.
    count
        How many it has.
    context
        By the roster's features, the first of which is 1: shape (n, F).
    propensity
        How likely that artwork was; NaN where the log does not say, or says what no probability is.
    reward
        What was earned in the end, in [0, 1].
    reward_ms
        When that was known; -1 where there is nothing.
    shown_ms
        When it was shown.
    member, identity
        Hashes of the member and of the impression's id.
    policy
        Which rule chose, by number of :data:`POLICIES`.
    """

    records: Sequence[Logged]
    offer: Ints
    place: Ints
    count: Ints
    context: Floats
    propensity: Floats
    reward: Floats
    reward_ms: Milliseconds
    shown_ms: Milliseconds
    member: NDArray[np.uint64]
    identity: Milliseconds
    policy: Ints

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def taken(self) -> Floats:
        """1 where anything was earned, shape (n,)."""
        found: Floats = (self.reward > 0).astype(np.float64)
        return found

    @property
    def most(self) -> int:
        """The largest number of artworks of an offer in it: the width K of arrays that have a column for each."""
        return int(self.count.max(initial=1))

    def rows(self, which: Ints | NDArray[np.bool_]) -> Batch:
        """Some of them."""
        places = np.arange(len(self))[which]
        changed: dict[str, Any] = {
            field.name: getattr(self, field.name)[places] for field in fields(self) if field.name != "records"
        }
        return Batch([self.records[i] for i in places.tolist()], **changed)

    @cached_property
    def by_offer(self) -> list[tuple[int, Ints]]:
        """Each offer with its rows."""
        order = np.argsort(self.offer, kind="stable")
        begins = np.flatnonzero(np.diff(self.offer[order], prepend=-1))
        return [(int(self.offer[rows[0]]), rows) for rows in np.split(order, begins[1:]) if len(rows)]


class Columns:
    """Puts impressions into columns."""

    def __init__(self, roster: Roster, rewards: Rewards) -> None:
        self._roster = roster
        self._rewards = rewards
        self._space = FeatureSpace(roster.features)
        self._offer_of = roster.offer_of

    def batch(self, records: Sequence[Logged]) -> Batch:
        """Impressions of the roster's offers, earliest first."""
        records = sorted(records, key=lambda record: record.shown_ms)
        n = len(records)
        places = self._roster.places
        artwork = _whole([places[one.title_id, one.canvas, one.artwork_id] for one in records])
        offer = self._offer_of[artwork]
        identity = np.array([hash(one.impression_id) for one in records], dtype=np.int64)
        reward, reward_ms = self._rewards.of(identity)
        given = [one.propensity for one in records]
        propensity = np.array([np.nan if one is None else one for one in given], dtype=np.float64)
        propensity[~((propensity > 0.0) & (propensity <= 1.0))] = np.nan
        number_of = {name: number for number, name in enumerate(POLICIES)}
        return Batch(
            records=records,
            offer=offer,
            place=artwork - self._roster.starts[offer],
            count=self._roster.counts[offer],
            context=self._contexts(records, n),
            propensity=propensity,
            reward=reward,
            reward_ms=reward_ms,
            shown_ms=np.array([one.shown_ms for one in records], dtype=np.int64),
            member=_mixed(np.array([crc32(one.member_id.encode()) for one in records], dtype=np.uint64)),
            identity=identity,
            policy=_whole([number_of[one.policy] for one in records]),
        )

    def _contexts(self, records: Sequence[Logged], n: int) -> Floats:
        rows = self._space.rows([one.context for one in records])
        found = np.zeros((n, len(self._space)))
        for which, columns, values in rows.groups:
            found[which[:, None], columns] = values
        return found


def batches(impressions: Iterable[Logged], columns: Columns) -> Iterator[Batch]:
    """A log in batches that grow with what is known: what a policy learns from one, it applies to the next."""
    waiting: list[Logged] = []
    done = 0
    size = FIRST_ROWS
    for impression in impressions:
        waiting.append(impression)
        if len(waiting) >= size:
            yield columns.batch(waiting)
            done += len(waiting)
            size = min(max(int(GROWTH * done), FIRST_ROWS), MOST_ROWS)
            waiting = []
    if waiting:
        yield columns.batch(waiting)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What a learner would have heard by the end of a batch: impressions, and rewards of these or earlier ones.

    ``artwork`` and ``rewarded_artwork`` number artworks across titles.
    """

    shown: Batch
    artwork: Ints
    rewarded: Batch
    rewarded_artwork: Ints


class Hearing:
    """Lets learners hear of an impression when it was shown, and of its reward when that was known: not before."""

    def __init__(self, roster: Roster) -> None:
        self._starts = roster.starts
        self._waiting: list[Batch] = []

    def hear(self, batch: Batch) -> Heard:
        """After this batch."""
        now_ms = int(batch.shown_ms.max(initial=0))
        known: list[Batch] = []
        waiting: list[Batch] = []
        for part in (*self._waiting, batch.rows(batch.reward > 0)):
            due = part.reward_ms <= now_ms
            known.append(part.rows(due))
            if not due.all():
                waiting.append(part.rows(~due))
        self._waiting = [_together(waiting)] if len(waiting) > 1 else waiting
        rewarded = _together(known)
        return Heard(
            batch,
            self._starts[batch.offer] + batch.place,
            rewarded,
            self._starts[rewarded.offer] + rewarded.place,
        )


def _together(parts: Sequence[Batch]) -> Batch:
    """One after another."""
    joined: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Batch)
        if field.name != "records"
    }
    return Batch([record for part in parts for record in part.records], **joined)


def _whole(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.intp)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function: neighbouring numbers end up far apart."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
