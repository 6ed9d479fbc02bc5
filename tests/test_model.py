"""The artwork model: River's estimator contract, and River's own posterior from rewards that come late."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st
from river import checks, datasets, evaluate, metrics, preprocessing
from river.linear_model import BayesianLinearRegression

from stream.learning.model import ArtworkModel
from stream.learning.sums import ArtworkSums

FEATURES = ("bias", "comedy", "romance", "horror", "drama")
PRECISIONS = [(1.0, 1.0), (10.0, 20.0), (0.1, 3.0)]


def river_checks(model):
    """River's checks of an estimator.

    They import scikit-learn for the data of multi-target models, which this is none of: an empty one will do.
    """
    absent = "sklearn" not in sys.modules
    if absent:
        sys.modules["sklearn"] = SimpleNamespace(datasets=None)
    try:
        found = [check for check in checks.yield_checks(model) if check.__name__ not in model._unit_test_skips()]
    finally:
        if absent:
            del sys.modules["sklearn"]
    return found


@pytest.mark.parametrize("check", river_checks(ArtworkModel()), ids=lambda check: check.__name__)
@pytest.mark.parametrize("precisions", [(1.0, 1.0), (10.0, 20.0)], ids=str)
def test_keeps_rivers_contract(check, precisions):
    """Each of River's estimator checks passes, with River's precisions and with ours."""
    random.seed(1)
    check(ArtworkModel(*precisions))


def test_rivers_batch_checks_are_among_them():
    """With pandas installed River checks learn_many and predict_many too, so they are not skipped unseen."""
    names = {check.__name__ for check in river_checks(ArtworkModel())}
    assert {"check_learn_many_matches_learn_one", "check_predict_many_matches_predict_one"} <= names
    assert not ArtworkModel()._unit_test_skips()


def random_story(seed):
    """Impressions with their rewards, and the same as events: credits in parts, some negative, in any order."""
    rng = np.random.default_rng(seed)
    rows, events = [], []
    for _ in range(int(rng.integers(1, 40))):
        known = int(rng.integers(1, len(FEATURES) + 1))  # later features are rarer: they appear on the way
        x = {"bias": 1.0} | {name: float(rng.normal()) for name in FEATURES[1:known]}
        parts = rng.uniform(-1, 1, size=int(rng.integers(0, 4)))
        rows.append((x, float(parts.sum())))
        events.append((x, None))
        events.extend((x, float(part)) for part in parts)
    rng.shuffle(events)
    return rows, events


def queries(seed):
    """Contexts to predict for, some with features never seen."""
    rng = np.random.default_rng(seed + 1)
    return [{name: float(rng.normal()) for name in FEATURES} for _ in range(3)]


@pytest.mark.parametrize(("prior_precision", "noise_precision"), PRECISIONS)
@repeatable
@given(seed=st.integers(0, 2**32))
def test_equals_river_on_the_joined_rows(prior_precision, noise_precision, seed):
    """Impressions and credits in any interleaving end at River's learn_many of the joined rows, within 1e-9."""
    rows, events = random_story(seed)
    ours = ArtworkModel(prior_precision, noise_precision)
    for x, credit in events:
        if credit is None:
            ours.learn_impression(x)
        else:
            ours.learn_reward(x, credit)
    rivers = BayesianLinearRegression(alpha=1 / prior_precision, beta=noise_precision)
    frame = pd.DataFrame([x for x, _ in rows]).fillna(0.0)
    rivers.learn_many(frame, pd.Series([y for _, y in rows]))
    for x in queries(seed):
        seen = {name: value for name, value in x.items() if name in frame.columns}
        a, b = ours.predict_one(seen, with_dist=True), rivers.predict_one(seen, with_dist=True)
        assert a.mu == pytest.approx(b.mu, rel=1e-9, abs=1e-9)
        assert a.sigma == pytest.approx(b.sigma, rel=1e-9, abs=1e-9)
        assert ours.predict_one(seen) == a.mu


@repeatable
@given(seed=st.integers(0, 2**32))
def test_equals_rivers_learn_one(seed):
    """One by one the same, with alpha 1: with another, River's first covariance is 1/alpha instead of alpha."""
    rows, _ = random_story(seed)
    ours, rivers = ArtworkModel(1.0, 2.0), BayesianLinearRegression(alpha=1.0, beta=2.0)
    for x, y in rows:
        ours.learn_one(x, y)
        rivers.learn_one(x, y)
    for x in queries(seed):
        a, b = ours.predict_one(x, with_dist=True), rivers.predict_one(x, with_dist=True)
        assert (a.mu, a.sigma) == pytest.approx((b.mu, b.sigma), rel=1e-9, abs=1e-9)


