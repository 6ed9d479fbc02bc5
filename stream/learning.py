"""What a learner knows of one partition's titles, and what it makes of it: pure logic, no clock and no Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from stream.errors import StateMismatch
from stream.posterior import pack, solve, unpack_symmetric
from stream.sums import ArtworkSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.records import Artwork, Context, Impression, RewardChange, Title
    from stream.settings import Settings

    Floats = NDArray[np.float64]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class LearningRules:
    """The settings that decide what is made of the sums."""

    prior_precision: float
    noise_precision: float
    max_jump: float

    @classmethod
    def of(cls, settings: Settings) -> LearningRules:
        """From the settings in force."""
        return cls(settings.prior_precision, settings.noise_precision, settings.max_jump)


class StoredArtwork(Struct):
    """An artwork's sums in the changelog: S packed (lower triangle, row by row), c, and the exact counts."""

    artwork_id: str
    impressions: int
    plays: int
    reward: float
    gram: list[float]
    moment: list[float]


class StoredTitle(Struct):
    """A title in the changelog; ``since`` is that of :class:`TitleState`."""

    format: int
    title_id: str
    version: int
    learned_through_ms: int
    features: list[str]
    artworks: list[StoredArtwork]
    since: dict[str, int] = {}


@dataclass(slots=True)
class TitleState:
    """Where a title's sums are, and how far it has come.

    ``since`` holds, for each feature that became a column after the title had begun to learn, how far it had come.
    Impressions up to then are in S without the feature, so their rewards must be in c without it too: c alone
    would say that the feature is rewarded and was never shown.
    """

    slots: dict[str, int]
    version: int = 0
    learned_through_ms: int = 0
    since: dict[str, int] = field(default_factory=dict)

    def context(self, record: RewardChange) -> Context:
        """What the impression of a reward was learned with."""
        if not self.since:
            return record.context
        since, shown_ms = self.since, record.shown_ms
        return {name: value for name, value in record.context.items() if shown_ms > since.get(name, -1)}


class Unsound(Exception):
    """A posterior must not be published; the message says why."""


