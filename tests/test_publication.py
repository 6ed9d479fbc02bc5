"""What is published of a partition's titles, and when it is not."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from builders import HOUR_MS, START_MS, some_impression, some_reward, some_title

from stream.choosing.servable import ServableTitle
from stream.codec import decode, encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.gathering import gather
from stream.learning.lessons import Lessons, learn_from
from stream.learning.posterior import solve, unpack_lower
from stream.learning.publication import Publication
from stream.learning.soundness import Unsound
from stream.records import Artwork, Snapshot

COLUMNS = ("bias", "comedy", "romance")
RULES = LearningRules(prior_precision=10.0, noise_precision=20.0, max_jump=1.0)


def book_of(records=(), changes=(), columns=COLUMNS, rules=RULES):
    """A book that has learned some impressions and rewards."""
    book = TitleBook(columns, rules)
    book.learn_impressions(list(records))
    book.learn_rewards(list(changes))
    return book


class TestSnapshot:
    """What serving nodes get."""

    def test_it_is_the_posterior_of_the_sums(self):
        """The record decodes as the public contract, and holds the posterior of what was learned."""
        shown = [
            some_impression(f"i{i}", shown_ms=START_MS + i, artwork_id="kiss", context={"comedy": i / 10})
            for i in range(10)
        ]
        book = book_of(shown, [some_reward(shown[4], 0.25), some_reward(shown[7], 1.0)])
        snapshot = decode(
            Snapshot, encode_fields(Publication(book).snapshot(some_title(), START_MS + 99)), limit=None
        )
        assert (snapshot.title_id, snapshot.version, snapshot.features) == ("film", 12, COLUMNS)
        assert snapshot.published_ms == START_MS + 99
        assert snapshot.learned_through_ms == max(START_MS + 9, some_reward(shown[7], 1.0).credited_ms)
        assert snapshot.model.prior_precision == (10.0, 10.0, 10.0)
        face, kiss = snapshot.artworks
        assert (kiss.impressions, kiss.plays, kiss.reward) == (10, 2, 1.25)
        x = np.array([[1.0, i / 10, 0.0] for i in range(10)])
        r = np.array([0, 0, 0, 0, 0.25, 0, 0, 1.0, 0, 0])
        mean, factor = solve(x.T @ x, x.T @ r, np.full(3, 10.0), 20.0, np.zeros(3))
        np.testing.assert_allclose(kiss.mean, mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(unpack_lower(np.array(kiss.factor), 3), factor, rtol=1e-9)
        assert (face.impressions, face.plays, face.reward, face.mean) == (0, 0, 0.0, (0.0, 0.0, 0.0))
        np.testing.assert_allclose(unpack_lower(np.array(face.factor), 3), np.eye(3) / 10**0.5)

    def test_a_title_never_shown_has_its_prior(self):
        """A snapshot of version 0, with the canvas and order of the catalogue."""
        fields = Publication(TitleBook(COLUMNS, RULES)).snapshot(some_title(artworks=("b", "a")), 5)
        assert (fields["version"], fields["learned_through_ms"]) == (0, 0)
        assert [artwork["artwork_id"] for artwork in fields["artworks"]] == ["b", "a"]
        assert decode(Snapshot, encode_fields(fields)).artworks[0].canvas is None

    def test_the_version_counts_records(self):
        """Every impression and every change of a reward is one version more, of its own title."""
        book = book_of([some_impression(), some_impression("s", title_id="series")])
        book.learn_rewards([some_reward(some_impression(), 0.5), some_reward(some_impression(), -0.5, 0.0)])
        assert (book.titles["film"].version, book.titles["series"].version) == (3, 1)
        assert book.knows("film", "face")
        assert not book.knows("film", "kiss")
        assert not book.knows("other", "face")

    def test_time_only_moves_forward(self):
        """Learning an older record does not take back how far a title has come."""
        book = book_of([some_impression(shown_ms=START_MS + 5), some_impression("i2", shown_ms=START_MS)])
        assert book.titles["film"].learned_through_ms == START_MS + 5

    @pytest.mark.parametrize(
        ("break_it", "says"),
        [
            (lambda sums: sums.moment.fill(np.inf), "not finite"),
            (lambda sums: sums.moment.fill(np.nan), "not finite"),
            (lambda sums: sums.gram.fill(np.nan), "not positive definite"),
            (lambda sums: sums.gram.__setitem__((0, 1, 1), -1.0), "not positive definite"),
            (
                lambda sums: sums.gram.__setitem__((0, slice(None), slice(None)), -np.eye(3)),
                "not positive definite",
            ),
        ],
        ids=["infinite reward", "nan reward", "nan gram", "negative square", "negative gram"],
    )
    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
    def test_what_is_not_sound_is_refused(self, break_it, says):
        """Sums that are damaged give no snapshot, and the reason says what is wrong."""
        book = book_of([some_impression()])
        break_it(book.sums)
        with pytest.raises(Unsound, match=says):
            Publication(book).snapshot(some_title(), START_MS)


class TestJump:
    """A snapshot that would move an expected reward too far is held back."""

    RULES = LearningRules(prior_precision=1e-3, noise_precision=1.0, max_jump=0.3)

    def shown_and_played(self, book, artwork_id, plays, offset=0):
        """Ten impressions more, some of them played."""
        shown = [
            some_impression(f"{artwork_id}{offset + i}", artwork_id=artwork_id, context={}) for i in range(10)
        ]
        book.learn_impressions(shown)
        book.learn_rewards([some_reward(one, 1.0) for one in shown[:plays]])

    def test_a_jump_is_refused_by_name_until_it_is_none(self):
        """The refusal names the artwork; the last good snapshot stays the measure, whatever was refused since."""
        book = TitleBook(COLUMNS, self.RULES)
        publication = Publication(book)
        title = some_title()
        self.shown_and_played(book, "face", 0)
        self.shown_and_played(book, "kiss", 5)
        publication.snapshot(title, 1)
        self.shown_and_played(book, "face", 10, 10)
        for _ in range(2):
            with pytest.raises(Unsound, match=r"'face' moved by 0\.5"):
                publication.snapshot(title, 2)
        self.shown_and_played(book, "face", 0, 20)
        self.shown_and_played(book, "face", 0, 30)
        assert publication.snapshot(title, 3)["version"] == 5 + 10 + 50

    def test_other_artworks_are_another_matter(self):
        """When the catalogue lists other artworks there is nothing to compare with."""
        book = TitleBook(COLUMNS, self.RULES)
        publication = Publication(book)
        self.shown_and_played(book, "face", 0)
        publication.snapshot(some_title(), 1)
        self.shown_and_played(book, "face", 10, 10)
        assert publication.snapshot(some_title(artworks=("face", "new")), 2)["version"] == 30

    def test_new_features_are_another_matter(self):
        """Likewise when the columns have grown."""
        book = TitleBook(COLUMNS, self.RULES)
        publication = Publication(book)
        self.shown_and_played(book, "face", 0)
        publication.snapshot(some_title(), 1)
        self.shown_and_played(book, "face", 10, 10)
        book.widen((*COLUMNS, "horror"))
        assert publication.snapshot(some_title(), 2)["features"] == (*COLUMNS, "horror")


def test_one_wild_context_does_not_stop_a_title():
    """Features at the limit that always come together still give a sound snapshot, however many come."""
    wild = {"comedy": 1e6, "romance": 1e6}
    shown = [some_impression(f"i{i}", context=wild) for i in range(2000)]
    book = book_of(shown)
    for _ in range(60):  # to 10^5 impressions, where an explicit covariance fails
        book.sums.gram += book.sums.gram * 0.1
    fields = Publication(book).snapshot(some_title(), START_MS)
    assert np.isfinite(fields["artworks"][0]["mean"]).all()


class TestRewardsFirst:
    """A learner that catches up may read rewards before their impressions."""

    def test_an_artwork_with_more_plays_than_impressions_is_at_its_prior(self):
        """Rewards without refusals would have everyone shown the artwork."""
        shown = [some_impression(str(i), artwork_id="kiss") for i in range(200)]
        early = book_of((), [some_reward(shown[0], 1.0, 1.0)])
        title = some_title("film", artworks=("face", "kiss"))
        snapshot = decode(Snapshot, encode_fields(Publication(early).snapshot(title, START_MS)), limit=None)
        kiss = next(artwork for artwork in snapshot.artworks if artwork.artwork_id == "kiss")
        assert kiss.mean == (0.0, 0.0, 0.0)
        assert (kiss.impressions, kiss.plays, kiss.reward) == (0, 1, 1.0)

    def test_the_right_snapshot_is_published_once_the_impressions_come(self):
        """A posterior made from one impression in a hundred may move as far as it must."""
        rules = LearningRules(prior_precision=1e-6, noise_precision=20.0, max_jump=0.5)
        shown = [some_impression(str(i), artwork_id="kiss", context={}) for i in range(200)]
        book = book_of(shown[:1], [some_reward(shown[0], 1.0, 1.0)], rules=rules)
        title = some_title("film", artworks=("face", "kiss"))
        Publication(book).snapshot(title, START_MS)
        book.learn_impressions(shown[1:])
        snapshot = Publication(book).snapshot(title, START_MS)
        assert snapshot["artworks"][1]["mean"][0] == pytest.approx(1 / 200, rel=1e-4)


class TestTogether:
    """Titles solved in one go."""

    def test_as_one_by_one(self):
        """Snapshots of titles with different numbers of artworks are those of each title alone."""
        titles = [some_title("film", ("face", "kiss")), some_title("series", ("face", "kiss", "gun"))]
        shown = [some_impression(str(i), title_id=t.title_id, artwork_id="kiss") for i, t in enumerate(titles * 9)]
        one, other = book_of(shown), book_of(shown)
        found = {
            title.title_id: encode_fields(found) for title, found in Publication(one).snapshots(titles, START_MS)
        }
        assert found == {t.title_id: encode_fields(Publication(other).snapshot(t, START_MS)) for t in titles}

    def test_an_unsound_title_stands_alone(self):
        """The others are published."""
        book = book_of([some_impression("1"), some_impression("2", title_id="series")])
        book.sums.gram[book.titles["film"].slots["face"]] = -1e9
        found = {
            title.title_id: made
            for title, made in Publication(book).snapshots([some_title("film"), some_title("series")], 0)
        }
        assert isinstance(found["film"], Unsound)
        assert found["series"]["version"] == 1


THEMES = ("bias", "comedy", "romance")
NINE = tuple(f"artwork-{i}" for i in range(9))


def shelf(artworks=NINE):
    """Nine artworks, of which some show comedy, some romance, some both."""
    return some_title(
        artworks=[
            Artwork(name, {"comedy": float(i % 3 == 0), "romance": float(i % 4 == 0)})
            for i, name in enumerate(NINE)
            if name in artworks
        ]
    )


def crowd(rng, count, first=0):
    """Impressions of all nine, by members of whom each likes one thing more than the other."""
    return [
        some_impression(
            f"i{first + i}",
            shown_ms=START_MS + first + i,
            artwork_id=NINE[int(rng.integers(9))],
            context=dict(zip(("comedy", "romance"), rng.dirichlet((0.5, 0.5)).tolist(), strict=True)),
        )
        for i in range(count)
    ]


def played(rng, shown):
    """Some of them are played: more often the higher the artwork's number."""
    return [some_reward(one, 1.0) for one in shown if rng.random() < 0.02 * (1 + NINE.index(one.artwork_id))]


