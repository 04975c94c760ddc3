"""Statistics of gradients, on samples whose mean and variance are known."""

import numpy as np
import pytest
import torch

from ppvae.bench.slopes import log_slope
from ppvae.bench.statistics import STATISTICS, deviation, jackknifed, statistics
from ppvae.bench.sums import BATCHES, BatchMeans

MEAN = torch.tensor([0.3, 0.0, -0.4, 0.0], dtype=torch.float64)
SPREAD = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
SIGNAL, VARIANCE = 0.25, 6.25
REPEATS = 200


def products(draws, against=None, chunk=None):
    means = BatchMeans({"leaf": draws[0]}, len(draws))
    for part in draws.split(chunk or len(draws)):
        means.add({"leaf": part})
    return means.products(["leaf"], None if against is None else {"leaf": against})


def samples(number=200, mean=MEAN):
    # Skewed, as gradients are: a test that needs the normal would fail on them.
    noise = torch.distributions.Exponential(torch.ones(())).sample((number, len(mean))) - 1
    return mean + SPREAD * noise


def repeated(statistic, **settings):
    """The statistic of many independent samples, and how far its mean may lie from its truth."""
    found = np.array([statistic(products(samples(), MEAN, **settings)) for _ in range(REPEATS)])
    return found, 5 * found.std(ddof=1) / REPEATS**0.5


def named(name):
    return STATISTICS.index(name)


def test_signal_and_noise_of_three_gradients_are_those_of_the_hand():
    # 1, 2 and 6: products of pairs 2 + 6 + 12, sample variance 7.
    found = statistics(products(torch.tensor([[1.0], [2.0], [6.0]])))
    assert found[named("mean_norm")] == pytest.approx((20 / 3) ** 0.5)
    assert found[named("variance")] == pytest.approx(7.0)
    assert found[named("snr")] == pytest.approx((20 / 21) ** 0.5)


def test_the_variance_is_unbiased():
    found, tolerance = repeated(lambda p: statistics(p)[named("variance")])
    assert abs(found.mean() - VARIANCE) < tolerance


def test_the_squared_norm_of_the_mean_is_unbiased_where_the_plain_one_is_not():
    sets = [samples() for _ in range(REPEATS)]
    # The two sides of "variance = mean square - signal".
    debiased = np.array(
        [float(s.square().sum(1).mean()) - statistics(products(s))[named("variance")] for s in sets]
    )
    plain = np.array([float(s.mean(0).square().sum()) for s in sets])
    assert abs(debiased.mean() - SIGNAL) < 5 * debiased.std(ddof=1) / REPEATS**0.5
    floor = VARIANCE / 200
    assert abs(plain.mean() - (SIGNAL + floor)) < 5 * plain.std(ddof=1) / REPEATS**0.5
    assert floor > 5 * plain.std(ddof=1) / REPEATS**0.5


def test_the_squared_bias_is_unbiased_and_zero_without_one():
    found, tolerance = repeated(lambda p: statistics(p)[named("bias_squared")])
    assert abs(found.mean()) < tolerance
    away = torch.tensor([0.0, 0.1, 0.0, 0.2])
    biased = [
        statistics(products(samples(), MEAN - away))[named("bias_squared")] for _ in range(REPEATS)
    ]
    assert abs(np.mean(biased) - 0.05) < 5 * np.std(biased, ddof=1) / REPEATS**0.5


def test_the_cosine_is_that_of_the_means():
    other = torch.tensor([1.0, 0.0, 0.0, 0.0])
    found = statistics(products(samples(200_000), other))[named("cosine")]
    # Standard error of each coordinate of the mean is at most 2 / 447, the mean 0.5 long.
    assert abs(found - 0.6) < 5 * 2 / 447 / 0.5


def test_standard_errors_are_as_large_as_the_spread_over_repetitions():
    strong = torch.tensor([3.0, 1.0, -2.0, 0.0])
    both = np.array([jackknifed(products(samples(mean=strong))) for _ in range(REPEATS)])
    for name in ("variance", "snr", "mean_norm"):
        values, errors = both[:, 0, named(name)], both[:, 1, named(name)]
        # The spread of 200 values is known to 5 percent, more with tails; 40 batches do the rest.
        assert 0.8 < np.sqrt((errors**2).mean()) / values.std(ddof=1) < 1.25


def test_gradients_may_come_in_any_chunks():
    draws = samples(101)
    whole, parts = products(draws, MEAN), products(draws, MEAN, chunk=7)
    for one, other in zip(vars(whole).values(), vars(parts).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert whole.weight.sum() == 101
    assert len(whole.weight) == BATCHES


def test_the_deviation_is_in_standard_errors():
    found = np.array([deviation(products(samples(400), MEAN), 0.0) for _ in range(REPEATS)])
    # Mean 0 and standard deviation 1, up to 5 standard errors; a t of 38 degrees has 1.03.
    assert abs(found.mean()) < 5 / REPEATS**0.5
    assert abs(found.std() - 1.03) < 5 / (2 * REPEATS) ** 0.5


def test_a_bias_shows_in_the_deviation():
    away = MEAN + torch.tensor([0.0, 0.0, 0.3, 0.0])
    # 0.3 at a standard error of 0.5 / 20, with some power lost to finding the direction.
    assert deviation(products(samples(400), away), 0.0) > 5


def test_a_bias_within_rounding_is_none():
    draws = MEAN + 1e-14 + torch.zeros(100, 4)
    assert deviation(products(draws, MEAN), 0.0) > 5
    assert deviation(products(draws, MEAN), 1e-12) < 1
    nothing = torch.zeros(100, 4)
    assert deviation(products(nothing, nothing[0]), 0.0) == 0


def test_what_is_not_known_is_nan():
    values, errors = jackknifed(products(torch.tensor([[1.0], [3.0]])))
    assert np.isnan(values[named("bias")])
    assert np.isnan(errors).all()
    # No signal: products of pairs are negative.
    assert np.isnan(statistics(products(torch.tensor([[1.0], [-1.0], [0.1]])))[named("snr")])


def test_the_slope_of_a_straight_line_and_its_error_are_those_of_the_hand():
    draws, ratio = np.array([1.0, 4.0, 16.0]), np.array([2.0, 4.0, 8.0])
    slope, error = log_slope(draws, ratio, 0.01 * ratio)
    assert slope == pytest.approx(0.5)
    # By hand: 0.01 / sqrt(sum (log K - mean)^2), which is 2 (log 4)^2.
    assert error == pytest.approx(0.01 / (2**0.5 * np.log(4)))
    assert np.isnan(log_slope(draws, [2.0, np.nan, 8.0], 0.01 * ratio)[0])


def test_a_slope_needs_two_draws():
    with pytest.raises(ValueError, match="draws must be at least two different K; got"):
        log_slope([4, 4], [1.0, 1.0], [0.1, 0.1])


def test_gradients_that_are_all_the_same_have_no_noise():
    draws = torch.full((50, 3), 0.1, dtype=torch.float32)
    values, errors = jackknifed(products(draws))
    assert values[named("variance")] == 0
    assert values[named("snr")] == np.inf
    assert np.isnan(errors[named("snr")])
