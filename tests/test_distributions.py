"""Priors and likelihoods against formulas written by hand."""

import itertools
import math

import pyro
import pytest
import scipy.stats
import torch
from pyro import poutine

from ppvae.distributions import (
    BernoulliLikelihood,
    BernoulliPrior,
    FlatPrior,
    GaussianLikelihood,
    StandardNormal,
)


def draw_codes(prior, batch_size=4):
    with pyro.plate("data", batch_size, dim=-1):
        return pyro.sample("z", prior())


def test_the_standard_normal_has_the_textbook_density():
    z = torch.randn(7, 4, 3)
    by_hand = torch.from_numpy(scipy.stats.norm.logpdf(z.numpy())).sum(-1)
    torch.testing.assert_close(StandardNormal(3)().log_prob(z), by_hand, rtol=0, atol=1e-12)


def test_the_standard_normal_follows_the_dtype_of_its_module():
    assert StandardNormal(3).float()().sample().dtype == torch.float32


def test_the_bernoulli_prior_is_fair_until_its_logits_are_learned():
    prior, z = BernoulliPrior(3), torch.rand(7, 4, 3).round()
    torch.testing.assert_close(prior().log_prob(z), torch.full((7, 4), -3 * math.log(2)))
    prior.logits.data = torch.tensor([-1.0, 0.5, 2.0])
    p = torch.sigmoid(prior.logits)
    by_hand = (z * p.log() + (1 - z) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(prior().log_prob(z), by_hand, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prior", [StandardNormal, FlatPrior, BernoulliPrior])
def test_a_prior_is_one_code_of_width_d(prior):
    p = prior(3)()
    assert (p.batch_shape, p.event_shape) == ((), (3,))


@pytest.mark.parametrize("prior", [StandardNormal, FlatPrior])
def test_a_prior_has_nothing_to_train_or_to_save(prior):
    assert not list(prior(3).parameters())
    assert not prior(3).state_dict()


@pytest.mark.parametrize("prior", [StandardNormal, FlatPrior])
def test_a_prior_without_a_dimension_is_refused(prior):
    with pytest.raises(ValueError, match=r"latent_dim must be at least 1; got 0\."):
        prior(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_flat_prior_scores_every_code_zero_in_the_dtype_of_the_code(dtype):
    z = torch.randn(4, 3, dtype=dtype)
    conditioned = poutine.condition(draw_codes, {"z": z})
    trace = poutine.trace(conditioned).get_trace(FlatPrior(3))
    trace.compute_log_prob()
    log_prob = trace.nodes["z"]["log_prob"]
    torch.testing.assert_close(log_prob, torch.zeros(4, dtype=dtype))


def test_the_flat_prior_broadcasts_over_particles():
    z = torch.randn(7, 4, 3)
    assert torch.equal(FlatPrior(3)().expand([4]).log_prob(z), torch.zeros(7, 4))


def test_the_flat_prior_refuses_to_draw():
    message = r"a flat prior scores codes and cannot draw them; got a model run without"
    with pytest.raises(ValueError, match=message):
        draw_codes(FlatPrior(3))


def test_the_flat_prior_refuses_codes_of_another_width():
    with pytest.raises(ValueError, match="right-most size of value"):
        FlatPrior(3)().log_prob(torch.randn(4, 2))


def test_bernoulli_sums_to_one_over_all_images():
    logits = torch.randn(5, 4)
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    log_probs = BernoulliLikelihood()(logits).log_prob(images[:, None])
    torch.testing.assert_close(log_probs.logsumexp(0), torch.zeros(5), rtol=0, atol=1e-12)


def test_bernoulli_is_the_sigmoid_of_its_logit():
    logits = torch.randn(5, 1)
    log_prob = BernoulliLikelihood()(logits).log_prob(torch.ones(5, 1))
    torch.testing.assert_close(log_prob, -torch.log1p((-logits[:, 0]).exp()))


def test_bernoulli_stays_exact_where_the_sigmoid_saturates():
    likelihood = BernoulliLikelihood()(torch.tensor([[1000.0], [-1000.0]]))
    assert torch.equal(likelihood.log_prob(torch.zeros(2, 1)), torch.tensor([-1000.0, 0.0]))


@pytest.mark.parametrize("learn_scale", [False, True])
def test_gaussian_has_the_textbook_density(learn_scale):
    loc, x = torch.randn(7, 4, 3), torch.randn(4, 3)
    log_prob = GaussianLikelihood(0.3, learn_scale=learn_scale)(loc).log_prob(x)
    by_hand = scipy.stats.norm.logpdf(x.numpy(), loc.numpy(), 0.3).sum(-1)
    torch.testing.assert_close(log_prob.detach(), torch.from_numpy(by_hand), rtol=1e-12, atol=0)


def test_gaussian_of_scale_one_is_half_the_squared_error():
    loc, x = torch.randn(4, 3), torch.randn(4, 3)
    squared_error = (x - loc).square().sum(-1)
    expected = -0.5 * squared_error - 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(GaussianLikelihood()(loc).log_prob(x), expected)


def test_a_learned_scale_has_the_gradient_of_the_formula():
    loc, x = torch.randn(4, 3), torch.randn(4, 3)
    likelihood = GaussianLikelihood(0.3, learn_scale=True)
    likelihood(loc).log_prob(x).sum().backward()
    by_hand = ((x - loc).square() / 0.3**2 - 1).sum()
    torch.testing.assert_close(likelihood.log_scale.grad, by_hand)


def test_a_fixed_scale_is_not_a_parameter():
    assert not list(GaussianLikelihood(0.3).parameters())


@pytest.mark.parametrize("learn_scale", [False, True])
def test_a_state_dict_restores_the_scale(learn_scale):
    saved = GaussianLikelihood(0.3, learn_scale=learn_scale).state_dict()
    restored = GaussianLikelihood(1.0, learn_scale=learn_scale)
    restored.load_state_dict(saved)
    torch.testing.assert_close(restored.log_scale.exp().item(), 0.3)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=rf"scale must be positive and finite; got {scale}\."):
        GaussianLikelihood(scale)


@pytest.mark.parametrize("likelihood", [BernoulliLikelihood(), GaussianLikelihood()])
def test_a_likelihood_keeps_particles_and_rows_apart(likelihood):
    p = likelihood(torch.randn(7, 4, 3))
    assert (p.batch_shape, p.event_shape) == ((7, 4), (3,))
