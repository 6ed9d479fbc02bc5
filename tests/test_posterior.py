"""The Gaussian posterior of linear weights, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from stream.learning.posterior import pack, solve, unpack_lower, unpack_symmetric


def random_sums(seed, d, n, scale=1.0):
    """S and c of n random rows, with what made them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * scale
    r = rng.random(n)
    return x.T @ x, x.T @ r, x, r


def by_brute_force(gram, moment, prior_precision, noise_precision, prior_mean):
    """Bishop's equations 3.50 and 3.51 word for word."""
    covariance = np.linalg.inv(np.diag(prior_precision) + noise_precision * gram)
    return covariance @ (prior_precision * prior_mean + noise_precision * moment), covariance


def by_least_squares(x, r, prior_precision, noise_precision):
    """The mean from the rows themselves: accurate where inverting S is not."""
    rows = np.vstack([np.sqrt(noise_precision) * x, np.diag(np.sqrt(prior_precision))])
    goal = np.concatenate([np.sqrt(noise_precision) * r, np.zeros(x.shape[1])])
    return np.linalg.lstsq(rows, goal, rcond=None)[0]


@pytest.mark.parametrize("n", [0, 1, 5, 400], ids=lambda n: f"{n} rows")
@pytest.mark.parametrize("d", [1, 2, 7, 65], ids=lambda d: f"{d} features")
def test_equals_brute_force(d, n):
    """Mean and covariance are those of an explicit inverse, with a prior mean and uneven prior precisions."""
    gram, moment, *_ = random_sums(d * 1000 + n, d, n)
    rng = np.random.default_rng(d)
    prior_precision, prior_mean = rng.uniform(0.5, 20, d), rng.normal(size=d)
    mean, factor = solve(gram, moment, prior_precision, 20.0, prior_mean)
    expected_mean, covariance = by_brute_force(gram, moment, prior_precision, 20.0, prior_mean)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-9, atol=1e-12)


def test_the_factor_is_choleskys():
    """Lower triangular with a positive diagonal, which only one factor of a covariance is."""
    gram, moment, *_ = random_sums(3, 6, 40)
    _, factor = solve(gram, moment, np.full(6, 10.0), 20.0, np.zeros(6))
    assert not np.triu(factor, 1).any()
    np.testing.assert_allclose(factor, np.linalg.cholesky(factor @ factor.T), rtol=1e-12)


@pytest.mark.parametrize("own_prior_means", [True, False], ids=["own prior means", "one prior mean"])
def test_batched_is_one_by_one(own_prior_means):
    """Many artworks at once have the posteriors that each has alone, bit for bit."""
    d, many = 5, [random_sums(seed, 5, 30) for seed in range(12)]
    grams, moments = np.array([sums[0] for sums in many]), np.array([sums[1] for sums in many])
    prior_precision = np.linspace(1, 5, d)
    prior_mean = np.random.default_rng(1).normal(size=(12, d) if own_prior_means else d)
    means, factors = solve(grams, moments, prior_precision, 20.0, prior_mean)
    for k in range(12):
        m0 = prior_mean[k] if own_prior_means else prior_mean
        mean, factor = solve(grams[k], moments[k], prior_precision, 20.0, m0)
        np.testing.assert_array_equal(means[k], mean)
        np.testing.assert_array_equal(factors[k], factor)


def test_without_rows_it_is_the_prior():
    """Nothing learned: the prior mean, and one over the prior precision."""
    prior_precision, prior_mean = np.array([4.0, 25.0]), np.array([0.3, -1.0])
    mean, factor = solve(np.zeros((2, 2)), np.zeros(2), prior_precision, 20.0, prior_mean)
    np.testing.assert_allclose(mean, prior_mean, rtol=1e-12)
    np.testing.assert_allclose(factor, np.diag([0.5, 0.2]), rtol=1e-12)


def test_arguments_are_left_alone():
    """Solving changes none of the arrays it is given: the sums are somebody else's."""
    gram, moment, *_ = random_sums(1, 3, 10)
    given_arrays = gram, moment, np.full(3, 10.0), np.ones(3)
    before = [array.copy() for array in given_arrays]
    solve(given_arrays[0], given_arrays[1], given_arrays[2], 20.0, given_arrays[3])
    for array, old in zip(given_arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("noise_precision", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("prior_precision", [1e-6, 1.0, 1e9])
def test_extreme_precisions(prior_precision, noise_precision):
    """Fifteen powers of ten between prior and noise, either way, and the mean is that of a least-squares fit."""
    gram, moment, x, r = random_sums(2, 4, 200)
    prior = np.full(4, prior_precision)
    mean, factor = solve(gram, moment, prior, noise_precision, np.zeros(4))
    np.testing.assert_allclose(mean, by_least_squares(x, r, prior, noise_precision), rtol=1e-9, atol=1e-15)
    covariance = by_brute_force(gram, moment, prior, noise_precision, np.zeros(4))[1]
    np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-9)


def test_features_of_very_different_sizes():
    """A feature in millions beside one in millionths costs neither of them digits."""
    sizes = np.array([1.0, 1e6, 1e-6])
    _, _, x, r = random_sums(4, 3, 500)
    x = x * sizes
    prior = np.full(3, 10.0)
    mean, _ = solve(x.T @ x, x.T @ r, prior, 20.0, np.zeros(3))
    np.testing.assert_allclose(mean, by_least_squares(x, r, prior, 20.0), rtol=1e-8)


@pytest.mark.parametrize("count", [1, 1000, 10**6, 10**9])
@pytest.mark.parametrize("value", [1.0, 1e3, 1e6])
def test_features_that_are_always_large_together(value, count):
    """Two features that never differ stay solvable, whatever their size: what they say together is learned."""
    x = np.array([1.0, value, value])
    mean, factor = solve(count * np.outer(x, x), 0.3 * count * x, np.full(3, 10.0), 20.0, np.zeros(3))
    evidence = 20.0 * count * (x @ x)
    assert mean @ x == pytest.approx(0.3 * evidence / (evidence + 10.0), rel=1e-9)
    assert np.square(x @ factor).sum() == pytest.approx((x @ x) / (10.0 + evidence), rel=1e-6)


@pytest.mark.parametrize(
    "gram",
    [np.diag([1.0, -1.0]), np.array([[1.0, 5.0], [5.0, 1.0]]), np.full((2, 2), np.nan)],
    ids=["negative square", "impossible correlation", "not a number"],
)
def test_what_is_no_sum_of_squares_is_refused(gram):
    """A matrix that no rows can have made raises, instead of giving numbers."""
    with pytest.raises(np.linalg.LinAlgError):
        solve(gram, np.zeros(2), np.full(2, 0.1), 20.0, np.zeros(2))


matrices = st.integers(1, 6).flatmap(
    lambda d: stn.arrays(np.float64, (3, d, d), elements=st.floats(allow_nan=False, allow_infinity=False))
)


@repeatable
@given(matrices)
def test_packing_keeps_every_bit(matrix):
    """A lower triangle, or a symmetric matrix, comes back from its packed form as it was."""
    d = matrix.shape[-1]
    lower = np.tril(matrix)
    packed = pack(matrix)
    assert packed.shape == (3, d * (d + 1) // 2)
    np.testing.assert_array_equal(unpack_lower(packed, d), lower)
    symmetric = np.where(np.tri(d, dtype=bool), matrix, np.swapaxes(matrix, -1, -2))
    np.testing.assert_array_equal(unpack_symmetric(packed, d), symmetric)
