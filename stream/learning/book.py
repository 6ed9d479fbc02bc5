"""What a learner knows of one partition's titles: pure logic, no clock and no Kafka."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.errors import StateMismatch
from stream.learning.drift import KEPT, RewardWatch
from stream.learning.posterior import pack, unpack_symmetric
from stream.learning.stored import FORMAT, StoredTitle
from stream.learning.sums import ArtworkSums
from stream.learning.title_state import TitleState
from stream.worth.policies import PolicySums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.records import Impression, RewardChange
    from stream.settings import Settings

    Floats = NDArray[np.float64]
    Slots = NDArray[np.intp]

_DAY_MS = 24 * 60 * 60 * 1000
#: So many turns of a title's reward are remembered; before them is next to nothing left.
_MAX_LAPSES = 8


@dataclass(frozen=True, slots=True)
class LearningRules:
    """The settings that decide what is made of the sums.

    ``prior_precision`` and ``noise_precision`` hold where titles do not share a prior; ``half_life_days`` 0 never
    forgets; ``hold`` 0 lets choices follow every change of the evidence; ``drift_detection`` makes a busy title
    whose reward turns forget at once.
    """

    prior_precision: float
    noise_precision: float
    max_jump: float
    half_life_days: float = 0.0
    hold: float = 0.0
    drift_detection: bool = False

    @classmethod
    def of(cls, settings: Settings) -> LearningRules:
        """From the settings in force."""
        return cls(
            settings.prior_precision,
            settings.noise_precision,
            settings.max_jump,
            settings.half_life_days,
            settings.hold,
            settings.drift_detection,
        )


class TitleBook:
    """The titles of one partition.

    Parameters
    ----------
    columns
        The features to learn from; ``bias`` first.
    rules
        Priors and limits.

    Attributes
    ----------
    turned
        Titles whose reward was seen to turn, until somebody takes them off the list.
    """

    def __init__(self, columns: Sequence[str], rules: LearningRules) -> None:
        self.sums = ArtworkSums(columns)
        self.policies = PolicySums()
        self.rules = rules
        self.titles: dict[str, TitleState] = {}
        self._ids: list[str] = []  # by place
        self.turned: list[str] = []
        self._slot_of: dict[tuple[str, str], int] = {}
        self._half_life_ms = round(rules.half_life_days * _DAY_MS)
        self._watches: defaultdict[str, RewardWatch] = defaultdict(RewardWatch)
        self._watch_all = RewardWatch()
        self._rewarded_through_ms = 0
        self._have_lapsed = False  # any of the titles

    def knows(self, title_id: str, artwork_id: str) -> bool:
        """Whether anything was learned of this artwork."""
        return (title_id, artwork_id) in self._slot_of

    def widen(self, columns: Sequence[str]) -> None:
        """Append features; those there are keep their places."""
        new = columns[len(self.sums.space) :]
        if new:
            self.sums.widen(columns)
            for state in self.titles.values():
                state.since |= dict.fromkeys(new, state.learned_through_ms)

    # --- learning

    def learn_impressions(self, impressions: Sequence[Impression], slots: Slots | None = None) -> int:
        """Count n impressions; returns how many of their features were unknown.

        Parameters
        ----------
        impressions
            The records.
        slots
            What :meth:`settled` says of them, if that is known already.
        """
        if slots is None:
            slots = self.settled(impressions)
        contexts = [record.context for record in impressions]
        unknown = self.sums.learn_impressions(slots, contexts, self._weights(impressions))
        self.policies.learn_impressions(slots, impressions)
        self._advance(slots, [record.shown_ms for record in impressions])
        if self.rules.drift_detection:
            for record in impressions:
                self._watches[record.title_id].shown(record.shown_ms)
                self._watch_all.shown(record.shown_ms)
            self._watch(record.title_id for record in impressions)
        return unknown

    def learn_rewards(self, rewards: Sequence[RewardChange], slots: Slots | None = None) -> None:
        """Credit n impressions; a reward weighs as much as its impression. Parameters as above."""
        if slots is None:
            slots = self.settled(rewards)
        credits_ = np.fromiter((record.credit for record in rewards), dtype=np.float64, count=len(rewards))
        totals = np.fromiter((record.reward for record in rewards), dtype=np.float64, count=len(rewards))
        contexts = [self.titles[record.title_id].context(record) for record in rewards]
        self.sums.learn_rewards(slots, contexts, credits_, totals, self._weights(rewards))
        self.policies.learn_rewards(slots, rewards, credits_, totals)
        self._advance(slots, [record.credited_ms for record in rewards])
        if self.rules.drift_detection:
            for record in rewards:
                self._watches[record.title_id].rewarded(record.shown_ms, record.credit)
                self._watch_all.rewarded(record.shown_ms, record.credit)
                self._rewarded_through_ms = max(self._rewarded_through_ms, record.credited_ms)
            self._watch(record.title_id for record in rewards)

    def _advance(self, slots: Slots, times_ms: Sequence[int]) -> None:
        """One version more for a title with each of its records, and as far as the latest of them."""
        places = self.policies.places(slots)
        counts = np.bincount(places)
        latest = np.zeros(len(counts), dtype=np.int64)
        np.maximum.at(latest, places, np.array(times_ms, dtype=np.int64))
        touched = np.flatnonzero(counts)
        for place, count, ms in zip(
            touched.tolist(), counts[touched].tolist(), latest[touched].tolist(), strict=True
        ):
            state = self.titles[self._ids[place]]
            state.version += count
            state.learned_through_ms = max(state.learned_through_ms, ms)

    def titles_at(self, slots: Slots) -> list[str]:
        """Whose artworks are at these slots, each title once."""
        return [self._ids[place] for place in np.unique(self.policies.places(slots)).tolist()]

    def _watch(self, title_ids: Iterable[str]) -> None:
        """Let titles whose reward has turned forget most of what they learned: one of them, or all together.

        Hours are judged by the rewards that have been read: a learner may be ahead with its impressions, or the
        viewing worker behind, and that is no turn.
        """
        if self._watch_all.turned(self._rewarded_through_ms):
            self._lapse(self.titles)
            return
        named = dict.fromkeys(title_ids)
        self._lapse([title_id for title_id in named if self._watches[title_id].turned(self._rewarded_through_ms)])

    def _lapse(self, title_ids: Iterable[str]) -> None:
        for title_id in title_ids:
            state = self.titles[title_id]
            if state.lapses and state.learned_through_ms - state.lapses[-1][0] < _DAY_MS:
                continue  # the same turn, seen a second time
            self.sums.fade(np.fromiter(state.slots.values(), dtype=np.intp), KEPT)
            self._have_lapsed = True
            state.lapses = [*state.lapses, (state.learned_through_ms, KEPT)][-_MAX_LAPSES:]
            self.turned.append(title_id)

    def slots(self, titles: Sequence[str], artworks: Sequence[str]) -> Slots:
        """Where the sums of n artworks are, shape (n,); -1: nothing was learned of it."""
        found = map(self._slot_of.get, zip(titles, artworks, strict=True), repeat(-1))
        return np.fromiter(found, dtype=np.intp, count=len(titles))

    def settled(self, records: Sequence[Impression] | Sequence[RewardChange], slots: Slots | None = None) -> Slots:
        """What :meth:`slots` says of them, if that is not given, with room made for new ones."""
        if slots is None:
            slots = self.slots([record.title_id for record in records], [record.artwork_id for record in records])
        else:
            slots = slots.copy()
        for i in np.flatnonzero(slots < 0).tolist():
            slots[i] = self._slot(records[i].title_id, records[i].artwork_id)
        return slots

    def _slot(self, title_id: str, artwork_id: str) -> int:
        state = self.titles.get(title_id)
        if state is None:
            state = self._new_title(title_id)
        slot = state.slots.get(artwork_id)
        if slot is None:
            slot = self.sums.new_slot()
            state.slots[artwork_id] = self._slot_of[title_id, artwork_id] = slot
            self.policies.put_slot(slot, state.place)
        return slot

    def _new_title(self, title_id: str) -> TitleState:
        state = self.titles[title_id] = TitleState({}, place=self.policies.new_place())
        self._ids.append(title_id)
        return state

    def _weights(self, records: Sequence[Impression] | Sequence[RewardChange]) -> Floats | None:
        """How much of each impression is remembered, relative to its title's ``weighed_ms``; None: everything."""
        faded = self._faded(records)
        if not self._have_lapsed:
            return faded
        left = np.fromiter(
            (self.titles[record.title_id].remembered(record.shown_ms) for record in records),
            dtype=np.float64,
            count=len(records),
        )
        return left if faded is None else faded * left

    def _faded(self, records: Sequence[Impression] | Sequence[RewardChange]) -> Floats | None:
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

    def fade(self, state: TitleState) -> float:
        """What the sums have to be multiplied by to be those as of the title's ``learned_through_ms``."""
        if not self._half_life_ms:
            return 1.0
        return float(2.0 ** ((state.weighed_ms - state.learned_through_ms) / self._half_life_ms))

    def counts(self, artwork_id: str, slot: int | None) -> dict[str, Any]:
        """The exact counts of an artwork; None: it was never learned of."""
        sums = self.sums
        return {
            "artwork_id": artwork_id,
            "impressions": 0 if slot is None else int(sums.impressions[slot]),
            "plays": 0 if slot is None else int(sums.plays[slot]),
            "reward": 0.0 if slot is None else float(sums.reward[slot]),
        }

    # --- the changelog

    def store(self, title_id: str) -> dict[str, Any]:
        """A title as its changelog record's fields, see :class:`~stream.learning.stored.StoredTitle`."""
        state, sums = self.titles[title_id], self.sums
        return {
            "format": FORMAT,
            "title_id": title_id,
            "version": state.version,
            "learned_through_ms": state.learned_through_ms,
            "features": sums.space.columns,
            "since": state.since,
            "weighed_ms": state.weighed_ms,
            "lapses": state.lapses,
            "artworks": [
                self.counts(artwork_id, slot)
                | {
                    "gram": pack(sums.gram[slot]),
                    "moment": sums.moment[slot],
                    "shows": state.shows.get(artwork_id, {}),
                }
                for artwork_id, slot in state.slots.items()
            ],
            "held": state.held,
            "policies": self.policies.fields(state.place),
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
        columns = np.array([self.sums.space.columns.index(name) for name in stored.features], dtype=np.intp)
        state = self.titles.get(stored.title_id)
        if state is None:
            state = self._new_title(stored.title_id)
        self._put_sums(state, stored, columns)
        self.policies.put(state.place, stored.policies)
        state.shows = {artwork.artwork_id: artwork.shows for artwork in stored.artworks if artwork.shows}
        state.lapses = stored.lapses
        self._have_lapsed |= bool(stored.lapses)
        state.held = self._rearranged(stored.held, columns)
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

    def _put_sums(self, state: TitleState, stored: StoredTitle, columns: Slots) -> None:
        """Put the sums of a title's artworks where they belong, with room made for new ones."""
        artworks, d, sums = stored.artworks, len(columns), self.sums
        if not artworks:
            return
        slots = np.array([self._slot(stored.title_id, artwork.artwork_id) for artwork in artworks], dtype=np.intp)
        packed = _floats([artwork.gram for artwork in artworks], d * (d + 1) // 2)
        moment = _floats([artwork.moment for artwork in artworks], d)
        sums.put(slots, columns, unpack_symmetric(packed, d), moment)
        sums.impressions[slots] = [artwork.impressions for artwork in artworks]
        sums.plays[slots] = [artwork.plays for artwork in artworks]
        sums.reward[slots] = [artwork.reward for artwork in artworks]

    def _rearranged(self, rows: Mapping[str, Sequence[float]], columns: Slots) -> dict[str, Floats]:
        """Vectors by name, their elements put into these columns; those of the wrong length are left out."""
        fitting = {name: row for name, row in rows.items() if len(row) == len(columns)}
        found = np.zeros((len(fitting), len(self.sums.space)))
        found[:, columns] = _floats(list(fitting.values()), len(columns))
        return dict(zip(fitting, found, strict=True))


def _floats(rows: Sequence[Sequence[float]], width: int) -> Floats:
    """Rows of one width as an array; quicker than NumPy finds out that they are."""
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.float64, count=len(rows) * width)
    return flat.reshape(len(rows), width)


def _united(columns: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """The columns, and those of ``more`` that are not among them."""
    return (*columns, *(name for name in more if name not in columns))