def served(fields):
    """As a node has it."""
    return ServableTitle(decode(Snapshot, encode_fields(fields), limit=None))


class TestWithdrawn:
    """An artwork that the catalogue no longer lists still says how members respond to the title."""

    @pytest.mark.parametrize("restored", [False, True], ids=["at once", "after a restart"])
    def test_the_others_stay_as_they_are(self, restored):
        """But for rounding, with a shared prior: weights, priors, and what is popular."""
        rng = np.random.default_rng(1)
        shown = crowd(rng, 400)
        book = book_of(shown, played(rng, shown), columns=THEMES)
        taught = learn_from(Lessons.none(THEMES))
        before = {one["artwork_id"]: one for one in Publication(book).snapshot(shelf(), 0, taught)["artworks"]}
        if restored:
            other = TitleBook(THEMES, RULES)
            other.restore(encode_fields(book.store("film")))
            book = other
        after = Publication(book).snapshot(shelf(NINE[:4] + NINE[5:]), 0, taught)["artworks"]
        assert [one["artwork_id"] for one in after] == [*NINE[:4], *NINE[5:]]
        for one in after:
            for name in ("prior_mean", "mean", "factor", "popular"):
                np.testing.assert_allclose(one[name], before[one["artwork_id"]][name], rtol=1e-9, atol=1e-12)

    def test_it_teaches_what_it_taught(self):
        """Its impressions stay in the lessons, under the tags that it had last."""
        rng = np.random.default_rng(2)
        shown = crowd(rng, 400)
        book = book_of(shown, played(rng, shown), columns=THEMES)
        whole = gather(book, [shelf()])
        rest = gather(book, [shelf(NINE[:4] + NINE[5:])])
        place = [*range(4), *range(5, 9), 4]  # the withdrawn one comes last
        np.testing.assert_array_equal(rest.gram, whole.gram[place])
        np.testing.assert_array_equal(rest.tags, whole.tags[place])

    def test_of_an_artwork_never_learned_nothing_is_kept(self):
        """It is gone as if it had never been listed."""
        book = book_of([some_impression()])
        gather(book, [some_title(artworks=("face", "kiss"))])
        assert len(gather(book, [some_title(artworks=("face",))]).gram) == 1


