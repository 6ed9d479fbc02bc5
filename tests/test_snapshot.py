"""What a node makes of a snapshot: scores, choices, and which snapshots it refuses to choose from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import repeatable, some_impression, some_title
from hypothesis import given
from hypothesis import strategies as st
from tables import some_snapshot

from stream.choosing.choice import artwork_keys, choose_uniform, draws, key_of
from stream.choosing.page import score
from stream.choosing.servable import MIN_SD, ServableTitle
from stream.codec import decode, encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.model import ArtworkModel
from stream.learning.posterior import pack
from stream.learning.publication import Publication
from stream.records import ArtworkSnapshot, ModelParameters, Snapshot

MEMBERS = [key_of(f"member-{i}") for i in range(300)]


def _with_artwork(**changes: Any) -> Snapshot:
    given = {
        "artwork_id": "face",
        "impressions": 5,
        "plays": 1,
        "reward": 1.0,
        "prior_mean": (0.0, 0.0),
        "mean": (0.1, 0.2),
        "factor": (1.0, 0.0, 1.0),
    }
    artwork = ArtworkSnapshot(**(given | changes))
    return some_snapshot(
        features=("bias", "comedy"), model=ModelParameters((1.0, 1.0), 1.0, None), artworks=(artwork,)
    )


def test_scores_are_those_of_the_posterior() -> None:
    """The mean is mᵀx and the variance xᵀΣx, with Σ = L Lᵀ; a missing feature is 0, an unknown one nothing."""
    rng = np.random.default_rng(5)
    lower = np.tril(rng.normal(size=(3, 3)))
    lower[np.diag_indices(3)] = np.abs(lower.diagonal()) + 0.1
    mean = rng.normal(size=3)
    artwork = ArtworkSnapshot("face", 5, 1, 1.0, (0.0,) * 3, tuple(mean), tuple(pack(lower)))
    title = ServableTitle(some_snapshot(artworks=(artwork,)))
    x = np.array([1.0, 0.7, 0.0])
    found = title.scores({"comedy": 0.7, "weather": 9.0, "bias": 9.0}, "personal")
    assert found[0] == pytest.approx([mean @ x])
    assert found[1] == pytest.approx([np.sqrt(x @ lower @ lower.T @ x)])


def test_popular_is_a_model_with_the_bias_alone() -> None:
    """Its scores are those of River's model taught how rewards differ from their mean."""
    snapshot = some_snapshot()
    mean, sd = ServableTitle(snapshot).scores({"romance": 1.0}, "popular")
    alone = ArtworkModel(prior_precision=10.0, noise_precision=20.0)
    for shown in range(1000):
        alone.learn_one({"bias": 1.0}, (0.75 if shown < 200 else 0.0) - 0.15)  # 200 plays that earned 150
    expected, factor = alone.posterior()
    assert mean == pytest.approx([0.15 + expected[0]] * 2)
    assert sd == pytest.approx([factor[0, 0]] * 2)


@pytest.mark.parametrize(("context", "expected"), [({"romance": 1.0}, "kiss"), ({"comedy": 1.0}, "face")])
def test_a_personal_choice_follows_the_context(context: dict[str, float], expected: str) -> None:
    """Where much is known, nearly everybody with a taste for romance is shown the kiss."""
    title = ServableTitle(some_snapshot())
    chosen = [title.artwork_ids[title.choose(context, "personal", m, 1, floor=0.0)[0]] for m in MEMBERS]
    assert chosen == [expected] * len(MEMBERS)
    assert title.choose(context, "personal", MEMBERS[0], 1, floor=0.01)[1] == pytest.approx(0.995, abs=1e-6)


def test_explore_does_not_care_what_was_learned() -> None:
    """The uniform choice is the same whatever the snapshot says, so it is the same without one."""
    title = ServableTitle(some_snapshot())
    for member in MEMBERS:
        assert title.choose({"romance": 1.0}, "explore", member, 1, floor=0.01) == choose_uniform(
            draws(member, 1, artwork_keys("film", title.artwork_ids))
        )


