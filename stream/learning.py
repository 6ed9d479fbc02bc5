"""What a learner knows of one partition's titles, and what it makes of it: pure logic, no clock and no Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.errors import StateMismatch
from stream.features import CAST
from stream.posterior import pack, solve, unpack_symmetric
from stream.prior import TitleSums, independent, priors
from stream.soundness import SoundnessGate, Unsound
from stream.stored import FORMAT, StoredTitle
from stream.sums import ArtworkSums

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from stream.prior import Taught
    from stream.records import Context, Impression, RewardChange, Title
    from stream.settings import Settings

    Floats = NDArray[np.float64]

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class LearningRules:
    """The settings that decide what is made of the sums.

    ``prior_precision`` and ``noise_precision`` hold where titles do not share a prior; ``half_life_days`` 0 never
    forgets.
    """

    prior_precision: float
    noise_precision: float
    max_jump: float
    half_life_days: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> LearningRules:
        """From the settings in force."""
        return cls(settings.prior_precision, settings.noise_precision, settings.max_jump, settings.half_life_days)


@dataclass(slots=True)
class TitleState:
    """Where a title's sums are, and how far it has come.

    ``since`` holds, for each feature that became a column after the title had begun to learn, how far it had come.
    Impressions up to then are in S without the feature, so their rewards must be in c without it too: c alone
    would say that the feature is rewarded and was never shown.

    ``weighed_ms`` is the moment whose impressions weigh 1 in the sums: a whole number of half-lives, so that
    moving it on scales the sums by a power of two, which loses nothing.
    """

    slots: dict[str, int]
    version: int = 0
    learned_through_ms: int = 0
    since: dict[str, int] = field(default_factory=dict)
    weighed_ms: int = 0

    def context(self, record: RewardChange) -> Context:
        """What the impression of a reward was learned with."""
        if not self.since:
            return record.context
        since, shown_ms = self.since, record.shown_ms
        return {name: value for name, value in record.context.items() if shown_ms > since.get(name, -1)}


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
        self._half_life_ms = round(rules.half_life_days * _DAY_MS)
        self._gate = SoundnessGate(rules.max_jump)

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
        contexts = [record.context for record in impressions]
        unknown = self.sums.learn_impressions(slots, contexts, self._weights(impressions))
        for record in impressions:
            state = self.titles[record.title_id]
            state.version += 1
            state.learned_through_ms = max(state.learned_through_ms, record.shown_ms)
        return unknown

    def learn_rewards(self, rewards: Sequence[RewardChange]) -> None:
        """Credit impressions; a reward weighs as much as its impression."""
        slots = self._slots(rewards)
        credits_ = np.fromiter((record.credit for record in rewards), dtype=np.float64, count=len(rewards))
        totals = np.fromiter((record.reward for record in rewards), dtype=np.float64, count=len(rewards))
        contexts = [self.titles[record.title_id].context(record) for record in rewards]
        self.sums.learn_rewards(slots, contexts, credits_, totals, self._weights(rewards))
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

    def _weights(self, records: Sequence[Impression] | Sequence[RewardChange]) -> Floats | None:
        """How much of each impression is remembered, relative to its title's ``weighed_ms``; None: everything."""
        half_life_ms = self._half_life_ms
        if not half_life_ms:
            return None
        for record in records:
            state = self.titles[record.title_id]
            steps = (record.shown_ms - state.weighed_ms) // half_life_ms
            if steps > 0:
                self.sums.fade(np.fromiter(state.slots.values(), dtype=np.intp), 2.0**-steps)
                state.weighed_ms += steps * half_life_ms
        ages = np.fromiter(
            (record.shown_ms - self.titles[record.title_id].weighed_ms for record in records),
            dtype=np.float64,
            count=len(records),
        )
        return np.exp2(ages / half_life_ms)

    # --- the changelog

    def store(self, title_id: str) -> dict[str, Any]:
        """A title as its changelog record's fields, see :class:`~stream.stored.StoredTitle`."""
        state, sums = self.titles[title_id], self.sums
        return {
            "format": FORMAT,
            "title_id": title_id,
            "version": state.version,
            "learned_through_ms": state.learned_through_ms,
            "features": sums.space.columns,
            "since": state.since,
            "weighed_ms": state.weighed_ms,
            "artworks": [
                self._counts(artwork_id, slot) | {"gram": pack(sums.gram[slot]), "moment": sums.moment[slot]}
                for artwork_id, slot in state.slots.items()
            ],
        }

    def restore(self, value: bytes) -> str:
        """Take a title from its changelog record; returns its id. A later record replaces an earlier one.

        Raises
        ------
        StateMismatch
            Another version of Keyart wrote it, or it is damaged, or it forgets at another pace.
        """
        stored = StoredTitle.read(value)
        if stored.weighed_ms and not self._half_life_ms:
            raise StateMismatch(
                f"title {stored.title_id!r} was learned with forgetting, and half_life_days is 0 now: what is "
                "forgotten cannot come back; set it as before, or learn anew from an empty changelog"
            )
        self.widen(_united(self.sums.space.columns, stored.features))
        columns = [self.sums.space.columns.index(name) for name in stored.features]
        for artwork in stored.artworks:
            slot = self._slot(stored.title_id, artwork.artwork_id)
            gram = unpack_symmetric(np.array(artwork.gram), len(columns))
            self.sums.gram[slot] = 0.0
            self.sums.gram[slot][np.ix_(columns, columns)] = gram
            self.sums.moment[slot] = 0.0
            self.sums.moment[slot, columns] = artwork.moment
            self.sums.impressions[slot] = artwork.impressions
            self.sums.plays[slot] = artwork.plays
            self.sums.reward[slot] = artwork.reward
        state = self.titles.setdefault(stored.title_id, TitleState({}))
        state.version, state.learned_through_ms = stored.version, stored.learned_through_ms
        state.weighed_ms = stored.weighed_ms
        if self._half_life_ms and not stored.weighed_ms:  # remembered in full so far: fading begins now
            steps, rest = divmod(stored.learned_through_ms, self._half_life_ms)
            state.weighed_ms = steps * self._half_life_ms
            slots = np.fromiter(state.slots.values(), dtype=np.intp)
            self.sums.fade(slots, 2.0 ** (rest / self._half_life_ms))
        late = [name for name in self.sums.space.columns if name not in stored.features]
        state.since = stored.since | dict.fromkeys(late, stored.learned_through_ms)
        return stored.title_id

    # --- publishing

    def gather(self, titles: Sequence[Title]) -> TitleSums:
        """The sums of the artworks that the catalogue lists, as of each title's ``learned_through_ms``."""
        sums, d = self.sums, len(self.sums.space)
        count = sum(len(title.artworks) for title in titles)
        gram, moment, tags = np.zeros((count, d, d)), np.zeros((count, d)), np.zeros((count, d))
        starts = np.zeros(len(titles), dtype=np.intp)
        index = {name: i for i, name in enumerate(sums.space.columns) if i}
        here, slots, fades = [], [], []
        row = 0
        for number, title in enumerate(titles):
            starts[number] = row
            state = self.titles.get(title.title_id)
            for artwork in title.artworks:
                if CAST in index:
                    tags[row, index[CAST]] = 1.0  # the feature is about what this artwork shows already
                for theme, weight in artwork.themes.items():
                    if theme in index:
                        tags[row, index[theme]] = weight
                slot = None if state is None else state.slots.get(artwork.artwork_id)
                # A reward may overtake its impression (a learner that catches up reads one topic ahead of the
                # other). Until it comes there are rewards for what was never shown: the prior is what can be said.
                if state is not None and slot is not None and sums.plays[slot] <= sums.impressions[slot]:
                    here.append(row)
                    slots.append(slot)
                    fades.append(state.weighed_ms - state.learned_through_ms if self._half_life_ms else 0)
                row += 1
        gram[here], moment[here] = sums.gram[slots], sums.moment[slots]
        if self._half_life_ms and here:
            fade = np.exp2(np.array(fades) / self._half_life_ms)
            gram[here] *= fade[:, None, None]
            moment[here] *= fade[:, None]
        return TitleSums(gram, moment, tags, starts)

    def snapshots(
        self, titles: Sequence[Title], published_ms: int, taught: Taught | None = None
    ) -> Iterator[tuple[Title, dict[str, Any] | Unsound]]:
        """Each title's snapshot record's fields: the posterior of every artwork that the catalogue lists.

        Parameters
        ----------
        titles
            Which.
        published_ms
            When.
        taught
            What the catalogue teaches, for this book's columns; None: every artwork learns by itself.

        Yields
        ------
        Each title with its snapshot, or with the reason for which the last one should stay: the posterior is not
        finite, not positive definite, or has jumped.
        """
        if not titles:
            return
        sums, rules = self.gather(titles), self.rules
        if taught is None:
            start = independent(sums, rules.prior_precision, rules.noise_precision)
        else:
            start = priors(sums, taught)
        of = sums.title_of
        try:
            mean, factor = solve(
                sums.gram, sums.moment, start.prior_precision[of], start.noise_precision[of], start.prior_mean
            )
        except np.linalg.LinAlgError:
            if len(titles) > 1:  # one of them; the others are sound
                for title in titles:
                    yield from self.snapshots([title], published_ms, taught)
            else:
                yield titles[0], Unsound("not positive definite")
            return
        ends = np.append(sums.starts[1:], len(mean))
        for number, title in enumerate(titles):
            part = slice(sums.starts[number], ends[number])
            try:
                self._gate.check(title, sums.gram[part], mean[part], factor[part])
            except Unsound as reason:
                yield title, reason
                continue
            model = {
                "prior_precision": start.prior_precision[number],
                "noise_precision": float(start.noise_precision[number]),
                "half_life_days": rules.half_life_days or None,
            }
            rows = zip(start.prior_mean[part], mean[part], pack(factor[part]), strict=True)
            yield (
                title,
                self._snapshot(title, published_ms) | {"model": model, "artworks": self._artworks(title, rows)},
            )

    def snapshot(self, title: Title, published_ms: int, taught: Taught | None = None) -> dict[str, Any]:
        """One title's snapshot record's fields.

        Raises
        ------
        Unsound
            The last one should stay.
        """
        ((_, found),) = self.snapshots([title], published_ms, taught)
        if isinstance(found, Unsound):
            raise found
        return found

    def _snapshot(self, title: Title, published_ms: int) -> dict[str, Any]:
        state = self.titles.get(title.title_id, TitleState({}))
        return {
            "title_id": title.title_id,
            "version": state.version,
            "published_ms": published_ms,
            "learned_through_ms": state.learned_through_ms,
            "features": self.sums.space.columns,
        }

    def _artworks(self, title: Title, rows: Iterable[tuple[Floats, Floats, Floats]]) -> list[dict[str, Any]]:
        """Of each artwork its counts, prior mean, mean and packed factor."""
        slots = self.titles.get(title.title_id, TitleState({})).slots
        found = []
        for artwork, (prior_mean, mean, factor) in zip(title.artworks, rows, strict=True):
            fields = self._counts(artwork.artwork_id, slots.get(artwork.artwork_id))
            if artwork.canvas is not None:
                fields["canvas"] = artwork.canvas
            found.append(fields | {"prior_mean": prior_mean, "mean": mean, "factor": np.ascontiguousarray(factor)})
        return found

    def _counts(self, artwork_id: str, slot: int | None) -> dict[str, Any]:
        sums = self.sums
        return {
            "artwork_id": artwork_id,
            "impressions": 0 if slot is None else int(sums.impressions[slot]),
            "plays": 0 if slot is None else int(sums.plays[slot]),
            "reward": 0.0 if slot is None else float(sums.reward[slot]),
        }


def _united(columns: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """The columns, and those of ``more`` that are not among them."""
    return (*columns, *(name for name in more if name not in columns))
