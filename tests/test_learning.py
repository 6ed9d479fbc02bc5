"""A partition's titles: what they learn, what they forget, and their changelog."""

from __future__ import annotations

import json
import re

import msgspec
import numpy as np
import pytest
from builders import HOUR_MS, START_MS, repeatable, some_impression, some_reward, some_settings, some_title
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.codec import encode_fields
from stream.errors import StateMismatch
from stream.learning.book import LearningRules, TitleBook
from stream.learning.gathering import gather
from stream.learning.publication import Publication

few = settings(repeatable, max_examples=25)
COLUMNS = ("bias", "comedy", "romance")
RULES = LearningRules(prior_precision=10.0, noise_precision=20.0, max_jump=1.0)

finite = st.floats(-1e6, 1e6)
impressions = st.builds(
    some_impression,
    st.integers(0, 10**6).map(str),
    shown_ms=st.integers(0, 2**40),
    title_id=st.sampled_from(["film", "series"]),
    artwork_id=st.sampled_from(["face", "kiss"]),
    context=st.dictionaries(st.sampled_from(["comedy", "romance", "unknown"]), finite),
)
rewards = st.builds(some_reward, impressions, st.floats(-1, 1), st.floats(0, 1))


def book_of(records=(), changes=(), columns=COLUMNS, rules=RULES):
    """A book that has learned some impressions and rewards."""
    book = TitleBook(columns, rules)
    book.learn_impressions(list(records))
    book.learn_rewards(list(changes))
    return book


def stored(book, title_id="film"):
    """A title's changelog record, as a mapping that can be altered."""
    return json.loads(encode_fields(book.store(title_id)))


def by_name(book, title_id):
    """What was learned of a title, whatever the order of columns and slots: S and c by feature names, counts."""
    sums, state = book.sums, book.titles[title_id]
    names = sums.space.columns
    learned = {}
    for artwork_id, slot in state.slots.items():
        gram = {
            (a, b): float(sums.gram[slot, i, j])
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if sums.gram[slot, i, j]
        }
        moment = {name: float(value) for name, value in zip(names, sums.moment[slot], strict=True) if value}
        counts = int(sums.impressions[slot]), int(sums.plays[slot]), float(sums.reward[slot])
        learned[artwork_id] = gram, moment, counts
    return learned, state.version, state.learned_through_ms