class TestPopular:
    """What is best for everyone, from the bias alone."""

    def test_it_forgets_as_the_weights_do(self):
        """A success of two half-lives ago counts a quarter; by the counts alone it would count whole."""
        rules = LearningRules(10.0, 20.0, 1.0, half_life_days=1.0)
        day = 24 * HOUR_MS
        start = START_MS // day * day
        old = [some_impression(f"o{i}", shown_ms=start, artwork_id="kiss") for i in range(100)]
        new = [some_impression(f"n{i}", shown_ms=start + 2 * day, artwork_id="face") for i in range(100)]
        book = book_of(old + new, [some_reward(one, 1.0) for one in old[:40] + new[:10]], rules=rules)
        book.titles["film"].learned_through_ms = start + 2 * day
        face, kiss = Publication(book).snapshot(some_title(), 0)["artworks"]
        title_mean = (0.25 * 40 + 10) / (0.25 * 100 + 100)
        assert kiss["popular"][0] == pytest.approx((10 * title_mean + 20 * 10) / (10 + 20 * 25))
        assert kiss["popular"][1] == pytest.approx((10 + 20 * 25) ** -0.5)
        assert face["popular"][0] == pytest.approx((10 * title_mean + 20 * 10) / (10 + 20 * 100))

    def test_a_node_chooses_by_it(self):
        """Not by the counts, where the learner says what is popular; without it the counts say the same."""
        rng = np.random.default_rng(3)
        shown = crowd(rng, 300)
        fields = Publication(book_of(shown, played(rng, shown), columns=THEMES)).snapshot(shelf(), 0)
        mean, sd = served(fields).scores({}, "popular")
        np.testing.assert_allclose(mean, [one["popular"][0] for one in fields["artworks"]])
        counted = fields | {
            "artworks": [{k: v for k, v in one.items() if k != "popular"} for one in fields["artworks"]]
        }
        mean_of_counts, sd_of_counts = served(counted).scores({}, "popular")
        np.testing.assert_allclose(mean, mean_of_counts, rtol=1e-9)
        np.testing.assert_allclose(sd, sd_of_counts, rtol=1e-9)

    @pytest.mark.parametrize("bad", [(float("inf"), 1.0), (0.1, 0.0), (0.1, float("nan"))])
    def test_a_node_refuses_what_cannot_be(self, bad):
        """A mean or deviation that no posterior has."""
        fields = Publication(book_of([some_impression()])).snapshot(some_title(), 0)
        snapshot = decode(Snapshot, encode_fields(fields), limit=None)
        face = msgspec.structs.replace(snapshot.artworks[0], popular=bad)
        with pytest.raises(ValueError, match="popular"):
            ServableTitle(msgspec.structs.replace(snapshot, artworks=(face, *snapshot.artworks[1:])))


