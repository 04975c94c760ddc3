"""Where bounds lie in the mean: against log p(x), against each other, against closed forms."""

import math
from itertools import pairwise

import pyro.distributions as dist
import pytest
import torch

from ppvae import log_terms
from ppvae.estimators import CUBO, IWAE, MIWAE, PIWAE, TVO, Renyi, UpperTVO, VRMax
from ppvae.exact import ExactGaussian
from ppvae.testing.problems import Problem, linear

REPEATS = 2000


def log_weights(problem, num_particles):
    """Log w of each repeat, (K, REPEATS), and the exact log p(x)."""
    with torch.no_grad():
        terms = log_terms(problem.model, problem.guide, problem.x, num_particles=num_particles)
        return terms.log_weight, problem.log_evidence[0]


def mean_and_error(values):
    return values.mean(), values.std() / len(values) ** 0.5


def exact(problem: Problem) -> ExactGaussian:
    weight, loc, log_scale = (value[0].detach() for value in problem.parameters.values())
    precision = 1 + weight.square().sum(0)
    return ExactGaussian(
        lambda x: problem.log_evidence[:1],
        lambda x: dist.Normal((x @ weight) / precision, precision.rsqrt()).to_event(1),
        lambda x: dist.Normal(loc.expand(1, 2), log_scale.exp()).to_event(1),
    )


def test_the_bound_rises_with_the_number_of_draws():
    log_weight, log_evidence = log_weights(linear(REPEATS, offset=0.8), 64)
    sizes = [1, 2, 4, 16, 64]
    bounds = [IWAE(k).of_weights(log_weight[:k]) for k in sizes]
    for few, many in pairwise(bounds):
        rise, error = mean_and_error(many - few)
        assert rise > 5 * error
    mean, error = mean_and_error(bounds[-1] - log_evidence)
    assert mean < 5 * error


@pytest.mark.parametrize("num_particles", [2, 5, 50])
@pytest.mark.parametrize("points", [1, 3, 20])
def test_the_left_sum_lies_below_log_evidence(points, num_particles):
    log_weight, log_evidence = log_weights(linear(REPEATS, offset=0.8), num_particles)
    mean, error = mean_and_error(TVO(points, num_particles).of_weights(log_weight) - log_evidence)
    assert mean < -5 * error


def test_groups_have_the_expectation_of_one_of_them():
    log_weight, _ = log_weights(linear(REPEATS, offset=0.8), 12)
    paired = MIWAE(3, 4).of_weights(log_weight) - IWAE(4).of_weights(log_weight[:4])
    mean, error = mean_and_error(paired)
    assert mean.abs() < 5 * error
    rise, error = mean_and_error(
        PIWAE(3, 4).of_weights(log_weight) - IWAE(4).of_weights(log_weight[:4])
    )
    assert rise > 5 * error


@pytest.mark.parametrize(
    "estimator", [UpperTVO(5, 5), CUBO(2.0, 5)], ids=lambda e: type(e).__name__
)
def test_an_estimate_of_an_upper_bound_may_lie_below_log_evidence(estimator):
    few, log_evidence = log_weights(linear(REPEATS, offset=0.8), 5)
    mean, error = mean_and_error(estimator.of_weights(few) - log_evidence)
    assert mean < -5 * error
    # And yet above the log of the mean weight of the same draws.
    rise, error = mean_and_error(estimator.of_weights(few) - IWAE(5).of_weights(few))
    assert rise > 5 * error


@pytest.mark.parametrize(
    "estimator", [UpperTVO(5, 5), CUBO(2.0, 5)], ids=lambda e: type(e).__name__
)
def test_it_lies_above_as_the_draws_grow_many(estimator):
    many, log_evidence = log_weights(linear(30, offset=0.8), 10_000)
    mean, error = mean_and_error(estimator.of_weights(many) - log_evidence)
    assert mean > 5 * error


def test_the_largest_weight_is_on_no_side():
    log_weight, log_evidence = log_weights(linear(300, offset=0.4), 500)
    below, few = mean_and_error(VRMax(1).of_weights(log_weight[:1]) - log_evidence)
    above, many = mean_and_error(VRMax(500).of_weights(log_weight) - log_evidence)
    assert below < -5 * few
    assert above > 5 * many


@pytest.mark.parametrize("alpha", [-1.0, -0.5, 0.5, 2.0, 3.0])
def test_renyi_of_many_draws_is_its_gaussian_closed_form(alpha):
    # A guide that is wider than p(z|x) on the one side of 1, narrower on the other.
    problem = linear(300, offset=-0.3 if alpha < 1 else 0.2)
    draws, power, x = 2000, 1 - alpha, problem.x[:1]
    log_weight, log_evidence = log_weights(problem, draws)
    truth = exact(problem)
    closed = log_evidence + truth.log_moment(x, power)[0] / power
    mean, error = mean_and_error(Renyi(alpha, draws).of_weights(log_weight))
    # To first order a logarithm of a mean is off by its variance over twice the square.
    variance = truth.log_moment(x, 2 * power)[0] - 2 * truth.log_moment(x, power)[0]
    bias = math.expm1(variance) / (2 * draws * abs(power))
    assert (mean - closed).abs() < 5 * error + 2 * bias
    assert bias < error


def test_the_closed_form_is_refused_where_the_integral_is_infinite():
    problem = linear(1, offset=0.4)
    truth, x = exact(problem), problem.x
    weight, _, log_scale = (value[0].detach() for value in problem.parameters.values())
    ratio = (1 + weight.square().sum(0)) * (2 * log_scale).exp()
    # s P + (1 - s) Q > 0, that is s (1 - ratio) < 1: q is narrower than p(z|x) by this ratio.
    last = float((1 / (1 - ratio)).min())
    assert truth.log_moment(x, last - 1e-3).isfinite().all()
    with pytest.raises(ValueError, match=r"power must leave E_q\[\(w / p\(x\)\)\^power\] finite"):
        truth.log_moment(x, last + 1e-3)