class TestChangelog:
    """State goes out and comes back."""

    @pytest.mark.parametrize(
        "columns",
        [COLUMNS, ("bias", "romance", "comedy"), ("bias", "horror", "romance", "drama"), ("bias",)],
        ids=["same columns", "another order", "other columns too", "none yet"],
    )
    @few
    @given(shown=st.lists(impressions, min_size=1, max_size=6), changes=st.lists(rewards, max_size=6))
    def test_every_bit_comes_back(self, columns, shown, changes):
        """Sums and counts are bit-equal after a restore, into whatever columns the new worker already has."""
        book, other = book_of(shown, changes), TitleBook(columns, RULES)
        for title_id in book.titles:
            assert other.restore(encode_fields(book.store(title_id))) == title_id
        assert other.sums.space.columns[: len(columns)] == columns
        assert set(other.sums.space.columns) == {*columns, *COLUMNS}
        for title_id in book.titles:
            assert by_name(other, title_id) == by_name(book, title_id)

    @few
    @given(first=st.lists(impressions, min_size=1, max_size=4), then=st.lists(impressions, min_size=1, max_size=4))
    def test_the_last_record_counts(self, first, then):
        """Restoring a title twice leaves the later state, as compaction would; learning goes on from there."""
        book, other = book_of(first), TitleBook(COLUMNS, RULES)
        early = {title_id: encode_fields(book.store(title_id)) for title_id in book.titles}
        book.learn_impressions(then)
        for value in early.values():
            other.restore(value)
        for title_id in book.titles:
            other.restore(encode_fields(book.store(title_id)))
        book.learn_impressions(first)
        other.learn_impressions(first)
        for title_id in book.titles:
            assert by_name(other, title_id) == by_name(book, title_id)

    @pytest.mark.parametrize(
        ("damage", "says"),
        [
            (lambda value: value | {"format": 2}, "holds format 2, this version reads 1"),
            (lambda value: value | {"features": ["bias", "comedy"]}, "'film' has sums of the wrong size"),
            (
                lambda value: value | {"features": ["bias", "comedy", "comedy"]},
                "'film' has sums of the wrong size",
            ),
            (lambda value: value | {"version": None}, "cannot be read"),
            (lambda value: {}, "cannot be read"),
        ],
        ids=["another format", "a column short", "a column twice", "wrong type", "empty"],
    )
    def test_what_cannot_be_trusted_is_refused(self, damage, says):
        """A record of another version, or damaged, stops the worker with a sentence, and changes nothing."""
        value = json.dumps(damage(stored(book_of([some_impression()])))).encode()
        book = TitleBook(COLUMNS, RULES)
        with pytest.raises(StateMismatch, match=re.escape(says)):
            book.restore(value)
        assert not book.titles
        assert book.sums.space.columns == COLUMNS

    @pytest.mark.parametrize("value", [b"", b"{", b'"\xff"', b'{"title_id": "\xff"}', b"null", b"\x00"])
    def test_bytes_that_are_no_record_are_refused(self, value):
        """Whatever the bytes, the error is a StateMismatch."""
        with pytest.raises(StateMismatch, match="cannot be read"):
            TitleBook(COLUMNS, RULES).restore(value)

    def test_it_is_not_the_contract_of_a_snapshot(self):
        """The changelog keeps artworks that the catalogue no longer lists; the snapshot does not."""
        book = book_of([some_impression(artwork_id="gone"), some_impression("i2")])
        assert [artwork["artwork_id"] for artwork in stored(book)["artworks"]] == ["gone", "face"]
        assert [a["artwork_id"] for a in Publication(book).snapshot(some_title(), START_MS)["artworks"]] == [
            "face",
            "kiss",
        ]


class TestLateFeature:
    """A feature that becomes a column while rewards of earlier impressions are still to come."""

    NOIR = (*COLUMNS, "noir")

    def story(self, first_ms):
        """Twenty impressions of a context with the feature, and the rewards of half of them."""
        shown = [
            some_impression(
                f"i{first_ms}-{n}", context={"comedy": 0.5, "noir": 1.0}, shown_ms=START_MS + first_ms + n
            )
            for n in range(20)
        ]
        return shown, [some_reward(one, 1.0) for one in shown[::2]]

    def expected(self):
        """The sums of the joined rows: the feature 0 in those shown before it was a column."""
        (before, early), (after, later) = self.story(0), self.story(10**8)
        blind = [msgspec.structs.replace(one, context={"comedy": 0.5}) for one in before]
        book = TitleBook(self.NOIR, RULES)
        book.learn_impressions(blind + after)
        book.learn_rewards([msgspec.structs.replace(one, context={"comedy": 0.5}) for one in early] + later)
        return by_name(book, "film")

    @pytest.mark.parametrize("restored", ["never", "with the column", "before the column", "twice"])
    def test_its_weight_is_not_made_of_rewards_alone(self, restored):
        """Sums equal those of the joined rows, also when the column comes with a restore, or before one."""
        (before, early), (after, later) = self.story(0), self.story(10**8)
        book = book_of(before)
        if restored in ("with the column", "twice"):
            value = encode_fields(book.store("film"))
            book = TitleBook(self.NOIR, RULES)
            book.restore(value)
        else:
            book.widen(self.NOIR)
        if restored in ("before the column", "twice"):
            value = encode_fields(book.store("film"))
            book = TitleBook(self.NOIR, RULES)
            book.restore(value)
        book.learn_rewards(early)
        book.learn_impressions(after)
        book.learn_rewards(later)
        assert by_name(book, "film") == self.expected()

    def test_a_title_that_begins_later_knows_it(self):
        """Titles that had learned nothing when the column came have it from their first impression on."""
        book = book_of([some_impression("other", title_id="series")])
        book.widen(self.NOIR)
        shown, earned = self.story(-(10**8))
        book.learn_impressions(shown)
        book.learn_rewards(earned)
        assert by_name(book, "film")[0]["face"][1]["noir"] == 10.0
        assert book.titles["film"].since == {}


