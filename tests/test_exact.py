"""Closed formulas and sums over states, each against an integral done another way."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows, standard_normal
from scipy.integrate import quad
from torch.distributions import kl_divergence
from torch.testing import assert_close

from ppvae.exact import ExactGaussian, ExactSum, binary_codes, grid
from ppvae.guides import AffineGuide, GaussianGuide
from ppvae.models import GaussianToy, LinearGaussian
from ppvae.networks import MLP

exactly = partial(assert_close, rtol=0, atol=1e-10)


@pytest.fixture
def x():
    return torch.randn(4, 5) * 1.5


@pytest.fixture
def parts():
    model = LinearGaussian(torch.randn(5, 2), bias=torch.randn(5), scale=0.7)
    return model, GaussianGuide(MLP(5, [3], 4))


@pytest.fixture
def pair(parts):
    model, guide = parts
    return ExactGaussian(model.log_evidence, model.posterior, guide.distribution)


def toy(shift=0.0):
    """One dimension: p(z|x) = N(x / 2, 1/2), q(z|x) = N(x / 2 + shift, 2/3)."""
    model = GaussianToy(torch.zeros(1))
    guide = AffineGuide(torch.full((1, 1), 0.5), torch.tensor([shift]), (2 / 3) ** 0.5)
    return ExactGaussian(model.log_evidence, model.posterior, guide.distribution)


def test_the_elbo_of_gaussians_is_the_expected_log_joint_plus_the_entropy(parts, pair, x):
    model, guide = parts
    q = guide.distribution(x)
    spread = (q.variance * model.weight.square().sum(0)).sum(-1) / 0.49
    likelihood = dist.Normal(q.mean @ model.weight.T + model.bias, 0.7).log_prob(x).sum(-1)
    prior = standard_normal(2).log_prob(q.mean) - q.variance.sum(-1) / 2
    exactly(pair.elbo(x), likelihood - spread / 2 + prior + q.entropy())


def test_the_elbo_of_gaussians_and_its_gap_add_up_to_log_evidence(parts, pair, x):
    model, guide = parts
    exactly(
        pair.elbo(x) + kl_divergence(guide.distribution(x), model.posterior(x)),
        pair.log_evidence(x),
    )


def test_the_cross_entropy_of_gaussians_is_the_moment_of_a_square(parts, pair, x):
    model, guide = parts
    q, p = guide.distribution(x), model.posterior(x)
    square = (p.mean - q.mean).square() + p.covariance_matrix.diagonal(dim1=-2, dim2=-1)
    by_hand = (square / q.variance + (2 * math.pi * q.variance).log()).sum(-1) / 2
    exactly(pair.cross_entropy(x), by_hand)


@pytest.mark.parametrize("power", [-0.9, 0.5, 1.0, 2.0, 3.0])
def test_a_moment_of_the_weights_is_an_integral(power):
    exact, x = toy(shift=0.3), torch.tensor([[1.7]])

    def integrand(z):
        p = exact.posterior(x).log_prob(torch.tensor([[z]]))
        q = exact.guided(x).log_prob(torch.tensor([[z]]))
        return (power * p + (1 - power) * q).exp().item()

    moment, _ = quad(integrand, -30, 30, epsabs=1e-13, limit=200, points=[0.85, 1.15])
    exactly(exact.log_moment(x, power), torch.tensor([math.log(moment)]))


def test_a_moment_of_dense_gaussians_is_a_sum_over_a_grid(parts, x):
    model, _ = parts
    wide = GaussianGuide(MLP(5, [3], 4)).distribution
    exact = ExactGaussian(model.log_evidence, model.posterior, wide)
    points, log_volume = grid(limit=9.0, size=241, dims=2)
    p, q = (d.log_prob(points[:, None]) for d in (model.posterior(x), wide(x)))
    exactly(exact.log_moment(x, 2.0), (2 * p - q).logsumexp(0) + log_volume)


def test_the_first_moment_of_the_weights_is_one(pair, x):
    exactly(pair.log_moment(x, 1.0), torch.zeros(4))


def test_a_moment_of_low_order_gives_the_gap(pair, x):
    small = 1e-5
    slope = (pair.log_moment(x, small) - pair.log_moment(x, -small)) / (2 * small)
    assert_close(slope, -pair.gap(x), rtol=1e-6, atol=1e-6)


def test_an_infinite_moment_is_refused():
    with pytest.raises(ValueError, match=r"power must leave .* finite.*; got power -4, eigen.* -0"):
        toy().log_moment(torch.zeros(1, 1), -4.0)


def two_bits(x):
    """z in {0, 1}^2 with x ~ N(z1 + 2 z2, 1), q independent of x."""
    prior, guided = torch.tensor([0.3, 0.6]), torch.tensor([0.5, 0.9])

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Bernoulli(prior).to_event(1))
            pyro.sample("x", dist.Normal(z @ torch.tensor([1.0, 2.0]), 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Bernoulli(guided).to_event(1))

    return model, guide


def test_sums_over_bits_are_those_by_hand():
    x = torch.tensor([0.3, 2.0, -1.0])
    exact = ExactSum(*two_bits(x), {"z": binary_codes(2)})
    p, q = [], []
    for z1, z2 in ((0, 0), (1, 0), (0, 1), (1, 1)):
        prior = (0.3 if z1 else 0.7) * (0.6 if z2 else 0.4)
        p.append(math.log(prior) + dist.Normal(z1 + 2.0 * z2, 1.0).log_prob(x))
        q.append(torch.tensor(0.5 * (0.9 if z2 else 0.1)).expand(3))
    p, q = torch.stack(p), torch.stack(q)
    log_evidence = p.exp().sum(0).log()
    posterior = (p - log_evidence).exp()
    exactly(exact.log_evidence(x), log_evidence)
    exactly(exact.posterior(x), posterior)
    exactly(exact.elbo(x), (q * (p - q.log())).sum(0))
    exactly(exact.cross_entropy(x), -(posterior * q.log()).sum(0))
    exactly(exact.inclusive_kl(x), (posterior * (posterior / q).log()).sum(0))


def test_sums_over_a_grid_are_the_closed_formulas():
    model = LinearGaussian(torch.randn(5, 2), bias=torch.randn(5), scale=0.7)
    guide, x = GaussianGuide(MLP(5, [3], 4)), torch.randn(4, 5)
    closed = ExactGaussian(model.log_evidence, model.posterior, guide.distribution)
    points, log_volume = grid(limit=20.0, size=401, dims=2)
    summed = ExactSum(model, guide, {"z": points}, log_volume)
    exactly(summed.log_evidence(x), closed.log_evidence(x))
    exactly(summed.elbo(x), closed.elbo(x))
    exactly(summed.cross_entropy(x), closed.cross_entropy(x))
    entropy = model.posterior(x).entropy()
    exactly(summed.inclusive_kl(x), closed.cross_entropy(x) - entropy)


def test_sums_leave_pyros_store_and_the_generators_alone(parts, x):
    points, log_volume = grid(limit=12.0, size=121, dims=2)
    summed = ExactSum(*parts, {"z": points}, log_volume)
    before = torch.get_rng_state()
    summed.elbo(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(pyro.get_param_store().keys())


def test_sums_follow_the_dtype_of_the_pair(parts, x):
    points, log_volume = grid(limit=12.0, size=121, dims=2)
    summed = ExactSum(*parts, {"z": points}, log_volume)
    double = summed.elbo(x)
    for part in parts:
        part.float()
    single = summed.elbo(x.float())
    assert single.dtype == torch.float32
    assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


def test_a_guide_between_the_points_of_a_grid_is_refused(parts, x):
    model, _ = parts
    narrow = AffineGuide(torch.zeros(2, 5), torch.full((2,), 0.05), spread=0.01)
    points, log_volume = grid(limit=12.0, size=121, dims=2)
    with pytest.raises(ValueError, match=r"states must hold all of q\(z\|x\), mass 1; got "):
        ExactSum(model, narrow, {"z": points}, log_volume).elbo(x)


def test_states_of_other_sites_than_the_latent_ones_are_refused():
    x = torch.zeros(3)
    message = r"must be given for the latent sites of the model, \['z'\]; got \['code'\]\."
    with pytest.raises(ValueError, match=message):
        ExactSum(*two_bits(x), {"code": binary_codes(2)}).log_evidence(x)


@pytest.mark.parametrize("states", [{}, {"z": torch.zeros(3), "y": torch.zeros(2)}])
def test_unequally_many_states_are_refused(states):
    with pytest.raises(ValueError, match=r"sites must have equally many states.*; got \{"):
        ExactSum(*two_bits(torch.zeros(3)), states)


def test_binary_codes_are_all_different():
    codes = binary_codes(5)
    assert codes.shape == (32, 5)
    assert len(codes.unique(dim=0)) == 32 and set(codes.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("latent_dim", [0, 13])
def test_codes_too_long_to_be_summed_are_refused(latent_dim):
    message = rf"latent_dim must be between 1 and 12, .*; got {latent_dim}\."
    with pytest.raises(ValueError, match=message):
        binary_codes(latent_dim)


@pytest.mark.parametrize(("limit", "size"), [(1.0, 1), (0.0, 5), (math.nan, 5)])
def test_a_grid_without_points_or_width_is_refused(limit, size):
    with pytest.raises(ValueError, match=r"a grid must have at least 2 points and a positive"):
        grid(limit, size)