class TestHeld:
    """Choices stay as they are until that would cost something."""

    HOLDING = LearningRules(10.0, 20.0, 1.0, hold=0.005)
    CONTEXTS = tuple({"comedy": share, "romance": 1.0 - share} for share in np.linspace(0.0, 1.0, 101).tolist())

    def best(self, fields):
        """What everybody would be shown, were there no draws."""
        title = served(fields)
        return [title.artwork_ids[int(np.argmax(title.scores(c, "personal")[0]))] for c in self.CONTEXTS]

    def test_little_evidence_moves_nobody_and_much_does(self):
        """A few more impressions change the weights and no choice; a landslide changes both."""
        rng = np.random.default_rng(4)
        shown = crowd(rng, 4000)
        book = book_of(shown, played(rng, shown), columns=THEMES, rules=self.HOLDING)
        publication = Publication(book)
        before = publication.snapshot(shelf(), 0)
        book.learn_impressions(crowd(rng, 20, first=4000))
        little = publication.snapshot(shelf(), 0)
        assert self.best(little) == self.best(before)
        for one, other in zip(before["artworks"], little["artworks"], strict=True):
            np.testing.assert_array_equal(one["held"], other["held"])
        assert any(
            (a["mean"] != b["mean"]).any() for a, b in zip(before["artworks"], little["artworks"], strict=True)
        )
        favoured = [
            some_impression(f"f{i}", artwork_id=NINE[0], context=c) for i, c in enumerate(self.CONTEXTS * 10)
        ]
        book.learn_impressions(favoured)
        book.learn_rewards([some_reward(one, 1.0) for one in favoured])
        much = publication.snapshot(shelf(), 0)
        assert set(self.best(much)) == {NINE[0]}
        for one in much["artworks"]:
            np.testing.assert_array_equal(one["held"], one["mean"])

    def test_at_fixed_evidence_nothing_moves_whatever_is_taught(self):
        """Nor when an artwork is withdrawn: those who had another one keep it."""
        rng = np.random.default_rng(5)
        shown = crowd(rng, 2000)
        book = book_of(shown, played(rng, shown), columns=THEMES, rules=self.HOLDING)
        publication = Publication(book)
        nothing = learn_from(Lessons.none(THEMES))
        before = self.best(publication.snapshot(shelf(), 0, nothing))
        taught = dataclasses.replace(nothing, weights=np.array([0.0, 3.0, -3.0]), strength=0.2)
        fields = publication.snapshot(shelf(), 0, taught)
        assert self.best(fields) == before
        assert any((one["held"] != one["mean"]).any() for one in fields["artworks"])
        gone = before[0]
        after = self.best(publication.snapshot(shelf(set(NINE) - {gone}), 0, nothing))
        moved = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        assert moved == [i for i, name in enumerate(before) if name == gone]
        assert 0 < len(moved) < len(before)

    def test_it_outlives_a_restart(self):
        """What is held is in the changelog, also where the new worker's columns are others."""
        rng = np.random.default_rng(6)
        shown = crowd(rng, 2000)
        book = book_of(shown, played(rng, shown), columns=THEMES, rules=self.HOLDING)
        publication = Publication(book)
        publication.snapshot(shelf(), 0)
        book.learn_impressions(crowd(rng, 20, first=2000))
        before = publication.snapshot(shelf(), 0)
        other = TitleBook(("bias", "horror", "romance", "comedy"), self.HOLDING)
        other.restore(encode_fields(book.store("film")))
        assert self.best(Publication(other).snapshot(shelf(), 0)) == self.best(before)
        place = [0, 3, 2]
        for one in before["artworks"]:
            np.testing.assert_array_equal(other.titles["film"].held[one["artwork_id"]][place], one["held"])

    def test_a_new_artwork_comes_in_with_what_is_known_of_it(self):
        """And those that were there keep what is held of them."""
        rng = np.random.default_rng(7)
        shown = crowd(rng, 1000)
        book = book_of(shown, played(rng, shown), columns=THEMES, rules=self.HOLDING)
        publication = Publication(book)
        first = publication.snapshot(shelf(NINE[:8]), 0)
        then = publication.snapshot(shelf(), 0)
        for one, other in zip(first["artworks"], then["artworks"][:8], strict=True):
            np.testing.assert_array_equal(one["held"], other["held"])
        np.testing.assert_array_equal(then["artworks"][8]["held"], then["artworks"][8]["mean"])

    def test_a_title_never_shown_holds_nothing(self):
        """It follows what the catalogue teaches until somebody has seen it."""
        fields = Publication(TitleBook(THEMES, self.HOLDING)).snapshot(shelf(), 0)
        assert all("held" not in one for one in fields["artworks"])