def test_rules_are_the_settings():
    """Priors and limits come from the settings in force."""
    in_force = some_settings(prior_precision=3, noise_precision=7, max_jump=0.5)
    assert LearningRules.of(in_force) == LearningRules(3, 7, 0.5, hold=in_force.hold)


class TestForgetting:
    """Evidence fades with event time, whatever the order in which it comes."""

    DAY_MS = 24 * HOUR_MS
    FADING = LearningRules(prior_precision=10.0, noise_precision=20.0, max_jump=1.0, half_life_days=2.0)

    def shown(self, day, number):
        """An impression of that day."""
        return some_impression(f"{day}-{number}", shown_ms=START_MS + round(day * self.DAY_MS))

    def test_an_impression_weighs_half_after_a_half_life(self):
        """As of the latest event; counts stay what they are."""
        book = book_of([self.shown(0, 0), self.shown(0, 1), self.shown(2, 0)], rules=self.FADING)
        sums = gather(book, [some_title()])
        assert sums.gram[0, 0, 0] == pytest.approx(2 * 0.5 + 1.0)
        assert book.sums.impressions[:1].tolist() == [3]

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_order_and_batches_change_nothing(self, seed):
        """Weeks of impressions and rewards, shuffled and cut at random: the same snapshot within 1e-9."""
        rng = np.random.default_rng(seed)
        shown = [self.shown(float(rng.uniform(0, 40)), i) for i in range(200)]
        rewards = [some_reward(impression, 1.0) for impression in shown[::5]]
        one = book_of(shown, rewards, rules=self.FADING)
        other = TitleBook(COLUMNS, self.FADING)
        for part in np.array_split(rng.permutation(len(rewards)), 6):
            other.learn_rewards([rewards[i] for i in part])
        for part in np.array_split(rng.permutation(len(shown)), 9):
            other.learn_impressions([shown[i] for i in part])
        for left, right in zip(
            Publication(one).snapshot(some_title(), 0)["artworks"],
            Publication(other).snapshot(some_title(), 0)["artworks"],
            strict=True,
        ):
            np.testing.assert_allclose(left["mean"], right["mean"], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(left["factor"], right["factor"], rtol=1e-9, atol=1e-12)
            assert left["impressions"] == right["impressions"]

    def test_a_restart_forgets_nothing_more(self):
        """What comes back from the changelog goes on as if there had been no stop."""
        before, after = [self.shown(d, 0) for d in (0, 1, 5)], [self.shown(d, 1) for d in (3, 9)]
        book = book_of(before, rules=self.FADING)
        restored = TitleBook(COLUMNS, self.FADING)
        restored.restore(encode_fields(book.store("film")))
        for each in (book, restored):
            each.learn_impressions(after)
        np.testing.assert_array_equal(
            gather(book, [some_title()]).gram[0], gather(restored, [some_title()]).gram[0]
        )

    def test_forgetting_may_begin_at_any_time(self):
        """Sums that were kept in full do not vanish when a half-life is set: they fade from then on."""
        full = book_of([self.shown(0, i) for i in range(8)])
        fading = TitleBook(COLUMNS, self.FADING)
        fading.restore(encode_fields(full.store("film")))
        fading.learn_impressions([self.shown(2, 0)])
        weight = gather(fading, [some_title()]).gram[0, 0, 0]
        assert weight == pytest.approx(1.0 + 8 * 0.5)

    def test_what_was_forgotten_cannot_be_called_back(self):
        """A learner told to remember everything refuses sums that have faded."""
        book = book_of([self.shown(0, 0)], rules=self.FADING)
        with pytest.raises(StateMismatch, match="half_life_days"):
            TitleBook(COLUMNS, RULES).restore(encode_fields(book.store("film")))
