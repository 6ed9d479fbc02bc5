"""Keyart itself as a policy to be valued: its own sums, priors, snapshots and chances, and no copy of them.

A log goes into a :class:`~stream.learning.book.TitleBook` as a learner would put it there, titles are published as
a learner would publish them, and a :class:`~stream.choosing.servable.ServableTitle` made of what was published
says what members would be shown. Only Kafka is left out. The learner's limit on what a member teaches in an hour
holds here too. Of people an artwork shows nothing is learned: a log has a member's affinity to those on what was
shown, and not to those on what might have been.
"""

from __future__ import annotations

from collections import Counter
from itertools import compress
from typing import TYPE_CHECKING, cast
from zlib import crc32

import numpy as np

from stream.choosing.page import MIN_SD
from stream.choosing.servable import ServableTitle
from stream.codec import decode, encode_fields
from stream.evaluation.chances import win_chances
from stream.features import BIAS
from stream.learning.book import LearningRules, TitleBook
from stream.learning.lessons import Taught, learn_from, together
from stream.learning.posterior import lower_triangle
from stream.learning.publication import Publication
from stream.learning.soundness import Unsound
from stream.learning.teaching import PartitionLessons
from stream.reading.frequency import HourlyLimit
from stream.records import Impression, RewardChange, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch, Heard
    from stream.evaluation.roster import Roster
    from stream.settings import Settings

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: A title is published again when so much more was learned of it; a live learner does after every half second.
_GROWTH, _LEAST = 0.05, 5
#: Titles solved in one go, and how far what the catalogue teaches must move for all to be published again.
_AT_ONCE = 32
_REPUBLISH = 0.02
#: A learner draws its own; here the same log has to give the same.
_LIMIT_KEY = b"the same again, "


