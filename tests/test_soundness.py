"""What may be published: an unsound posterior stays where it is, before a restart and after it."""

from __future__ import annotations

import numpy as np
import pytest
from builders import some_impression, some_reward, some_title

from stream.codec import encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.publication import Publication
from stream.learning.soundness import SoundnessGate, Unsound

COLUMNS = ("bias", "comedy")
TITLE = some_title()
GRAM = np.array([np.diag([10.0, 5.0])] * 2)
MEAN = np.array([[0.2, 0.1], [0.3, 0.0]])
FACTOR = np.array([np.eye(2)] * 2)


class TestGate:
    """One title, posterior after posterior."""

    def test_small_steps_pass_however_far_they_lead(self):
        """Each is compared with the one that passed before it."""
        gate = SoundnessGate(0.3)
        for step in range(20):
            gate.check(TITLE, GRAM, MEAN + 0.25 * step, FACTOR)

    @pytest.mark.parametrize(("step", "passes"), [(0.2999, True), (0.3001, False)])
    def test_the_limit_is_on_the_expected_reward(self, step, passes):
        """At the mean context of what was shown: a weight that no member has had may move as far as it likes."""
        gate = SoundnessGate(0.3)
        gate.check(TITLE, GRAM, MEAN, FACTOR)
        moved = MEAN + np.array([step, 0.0])
        moved[:, 1] = 1e6
        if passes:
            gate.check(TITLE, GRAM, moved, FACTOR)
        else:
            with pytest.raises(Unsound, match="'face' moved by"):
                gate.check(TITLE, GRAM, moved, FACTOR)

    def test_more_evidence_than_before_may_say_anything(self):
        """What was learned from a few members is no measure for what was learned from many."""
        gate = SoundnessGate(0.3)
        gate.check(TITLE, GRAM, MEAN, FACTOR)
        with pytest.raises(Unsound):
            gate.check(TITLE, 2.0 * GRAM, MEAN + 1.0, FACTOR)
        gate.check(TITLE, 2.1 * GRAM, MEAN + 1.0, FACTOR)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("which", ["mean", "factor"])
    def test_what_is_not_finite_never_passes(self, which, bad):
        """A single number is enough; and the next posterior is compared with the last sound one."""
        gate = SoundnessGate(0.3)
        gate.check(TITLE, GRAM, MEAN, FACTOR)
        parts = {"mean": MEAN.copy(), "factor": FACTOR.copy()}
        parts[which][-1].flat[-1] = bad
        with pytest.raises(Unsound, match="not finite"):
            gate.check(TITLE, GRAM, **parts)
        with pytest.raises(Unsound, match="moved by"):
            gate.check(TITLE, GRAM, MEAN + 0.5, FACTOR)
        gate.check(TITLE, GRAM, MEAN + 0.1, FACTOR)

    def test_a_new_gate_measures_by_what_is_held(self):
        """As long as that is known of every artwork, and for the same features; else there is no measure."""
        held = {"face": MEAN[0], "kiss": MEAN[1]}
        with pytest.raises(Unsound, match="moved by"):
            SoundnessGate(0.3).check(TITLE, GRAM, MEAN + 0.5, FACTOR, held)
        SoundnessGate(0.3).check(TITLE, GRAM, MEAN + 0.1, FACTOR, held)
        for lacking in ({}, {"face": MEAN[0]}, held | {"kiss": np.array([0.3])}):
            SoundnessGate(0.3).check(TITLE, GRAM, MEAN + 0.5, FACTOR, lacking)

    def test_what_has_passed_counts_more_than_what_is_held(self):
        """A title may be chosen by older weights: they are no measure once a newer posterior has passed."""
        gate = SoundnessGate(0.3)
        for step in range(8):
            gate.check(TITLE, GRAM, MEAN + 0.2 * step, FACTOR, {"face": MEAN[0], "kiss": MEAN[1]})