def test_what_a_learner_publishes_can_be_served() -> None:
    """A snapshot from the book, over the wire, gives the posterior the book solved."""
    book = TitleBook(("bias", "comedy", "romance"), LearningRules(10.0, 20.0, 1.0))
    book.learn_impressions([some_impression(f"i{i}") for i in range(50)])
    fields = Publication(book).snapshot(some_title(), 1)
    title = ServableTitle(decode(Snapshot, encode_fields(fields), limit=None))
    x = np.array([1.0, 0.75, 0.25])
    expected = [np.dot(artwork["mean"], x) for artwork in fields["artworks"]]
    assert title.scores({"comedy": 0.75, "romance": 0.25}, "personal")[0] == pytest.approx(expected)
    assert title.version == 50
    assert title.impressions.tolist() == [50, 0]


@repeatable
@given(
    st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1), st.sampled_from(["personal", "popular", "explore"])
)
def test_part_of_a_title_is_what_a_snapshot_of_that_part_would_be(kept: set[str], policy: Any) -> None:
    """Leaving artworks out gives the choices and propensities of a snapshot that never had them."""
    rng = np.random.default_rng(1)
    means = {artwork_id: rng.normal(0, 0.05, 3) for artwork_id in "abcd"}
    part = ServableTitle(some_snapshot(means=means)).only(kept)
    whole = ServableTitle(some_snapshot(means={a: mean for a, mean in means.items() if a in kept}))
    assert part is not None
    assert part.artwork_ids == whole.artwork_ids
    assert (part.version, part.published_ms) == (whole.version, whole.published_ms)
    for member in MEMBERS[:20]:
        arguments = {"comedy": 0.4}, policy, member, 1
        assert part.choose(*arguments, floor=0.01) == pytest.approx(whole.choose(*arguments, floor=0.01))


def test_a_title_without_any_of_its_artworks_cannot_be_chosen_from() -> None:
    """Nothing left is None; everything left is the very same object, so that nothing is copied for nothing."""
    title = ServableTitle(some_snapshot())
    assert title.only({"other"}) is None
    assert title.only({"face", "kiss", "other"}) is title


@pytest.mark.parametrize(
    ("snapshot", "fault"),
    [
        (some_snapshot(artworks=()), "no artworks"),
        (some_snapshot(artworks=some_snapshot().artworks[:1] * 2), "twice"),
        (some_snapshot(features=("comedy", "bias", "romance")), "first column"),
        (some_snapshot(model=ModelParameters((0.0, 1.0, 1.0), 20.0, None)), "precision"),
        (some_snapshot(model=ModelParameters((1.0, 1.0, 1.0), -1.0, None)), "precision"),
        (some_snapshot(model=ModelParameters((1.0, 1.0, 1.0), float("inf"), None)), "precision"),
        (_with_artwork(mean=(0.1, float("nan"))), "not finite"),
        (_with_artwork(factor=(1.0, float("inf"), 1.0)), "not finite"),
        (_with_artwork(factor=(1.0, 0.0, 0.0)), "diagonal"),
        (_with_artwork(factor=(-1.0, 0.0, 1.0)), "diagonal"),
        (_with_artwork(reward=float("nan")), "not finite"),
        (_with_artwork(prior_mean=(float("inf"), 0.0)), "not finite"),
    ],
)
def test_a_snapshot_that_cannot_be_chosen_from_says_why(snapshot: Snapshot, fault: str) -> None:
    """Every number that would make a score or a propensity meaningless is refused at once."""
    with pytest.raises(ValueError, match=fault):
        ServableTitle(snapshot)


def test_counts_may_be_of_any_size() -> None:
    """They are counts of everything ever: beyond 64 bits they are refused or served, never a crash."""
    title = ServableTitle(_with_artwork(impressions=10**25, factor=(1e-12, 0.0, 1e-12)))
    assert (title.scores({}, "popular")[1] >= MIN_SD).all()
    assert (title.scores({"comedy": 1.0}, "personal")[1] == MIN_SD).all()


