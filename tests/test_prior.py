"""The prior that titles share: against the joint model written out in full, and however titles are divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st

from stream.learning.lessons import _CAUTION, STRENGTHS, Lessons, Taught, learn_from, together
from stream.learning.prior import TitleSums, independent, lessons_on_strength, lessons_on_weights, priors

FEATURES = ("bias", "action", "comedy", "romance")
D = len(FEATURES)
NOTHING = learn_from(Lessons.none(FEATURES))
CENTRED = replace(NOTHING, centre=np.array([0.0, 0.3, 0.2, 0.5]))


class Rows:
    """Some titles' rows in full: contexts, rewards, which artwork each showed, and what that shows."""

    def __init__(self, seed: int, artworks: tuple[int, ...] = (2, 4, 3), rows: int = 60) -> None:
        rng = np.random.default_rng(seed)
        count = sum(artworks)
        self.starts = np.cumsum((0, *artworks[:-1]))
        self.tags = np.concatenate([np.zeros((count, 1)), rng.uniform(0, 1, (count, D - 1))], axis=1)
        self.tags[rng.random((count, D)) < 0.3] = 0.0
        self.artwork = rng.integers(count, size=rows * count)
        self.x = np.concatenate(
            [np.ones((rows * count, 1)), rng.dirichlet(np.full(D - 1, 0.5), rows * count)], axis=1
        )
        meets = np.einsum("nd,nd->n", self.x, self.tags[self.artwork])
        self.reward = (rng.random(rows * count) < 0.05 * (1.0 + 2.0 * meets)).astype(float)

    def sums(self, only: slice = slice(None)) -> TitleSums:
        """The same as sums."""
        gram, moment = np.zeros((len(self.tags), D, D)), np.zeros((len(self.tags), D))
        np.add.at(gram, self.artwork[only], self.x[only, :, None] * self.x[only, None, :])
        np.add.at(moment, self.artwork[only], self.x[only] * self.reward[only, None])
        return TitleSums(gram, moment, self.tags, self.starts)

    def design(self, only: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """What w meets in some rows: tags times how far the context is from its mean, and how much is shown."""
        tags = self.tags[self.artwork[only]]
        design = tags * (self.x[only] - centre)
        design[:, 0] = tags.sum(axis=1)
        return design


def lessons_of(sums: TitleSums, taught: Taught = NOTHING) -> Lessons:
    """What all of these titles teach."""
    precision, moment = lessons_on_weights(sums, taught)
    evidence = lessons_on_strength(sums, taught)
    return Lessons(
        FEATURES,
        sums.gram[:, 0].sum(0),
        sums.moment[:, 0].sum(),
        precision.sum(0),
        moment.sum(0),
        evidence.sum(0),
    )


def part_of(sums: TitleSums, title: int) -> TitleSums:
    """One of the titles alone."""
    ends = np.append(sums.starts[1:], len(sums.gram))
    part = slice(sums.starts[title], ends[title])
    return TitleSums(sums.gram[part], sums.moment[part], sums.tags[part], np.zeros(1, dtype=np.intp))


def rate_and_spread(sums: TitleSums, taught: Taught, title: int) -> tuple[float, np.ndarray]:
    """A title's take rate, and the prior standard deviation of its own response."""
    rate = priors(sums, taught).rate[title]
    return rate, rate * np.array([2.0, *[1.0] * (D - 1)])


class TestTheJointModel:
    """Sums give what the whole model gives, written out row by row."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_weights_and_responses_are_the_joint_posterior(self, seed, monkeypatch):
        """Of w and of every v it is the mean of the Gaussian over all of them, given every row."""
        monkeypatch.setattr("stream.learning.lessons._WEIGHT_PRECISIONS", (0.1,))
        rows = Rows(seed)
        sums = rows.sums()
        n = len(sums.starts)
        title = sums.title_of[rows.artwork]
        lessons = lessons_of(sums, CENTRED)
        taught = replace(learn_from(lessons), rate=CENTRED.rate, centre=CENTRED.centre)
        width = D + n * D  # w, then each v less (ρ, 0, …)
        precision, natural = np.zeros((width, width)), np.zeros(width)
        precision[:D, :D] = np.diag([4.0, *[0.1] * (D - 1)])
        for t in range(n):
            rate, spread = rate_and_spread(sums, NOTHING, t)
            here = slice(D + t * D, D + (t + 1) * D)
            precision[here, here] = np.diag(1.0 / spread**2)
            mine = title == t
            x = rows.x[mine]
            design = np.zeros((mine.sum(), width))
            design[:, :D] = rate * rows.design(mine, CENTRED.centre)
            design[:, here] = x
            beta = 1.0 / (rate * (1.0 - rate))
            precision += beta * design.T @ design
            natural += beta * design.T @ (rows.reward[mine] - rate)
        expected = np.linalg.solve(precision, natural)
        assert taught.weights == pytest.approx(expected[:D], abs=1e-9)
        found = priors(sums, taught)
        for t in range(n):
            rate, _ = rate_and_spread(sums, NOTHING, t)
            own = expected[D + t * D : D + (t + 1) * D] + np.array([rate, *[0.0] * (D - 1)])
            assert found.response[t] == pytest.approx(own, abs=1e-9)
            mine = title == t
            expected_rewards = rows.x[mine] @ own + rate * rows.design(mine, CENTRED.centre) @ taught.weights
            said = np.einsum("nd,nd->n", rows.x[mine], found.prior_mean[rows.artwork[mine]])
            assert said == pytest.approx(expected_rewards, abs=1e-9)

    @pytest.mark.parametrize("seed", [4, 5])
    def test_evidence_is_the_density_of_the_rewards(self, seed):
        """Between strengths it differs as the Gaussian density of all rewards of a title does."""
        rows = Rows(seed, artworks=(3, 2), rows=12)
        sums = rows.sums()
        taught = Taught(FEATURES, 0.05, np.array([0.2, 0.5, -0.3, 1.0]), CENTRED.centre, 0.4)
        found = lessons_on_strength(sums, taught)
        for t in range(2):
            rate, spread = rate_and_spread(sums, taught, t)
            mine = sums.title_of[rows.artwork] == t
            x, artwork = rows.x[mine], rows.artwork[mine]
            mean = rate + rate * rows.design(mine, taught.centre) @ taught.weights
            densities = []
            for strength in STRENGTHS:
                own = (rate * strength * np.array([0.1, *[1.0] * (D - 1)])) ** 2
                same = artwork[:, None] == artwork[None, :]
                covariance = (x * spread**2) @ x.T + same * ((x * own) @ x.T)
                covariance += np.eye(len(x)) * rate * (1.0 - rate)
                surprise = rows.reward[mine] - mean
                _, volume = np.linalg.slogdet(covariance)
                densities.append(-0.5 * (volume + surprise @ np.linalg.solve(covariance, surprise)))
            assert np.diff(found[t]) == pytest.approx(np.diff(densities), abs=1e-8)


class TestDivision:
    """However titles are divided among learners, and rows among batches, the same is taught."""

    @repeatable
    @given(st.lists(st.integers(0, 9), min_size=8, max_size=8), st.integers(0, 1000))
    def test_ten_learners_teach_what_one_does(self, place, seed):
        """Each of eight titles at one of ten learners; whoever adds them up comes to the same within 1e-9."""
        sums = Rows(seed, artworks=(2, 3, 1, 2, 4, 1, 2, 3), rows=20).sums()
        alone = learn_from(lessons_of(sums))
        parts = [
            together([lessons_of(part_of(sums, t)) for t in range(8) if place[t] == learner], FEATURES)
            for learner in range(10)
        ]
        divided = learn_from(together(parts, FEATURES))
        assert divided.weights == pytest.approx(alone.weights, abs=1e-9)
        assert (divided.rate, divided.strength) == pytest.approx((alone.rate, alone.strength), rel=1e-9)

    def test_columns_may_come_in_any_order(self):
        """Learners that met themes in another order add up by name; what one does not know yet counts as 0."""
        lessons = lessons_of(Rows(6).sums())
        order = ("bias", "romance", "comedy", "action")
        turned = lessons.over(order)
        assert turned.over(FEATURES).precision == pytest.approx(lessons.precision)
        weights = dict(zip(order, learn_from(together([turned], order)).weights, strict=True))
        assert [weights[name] for name in FEATURES] == pytest.approx(learn_from(lessons).weights, abs=1e-9)
        wider = together([lessons], (*FEATURES, "noir"))
        assert learn_from(wider).weights[-1] == 0.0
        assert learn_from(wider).weights[:-1] == pytest.approx(learn_from(lessons).weights, abs=1e-9)

    def test_nothing_is_taught_by_nobody(self):
        """No lessons: no weights, and strengths as believed beforehand, of which none is certain."""
        assert NOTHING.weights.tolist() == [0.0] * D
        assert _CAUTION * STRENGTHS[0] < NOTHING.strength < _CAUTION * STRENGTHS[-1]
        assert NOTHING.rate == 0.05


def test_what_tags_may_say_is_averaged_by_its_evidence(monkeypatch):
    """It lies between those of the single prior precisions, and close to that of the largest evidence."""
    sums = Rows(10, artworks=(4,) * 30, rows=200).sums()
    lessons = lessons_of(sums)
    averaged = learn_from(lessons).weights
    alone = []
    for precision in (0.03, 100.0):
        monkeypatch.setattr("stream.learning.lessons._WEIGHT_PRECISIONS", (precision,))
        alone.append(np.linalg.norm(learn_from(lessons).weights[1:]))
    assert alone[1] < np.linalg.norm(averaged[1:]) <= alone[0]
    assert np.linalg.norm(averaged[1:]) > 0.5 * alone[0]  # these tags say much


def test_a_new_artwork_starts_from_its_tags():
    """Where artworks that show what a member likes are played more, a new one's prior says so."""
    sums = Rows(7, artworks=(4,) * 30, rows=200).sums()
    taught = learn_from(lessons_of(sums))
    new = TitleSums(
        np.zeros((2, D, D)), np.zeros((2, D)), np.array([[0, 0, 0, 1.0], [0, 1.0, 0, 0]]), np.array([0])
    )
    start = priors(new, taught).prior_mean
    fan = np.array([1.0, 0.0, 0.0, 1.0])
    assert start[0] @ fan > 1.5 * (start[1] @ fan)
    assert start[0] @ fan < 4.0 * taught.rate


def test_tags_that_say_nothing_lose_their_say():
    """Shuffled tags teach next to nothing, and the strength rises where artworks differ in their own ways."""
    rng = np.random.default_rng(8)
    rows = Rows(8, artworks=(4,) * 30, rows=200)
    own = rng.normal(0, 1.2, rows.tags.shape)
    rate = 0.05 * np.clip(1.0 + np.einsum("nd,nd->n", rows.x, own[rows.artwork]), 0.05, 4.0)
    rows.reward = (rng.random(len(rate)) < rate).astype(float)
    idle = learn_from(lessons_of(rows.sums()))
    meant = learn_from(lessons_of(Rows(8, artworks=(4,) * 30, rows=200).sums()))
    assert np.abs(idle.weights[1:]).max() < 0.5 * np.abs(meant.weights[1:]).max()
    assert idle.strength > 1.5 * meant.strength


def test_artworks_that_learn_by_themselves_start_at_0():
    """Without the shared prior every weight has the same precision and the mean 0."""
    found = independent(Rows(9).sums(), 10.0, 20.0)
    assert not found.prior_mean.any()
    assert (found.prior_precision == 10.0).all()
    assert (found.noise_precision == 20.0).all()


@pytest.mark.parametrize(
    ("change", "differs"),
    [({"rate": 0.0505}, False), ({"rate": 0.06}, True), ({"strength": 0.41}, False), ({"strength": 0.5}, True)],
)
def test_a_move_is_told_from_noise(change, differs):
    """A share of 3 % is the limit here."""
    taught = Taught(FEATURES, 0.05, np.array([0.0, 0.5, -0.3, 1.0]), CENTRED.centre, 0.4)
    assert replace(taught, **change).differs_from(taught, 0.03) is differs
    assert not taught.differs_from(taught, 0.03)
    assert replace(taught, weights=taught.weights * 1.1).differs_from(taught, 0.03)
    assert replace(taught, centre=taught.centre * 1.1).differs_from(taught, 0.03)
    assert replace(taught, features=(*FEATURES[:-1], "noir")).differs_from(taught, 0.03)