@repeatable
@given(seed=st.integers(0, 2**32))
def test_learn_many_equals_learn_one(seed):
    """A batch, its columns in any order, equals its rows one by one; predict_many equals predict_one."""
    rows, _ = random_story(seed)
    one, many = ArtworkModel(10, 20), ArtworkModel(10, 20)
    for x, y in rows:
        one.learn_one(x, y)
    frame = pd.DataFrame([x for x, _ in rows]).fillna(0.0)
    half = len(rows) // 2
    rewards = pd.Series([y for _, y in rows])
    many.learn_many(frame.iloc[:half, ::-1], rewards.iloc[:half])
    many.learn_many(frame.iloc[half:], rewards.iloc[half:])
    asked = pd.DataFrame(queries(seed))
    expected = [one.predict_one(x) for x in queries(seed)]
    assert many.predict_many(asked).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_river_evaluates_it():
    """River's progressive validation, in a River pipeline, gives the error it gives River's own model."""
    scores = [
        evaluate.progressive_val_score(
            datasets.TrumpApproval(), preprocessing.StandardScaler() | model, metrics.MAE()
        ).get()
        for model in (ArtworkModel(), BayesianLinearRegression())
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


def test_a_credit_taken_back_leaves_nothing():
    """A credit and its correction cancel, however often."""
    x = {"bias": 1.0, "comedy": 0.3}
    model, untouched = ArtworkModel(), ArtworkModel()
    model.learn_impression(x)
    untouched.learn_impression(x)
    for credit in (0.5, 0.25, -0.75) * 10:
        model.learn_reward(x, credit)
    assert model.predict_one(x) == pytest.approx(untouched.predict_one(x), abs=1e-12)


def test_an_unseen_feature_has_its_prior():
    """What was never seen adds 1/λ to the variance: as if it had been there from the start, and always 0."""
    never, always = ArtworkModel(10, 20), ArtworkModel(10, 20)
    never.learn_one({"bias": 1.0}, 0.5)
    always.learn_one({"bias": 1.0, "late": 0.0}, 0.5)
    x = {"bias": 1.0, "late": 3.0}
    a, b = never.predict_one(x, with_dist=True), always.predict_one(x, with_dist=True)
    assert (a.mu, a.sigma) == pytest.approx((b.mu, b.sigma), rel=1e-12)
    untaught = ArtworkModel(10, 20).predict_one({"late": 3.0}, with_dist=True)
    assert (untaught.mu, untaught.sigma) == pytest.approx((0.0, (1 / 20 + 9 / 10) ** 0.5))


def test_an_empty_row_teaches_nothing():
    """A row without features leaves the model at its prior, before and after others."""
    model = ArtworkModel()
    model.learn_one({}, 1.0)
    assert model.predict_one({"bias": 1.0}) == 0.0
    model.learn_one({"bias": 1.0}, 1.0)
    expected = model.predict_one({"bias": 1.0})
    model.learn_one({}, 1.0)
    assert model.predict_one({"bias": 1.0}) == expected == pytest.approx(0.5)


def test_a_clone_knows_nothing_yet():
    """River's clone has the parameters and none of the learning; the original keeps its own."""
    model = ArtworkModel(3.0, 7.0)
    model.learn_one({"bias": 1.0}, 1.0)
    clone = model.clone()
    assert (clone.prior_precision, clone.noise_precision) == (3.0, 7.0)
    assert clone.predict_one({"bias": 1.0}) == 0.0
    assert model.predict_one({"bias": 1.0}) == pytest.approx(7 / 10)
    assert model.clone({"noise_precision": 1.0}).noise_precision == 1.0


class TestView:
    """A model over arrays that somebody else owns."""

    @pytest.fixture
    def sums(self):
        """The sums of two artworks."""
        sums = ArtworkSums(("bias", "comedy"))
        for _ in range(2):
            sums.new_slot()
        return sums

    def test_learning_through_it_changes_the_sums(self, sums):
        """What the view learns, by River's names too, is in the arrays, and in those of no other artwork."""
        model = sums.model(1, 10, 20)
        model.learn_one({"bias": 1.0, "comedy": 0.5}, 1.0)
        model.learn_many(pd.DataFrame({"comedy": [0.5], "bias": [1.0]}), pd.Series([0.5]))
        assert sums.gram[1].tolist() == [[2.0, 1.0], [1.0, 0.5]]
        assert sums.moment[1].tolist() == [1.5, 0.75]
        assert not sums.gram[0].any()

    def test_it_sees_what_the_sums_learn(self, sums):
        """A prediction follows what was learned past the view, even after it has predicted before."""
        model, expected = sums.model(0, 10, 20), ArtworkModel(10, 20)
        x = {"bias": 1.0, "comedy": 0.5}
        assert model.predict_one(x) == 0.0
        sums.learn_impressions(np.array([0]), [{"comedy": 0.5}])
        sums.learn_rewards(np.array([0]), [{"comedy": 0.5}], np.array([1.0]), np.array([1.0]))
        expected.learn_one(x, 1.0)
        assert model.predict_one(x) == pytest.approx(expected.predict_one(x), rel=1e-12)
        assert model.predict_many(pd.DataFrame([x])).tolist() == pytest.approx([expected.predict_one(x)])
        assert model.predict_one(x, with_dist=True).sigma == pytest.approx(
            expected.predict_one(x, with_dist=True).sigma
        )

    @pytest.mark.parametrize("verb", ["learn_impression", "learn_reward", "learn_one", "learn_many"])
    def test_it_refuses_other_features(self, sums, verb):
        """A feature that has no column is refused by name, and nothing of the record is learned."""
        model = sums.model(0, 10, 20)
        given = {
            "learn_impression": ({"bias": 1.0, "new": 1.0},),
            "learn_reward": ({"bias": 1.0, "new": 1.0}, 1.0),
            "learn_one": ({"bias": 1.0, "new": 1.0}, 1.0),
            "learn_many": (pd.DataFrame({"bias": [1.0], "new": [1.0]}), pd.Series([1.0])),
        }
        with pytest.raises(ValueError, match="'new'"):
            getattr(model, verb)(*given[verb])
        assert model.features == ("bias", "comedy")
        assert not sums.gram.any()
        assert not sums.moment.any()


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["prior_precision", "noise_precision"])
def test_refuses_what_is_no_precision(name, bad):
    """A precision is a positive number."""
    with pytest.raises(ValueError, match="precisions must be above 0"):
        ArtworkModel(**{name: bad})