def test_members_who_hardly_differ_stop_nothing():
    """Very large features, alike but for rounding: whatever is asked gives a snapshot or a refusal."""
    book = TitleBook(("bias", "comedy", "romance"), LearningRules(10.0, 20.0, 1.0, hold=0.01))
    publication = Publication(book)
    for batch in range(6):
        shown = [
            some_impression(
                f"{batch}-{i}",
                artwork_id=("face", "kiss")[i % 2],
                context={"comedy": 7e5 * (1 - 1e-9 * (i % 7)), "romance": 1e5 * (1 - 1e-9 * (i % 7))},
            )
            for i in range(777)
        ]
        book.learn_impressions(shown)
        book.learn_rewards([some_reward(one, 0.3) for one in shown[:50]])
        ((_, found),) = publication.snapshots([TITLE], batch)
        assert isinstance(found, Unsound) or np.isfinite([one["mean"] for one in found["artworks"]]).all()


class TestRestart:
    """A learner that starts over does not let through what was refused."""

    @staticmethod
    def book_of(stored=None, hold=0.01):
        """A book that learns fast, from its changelog."""
        book = TitleBook(COLUMNS, LearningRules(1e-3, 1.0, max_jump=0.3, hold=hold))
        if stored is not None:
            book.restore(stored)
        return book

    @staticmethod
    def learn(book, artwork_id, plays, first, count=10):
        """Impressions, the first of them played."""
        shown = [
            some_impression(f"{artwork_id}{first + i}", artwork_id=artwork_id, context={}) for i in range(count)
        ]
        book.learn_impressions(shown)
        book.learn_rewards([some_reward(one, 1.0) for one in shown[:plays]])

    def damaged(self, hold):
        """The changelog of a book whose sums were damaged after its last sound snapshot."""
        book = self.book_of(hold=hold)
        publication = Publication(book)
        self.learn(book, "face", 1, 0)
        self.learn(book, "kiss", 5, 0)
        publication.snapshot(TITLE, 1)
        book.sums.moment[book.titles["film"].slots["face"]] += 8.0
        with pytest.raises(Unsound, match=r"'face' moved by 0\.8"):
            publication.snapshot(TITLE, 2)
        return encode_fields(book.store("film"))

    def test_what_was_refused_before_is_refused_after(self):
        """The stored title says what it was chosen by, so the first snapshot has something to be compared with."""
        stored = self.damaged(hold=0.01)
        for _ in range(2):  # and again after another restart
            book = self.book_of(stored)
            publication = Publication(book)
            for _ in range(2):
                with pytest.raises(Unsound, match=r"'face' moved by 0\.8"):
                    publication.snapshot(TITLE, 3)
            stored = encode_fields(book.store("film"))

    def test_it_is_published_once_the_evidence_outweighs_it(self):
        """Refused is no verdict for ever: when more was learned since the restart than before, it counts."""
        book = self.book_of(self.damaged(hold=0.01))
        publication = Publication(book)
        with pytest.raises(Unsound):
            publication.snapshot(TITLE, 3)
        self.learn(book, "face", 11, 100, 11)
        assert publication.snapshot(TITLE, 4)["version"] > 0

    def test_a_sound_title_is_published_after_a_restart(self):
        """However often, and with what was learned in between."""
        book = self.book_of()
        Publication(book).snapshot(TITLE, 1)
        for restart in range(5):
            self.learn(book, "face", 1 + restart % 2, 10 * restart)
            before = Publication(book).snapshot(TITLE, 2)["version"]
            book = self.book_of(encode_fields(book.store("film")))
            assert Publication(book).snapshot(TITLE, 3)["version"] == before

    def test_without_holding_a_restart_has_nothing_to_compare_with(self):
        """Setting hold to 0 stores no weights: the gate then begins anew, as documented."""
        book = self.book_of(self.damaged(hold=0.0), hold=0.0)
        assert Publication(book).snapshot(TITLE, 3)["version"] > 0