class TitleBook:
    """The titles of one partition: sums in, snapshots out.

    Parameters
    ----------
    columns
        The features to learn from; ``bias`` first.
    rules
        Priors and limits.
    """

    def __init__(self, columns: Sequence[str], rules: LearningRules) -> None:
        self.sums = ArtworkSums(columns)
        self.rules = rules
        self.titles: dict[str, TitleState] = {}
        self._published: dict[str, tuple[tuple[str, ...], Floats, Floats]] = {}

    def knows(self, title_id: str, artwork_id: str) -> bool:
        """Whether anything was learned of this artwork."""
        state = self.titles.get(title_id)
        return state is not None and artwork_id in state.slots

    def widen(self, columns: Sequence[str]) -> None:
        """Append features; those there are keep their places."""
        new = columns[len(self.sums.space) :]
        if new:
            self.sums.widen(columns)
            for state in self.titles.values():
                state.since |= dict.fromkeys(new, state.learned_through_ms)

    # --- learning

    def learn_impressions(self, impressions: Sequence[Impression]) -> int:
        """Count impressions; returns how many of their features were unknown."""
        slots = self._slots(impressions)
        unknown = self.sums.learn_impressions(slots, [record.context for record in impressions])
        for record in impressions:
            state = self.titles[record.title_id]
            state.version += 1
            state.learned_through_ms = max(state.learned_through_ms, record.shown_ms)
        return unknown

    def learn_rewards(self, rewards: Sequence[RewardChange]) -> None:
        """Credit impressions."""
        slots = self._slots(rewards)
        credits_ = np.fromiter((record.credit for record in rewards), dtype=np.float64, count=len(rewards))
        totals = np.fromiter((record.reward for record in rewards), dtype=np.float64, count=len(rewards))
        contexts = [self.titles[record.title_id].context(record) for record in rewards]
        self.sums.learn_rewards(slots, contexts, credits_, totals)
        for record in rewards:
            state = self.titles[record.title_id]
            state.version += 1
            state.learned_through_ms = max(state.learned_through_ms, record.credited_ms)

    def _slots(self, records: Sequence[Impression] | Sequence[RewardChange]) -> NDArray[np.intp]:
        return np.fromiter(
            (self._slot(record.title_id, record.artwork_id) for record in records),
            dtype=np.intp,
            count=len(records),
        )

    def _slot(self, title_id: str, artwork_id: str) -> int:
        state = self.titles.get(title_id)
        if state is None:
            state = self.titles[title_id] = TitleState({})
        slot = state.slots.get(artwork_id)
        if slot is None:
            slot = state.slots[artwork_id] = self.sums.new_slot()
        return slot

    # --- the changelog

    def store(self, title_id: str) -> dict[str, Any]:
        """A title as its changelog record's fields."""
        state, sums = self.titles[title_id], self.sums
        return {
            "format": FORMAT,
            "title_id": title_id,
            "version": state.version,
            "learned_through_ms": state.learned_through_ms,
            "features": sums.space.columns,
            "since": state.since,
            "artworks": [
                {
                    "artwork_id": artwork_id,
                    "impressions": int(sums.impressions[slot]),
                    "plays": int(sums.plays[slot]),
                    "reward": float(sums.reward[slot]),
                    "gram": pack(sums.gram[slot]),
                    "moment": sums.moment[slot],
                }
                for artwork_id, slot in state.slots.items()
            ],
        }

    def restore(self, value: bytes) -> str:
        """Take a title from its changelog record; returns its id. A later record replaces an earlier one.

        Raises
        ------
        StateMismatch
            Another version of Keyart wrote it, or it is damaged.
        """
        try:
            stored = msgspec.json.decode(value, type=StoredTitle)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateMismatch(f"a record of the learner's changelog cannot be read: {error}") from error
        if stored.format != FORMAT:
            raise StateMismatch(
                f"the learner's changelog holds format {stored.format}, this version reads {FORMAT}: "
                "run the version that wrote it"
            )
        d = len(stored.features)
        if len(set(stored.features)) < d or any(
            (len(artwork.gram), len(artwork.moment)) != (d * (d + 1) // 2, d) for artwork in stored.artworks
        ):
            raise StateMismatch(
                f"the learner's changelog record of title {stored.title_id!r} has sums of the wrong size"
            )
        self.widen(_united(self.sums.space.columns, stored.features))
        columns = [self.sums.space.columns.index(name) for name in stored.features]
        for artwork in stored.artworks:
            slot = self._slot(stored.title_id, artwork.artwork_id)
            gram = unpack_symmetric(np.array(artwork.gram), d)
            self.sums.gram[slot] = 0.0
            self.sums.gram[slot][np.ix_(columns, columns)] = gram
            self.sums.moment[slot] = 0.0
            self.sums.moment[slot, columns] = artwork.moment
            self.sums.impressions[slot] = artwork.impressions
            self.sums.plays[slot] = artwork.plays
            self.sums.reward[slot] = artwork.reward
        state = self.titles.setdefault(stored.title_id, TitleState({}))
        state.version, state.learned_through_ms = stored.version, stored.learned_through_ms
        late = [name for name in self.sums.space.columns if name not in stored.features]
        state.since = stored.since | dict.fromkeys(late, stored.learned_through_ms)
        return stored.title_id

    # --- publishing

    def snapshot(self, title: Title, published_ms: int) -> dict[str, Any]:
        """A title's snapshot record's fields: the posterior of each artwork that the catalogue lists.

        Raises
        ------
        Unsound
            The posterior is not finite, not positive definite, or has jumped: the last one should stay.
        """
        state = self.titles.get(title.title_id, TitleState({}))
        sums, rules, d = self.sums, self.rules, len(self.sums.space)
        slots = [state.slots.get(artwork.artwork_id) for artwork in title.artworks]
        gram, moment = np.zeros((len(slots), d, d)), np.zeros((len(slots), d))
        for i, slot in enumerate(slots):
            # A reward may overtake its impression (a learner that catches up reads one topic ahead of the other).
            # Until it comes there are rewards for what was never shown: the prior is what can be said.
            if slot is not None and sums.plays[slot] <= sums.impressions[slot]:
                gram[i], moment[i] = sums.gram[slot], sums.moment[slot]
        prior_precision, prior_mean = np.full(d, rules.prior_precision), np.zeros(d)
        try:
            mean, factor = solve(gram, moment, prior_precision, rules.noise_precision, prior_mean)
        except np.linalg.LinAlgError:
            raise Unsound("not positive definite") from None
        self._check(title, gram, mean, factor)
        return {
            "title_id": title.title_id,
            "version": state.version,
            "published_ms": published_ms,
            "learned_through_ms": state.learned_through_ms,
            "features": sums.space.columns,
            "model": {
                "prior_precision": prior_precision,
                "noise_precision": rules.noise_precision,
                "half_life_days": None,
            },
            "artworks": [
                self._artwork(artwork, slot, prior_mean, mean[i], pack(factor[i]))
                for i, (artwork, slot) in enumerate(zip(title.artworks, slots, strict=True))
            ],
        }

    def _artwork(
        self, artwork: Artwork, slot: int | None, prior_mean: Floats, mean: Floats, factor: Floats
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {"artwork_id": artwork.artwork_id}
        if artwork.canvas is not None:
            fields["canvas"] = artwork.canvas
        sums = self.sums
        return fields | {
            "impressions": 0 if slot is None else int(sums.impressions[slot]),
            "plays": 0 if slot is None else int(sums.plays[slot]),
            "reward": 0.0 if slot is None else float(sums.reward[slot]),
            "prior_mean": prior_mean,
            "mean": mean,
            "factor": factor,
        }

    def _check(self, title: Title, gram: Floats, mean: Floats, factor: Floats) -> None:
        """Refuse what would mislead every serving node; remember what passes."""
        if not (np.isfinite(mean).all() and np.isfinite(factor).all()):
            raise Unsound("not finite")
        ids = tuple(artwork.artwork_id for artwork in title.artworks)
        count = np.maximum(gram[:, 0, 0], 1.0)
        typical = gram[:, 0, :] / count[:, None]  # the mean context each artwork was shown in
        expected = np.einsum("kd,kd->k", typical, mean)
        before = self._published.get(title.title_id)
        if before is not None and before[0] == ids and before[1].shape == mean.shape:
            moved = np.abs(expected - np.einsum("kd,kd->k", typical, before[1]))
            moved[gram[:, 0, 0] > 2.0 * before[2]] = 0.0  # more was learned since than before: it may move
            if moved.max() > self.rules.max_jump:
                worst = ids[int(np.argmax(moved))]
                raise Unsound(f"the expected reward of artwork {worst!r} moved by {moved.max():.3g}")
        self._published[title.title_id] = (ids, mean, gram[:, 0, 0].copy())


def _united(columns: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """The columns, and those of ``more`` that are not among them."""
    return (*columns, *(name for name in more if name not in columns))