class Ours:
    """What Keyart would show members of ``personal``.

    Parameters
    ----------
    name
        As it is reported.
    settings
        Those of the learner and of choosing.
    roster
        The log's titles.
    """

    learns = True

    def __init__(self, name: str, settings: Settings, roster: Roster) -> None:
        self.name = name
        self._roster = roster
        self._floor, self._exploration = settings.uniform_floor, settings.exploration
        wanted = settings.features or roster.features
        self._columns = [i for i, feature in enumerate(roster.features) if feature == BIAS or feature in wanted]
        self._book = TitleBook([roster.features[i] for i in self._columns], LearningRules.of(settings))
        self._limit = HourlyLimit(settings.impressions_per_hour, _LIMIT_KEY, hash_=_hash_of)
        self._publication = Publication(self._book)
        self._lessons = PartitionLessons() if settings.shared_prior else None
        self._taught: Taught | None = None
        self._published_by: Taught | None = None
        self._learned = self._taught_at = 0
        self._since: Counter[str] = Counter()
        self._served: dict[str, ServableTitle | None] = {}
        self._outdated: set[str] = set()
        self._offers: dict[int, tuple[ServableTitle | None, Ints]] = {}
        self._teach()

    # --- choosing

    def chances(self, batch: Batch) -> Floats:
        """The exact chance of each artwork, from what was published before the batch."""
        self._publish({self._roster.offers[offer].title_id for offer, _ in batch.by_offer})
        found = np.zeros((len(batch), batch.most))
        for offer, rows in batch.by_offer:
            count = int(self._roster.counts[offer])
            served, places = self._offer(offer)
            found[rows, :count] = self._floor / count
            if served is None or not len(places):
                found[rows, :count] = 1.0 / count
                continue
            chances = self._title_chances(served, batch.context[rows][:, self._columns])
            found[rows[:, None], places] += (1.0 - self._floor) * chances
        return found

    def _title_chances(self, served: ServableTitle, x: Floats) -> Floats:
        """Of a title's artworks, in the snapshot's order: shapes (m, d) to (m, K)."""
        count, d = len(served.artwork_ids), x.shape[1]
        found = np.empty((len(x), count))
        rows, columns = lower_triangle(d)
        at_once = max(1, (1 << 21) // len(rows))
        for begin in range(0, len(x), at_once):
            some = slice(begin, begin + at_once)
            pairs = x[some][:, rows] * x[some][:, columns]
            sd = np.sqrt(np.maximum(pairs @ served.model[:, d:].T, MIN_SD * MIN_SD))
            found[some] = win_chances(x[some] @ served.means.T, np.maximum(self._exploration * sd, MIN_SD))
        unknown = ~x[:, 1:].any(axis=1)  # see stream.choosing.page.knows_nothing
        if unknown.any():
            mean, sd = served.popular
            found[unknown] = win_chances(mean[None], np.maximum(self._exploration * sd, MIN_SD)[None])
        return found

    def _offer(self, offer: int) -> tuple[ServableTitle | None, Ints]:
        """What was published of an offer's artworks, and their places in it."""
        found = self._offers.get(offer)
        if found is None:
            title_id, _, artwork_ids = self._roster.offers[offer]
            place = {name: i for i, name in enumerate(artwork_ids)}
            served = self._served.get(title_id)
            part = None if served is None else served.only(place)
            ids = () if part is None else part.artwork_ids
            found = self._offers[offer] = part, np.array([place[name] for name in ids], dtype=np.intp)
        return found

    # --- publishing

    def _publish(self, title_ids: Iterable[str]) -> None:
        """Publish those of the titles of which much more is known than was published."""
        due = [title_id for title_id in sorted(title_ids) if self._is_due(title_id)]
        for begin in range(0, len(due), _AT_ONCE):
            titles = [self._roster.titles[title_id] for title_id in due[begin : begin + _AT_ONCE]]
            for title, fields in self._publication.snapshots(titles, 0, self._taught):
                self._since[title.title_id] = 0
                self._outdated.discard(title.title_id)
                if isinstance(fields, Unsound):
                    self._served.setdefault(title.title_id, None)
                else:
                    snapshot = decode(Snapshot, encode_fields(fields), limit=None)
                    self._served[title.title_id] = ServableTitle(snapshot)
        if due:
            self._offers.clear()

    def _is_due(self, title_id: str) -> bool:
        if title_id not in self._served or title_id in self._outdated:
            return True
        state = self._book.titles.get(title_id)
        return state is not None and self._since[title_id] > max(_GROWTH * state.version, _LEAST)

    # --- learning

    def learn(self, heard: Heard) -> None:
        """Impressions at once, rewards as they come; what titles teach each other every now and then."""
        shown = cast("Sequence[Impression]", heard.shown.records)  # it has what a learner reads of one
        members, titles = ([record.member_id for record in shown], [record.title_id for record in shown])
        impressions = list(compress(shown, self._limit.allow(members, titles, heard.shown.shown_ms).tolist()))
        self._book.learn_impressions(impressions)
        rewarded = heard.rewarded
        rewards = [
            _change(cast("Impression", record), reward, at_ms)
            for record, reward, at_ms in zip(
                rewarded.records, rewarded.reward.tolist(), rewarded.reward_ms.tolist(), strict=True
            )
        ]
        self._book.learn_rewards(rewards)
        self._book.turned.clear()
        self._since.update(record.title_id for record in impressions)
        self._since.update(record.title_id for record in rewards)
        self._learned += len(impressions)
        if self._lessons is not None:
            self._lessons.mark({record.title_id for record in impressions})
            self._lessons.mark({record.title_id for record in rewards})
            if self._learned > (1.0 + _GROWTH) * self._taught_at:
                self._teach()

    def _teach(self) -> None:
        """Work out what titles teach; publish all again if that has moved."""
        if self._lessons is None:
            return
        self._taught_at = self._learned
        columns = self._book.sums.space.columns
        before = self._taught or learn_from(together([], columns))
        while some := self._lessons.waiting(_AT_ONCE):
            self._lessons.refresh(self._book, [self._roster.titles[title_id] for title_id in some], before)
        taught = learn_from(together([self._lessons.total()] if self._learned else [], columns))
        self._taught = taught
        if self._published_by is None or taught.differs_from(self._published_by, _REPUBLISH):
            self._published_by = taught
            self._outdated.update(self._served)


def _hash_of(names: tuple[str, str]) -> int:
    """Of a member and a title, 63 bits: the same in every process."""
    member, title = names
    return crc32(member.encode()) << 31 ^ crc32(title.encode())


def _change(impression: Impression, reward: float, at_ms: int) -> RewardChange:
    """A reward as a viewing worker would have said it, all at once."""
    return RewardChange(
        impression_id=impression.impression_id,
        shown_ms=impression.shown_ms,
        credited_ms=at_ms,
        title_id=impression.title_id,
        artwork_id=impression.artwork_id,
        context=impression.context,
        policy=impression.policy,
        propensity=impression.propensity,
        credit=reward,
        reward=reward,
    )