class TestStrangers:
    """A member of whom a model knows nothing is shown what the most like."""

    @pytest.mark.parametrize("context", [{}, {"weather": 1.0}, {"comedy": 0.0}, {"bias": 9.0}], ids=str)
    def test_they_are_scored_by_what_is_popular(self, context: dict[str, float]) -> None:
        """Choices and propensities are those of ``popular``, unless one feature is known."""
        title = ServableTitle(some_snapshot(means={"face": (0.3, 0.0, 0.0), "kiss": (0.1, 0.0, 0.0)}))
        np.testing.assert_array_equal(title.scores(context, "personal"), title.popular)
        for member in MEMBERS[:20]:
            assert title.choose(context, "personal", member, 1, floor=0.1) == title.choose(
                {}, "popular", member, 1, floor=0.1
            )
        known = title.scores(context | {"comedy": 0.001}, "personal")
        assert known[0] == pytest.approx([0.3, 0.1])
        assert known[0] != pytest.approx(title.popular[0])

    def test_each_title_of_a_page_knows_its_own_features(self) -> None:
        """Where one title knows the context and another does not, each is scored as if it were alone."""
        model = ModelParameters((1.0,) * 2, 1.0, None)
        artworks = [
            ArtworkSnapshot(a, 9, 1, r, (0.0,) * 2, (0.1, r), (0.1, 0.0, 0.1)) for a, r in (("x", 1.0), ("y", 2.0))
        ]
        of_drama = some_snapshot(features=("bias", "drama"), model=model, artworks=tuple(artworks))
        page = [ServableTitle(some_snapshot()), ServableTitle(of_drama)]
        mean, sd = score(page, 2, {"comedy": 1.0}, "personal")
        expected = page[0].scores({"comedy": 1.0}, "personal"), page[1].popular
        for i, (mean_alone, sd_alone) in enumerate(expected):
            assert mean[i] == pytest.approx(mean_alone)
            assert sd[i] == pytest.approx(sd_alone)


class TestCast:
    """Whom an artwork shows counts for those who like them."""

    FEATURES = ("bias", "comedy", "cast")

    def snapshot(self) -> Snapshot:
        """Two artworks that differ in what the people they show are worth."""
        rng = np.random.default_rng(7)
        artworks = []
        for artwork_id, mean in (("travolta", (0.05, 0.0, 0.2)), ("thurman", (0.05, 0.0, 0.1))):
            lower = np.tril(rng.normal(0, 0.01, size=(3, 3)))
            lower[np.diag_indices(3)] = np.abs(lower.diagonal()) + 0.01
            artworks.append(ArtworkSnapshot(artwork_id, 5, 1, 1.0, (0.0,) * 3, mean, tuple(pack(lower))))
        model = ModelParameters((1.0,) * 3, 1.0, None)
        return some_snapshot(features=self.FEATURES, model=model, artworks=tuple(artworks))

    def test_each_artwork_sees_its_own_affinity(self) -> None:
        """The scores are those of a context in which the cast is the artwork's own."""
        title = ServableTitle(self.snapshot())
        mean, sd = title.scores({"comedy": 0.5}, "personal", [0.9, 0.1])
        for i, affinity in enumerate((0.9, 0.1)):
            alone = title.scores({"comedy": 0.5, "cast": affinity}, "personal")
            assert (mean[i], sd[i]) == pytest.approx((alone[0][i], alone[1][i]))

    def test_a_fan_is_shown_whom_they_like(self) -> None:
        """The same snapshot, two fans, two artworks."""
        title = ServableTitle(self.snapshot())
        for cast, expected in (((1.0, 0.0), "travolta"), ((0.0, 1.0), "thurman")):  # with no other taste
            index, propensity = title.choose({}, "personal", 1, 1, floor=0.0, exploration=0.1, cast=cast)
            assert title.artwork_ids[index] == expected
            assert propensity > 0.99

    def test_without_the_column_it_changes_nothing(self) -> None:
        """A snapshot that was learned without people is chosen from as ever."""
        title = ServableTitle(some_snapshot())
        for context in ({"comedy": 0.5}, {}):
            assert title.choose(context, "personal", 1, 1, floor=0.0) == title.choose(
                context, "personal", 1, 1, floor=0.0, cast=[0.5, 0.9]
            )
