"""Codes moved by Hamiltonian steps: dynamics, the law of their density, what one step buys."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from deep_pairs import hamiltonian
from pyro.infer import Trace_ELBO
from test_rich_guides import D, Linear, P, linear_gaussian, trained
from torch import nn
from torch.testing import assert_close

from ppvae import ELBO, IWAE, StickingTheLanding, encode, evaluate, log_terms, reconstruct
from ppvae.distributions import BernoulliLikelihood, OneDraw, StandardNormal, leapfrog
from ppvae.guides import GaussianGuide, HamiltonianGuide
from ppvae.models import VAE, TwoLayers
from ppvae.networks import MLP


def bent(z):
    """A log-density with a curved ridge, (..., 3) to (...,)."""
    return -0.5 * z.square().sum(-1) - (z[..., 0] - z[..., 1].square()).square() - z[..., 2].cosh()


def moved(start, steps=3):
    z, v = leapfrog(*start.chunk(2, -1), bent, torch.tensor([0.3, 0.1, 0.2]), steps)
    return torch.cat([z, v], -1)


def test_steps_preserve_volume():
    for start in torch.randn(5, 6):
        jacobian = torch.autograd.functional.jacobian(moved, start)
        assert float(jacobian.det().abs().log().abs()) < 1e-8
        assert not torch.allclose(moved(start), start, atol=0.1)


def test_steps_lead_back():
    start = torch.randn(20, 6)
    z, v = moved(start).chunk(2, -1)
    again, turned = moved(torch.cat([z, -v], -1)).chunk(2, -1)
    assert_close(torch.cat([again, -turned], -1), start, rtol=0, atol=1e-10)


def test_one_step_is_that_of_the_formula():
    z, v, size = torch.randn(4, 2), torch.randn(4, 2), torch.tensor([0.3, 0.5])
    precision = torch.tensor([[2.0, 0.6], [0.6, 1.0]])
    found = leapfrog(z, v, lambda at: -0.5 * ((at @ precision) * at).sum(-1), size, 1)
    half = v - 0.5 * size * (z @ precision)
    there = z + size * half
    assert_close(found[0], there, rtol=0, atol=1e-12)
    assert_close(found[1], half - 0.5 * size * (there @ precision), rtol=0, atol=1e-12)


class Reverse(nn.Module):
    """Loc linear in z and x, one log scale for all."""

    def __init__(self):
        super().__init__()
        self.loc = MLP([D, P], [], D)
        self.log_scale = nn.Parameter(torch.zeros(D))

    def forward(self, z, x):
        loc = self.loc(z, x)
        return torch.cat([loc, self.log_scale.expand_as(loc)], -1)


def gap(model, guide, x):
    """The mean over rows of log p(x) - ELBO from 400 draws, and its standard error."""
    with torch.no_grad():
        terms = log_terms(model, guide, x, num_particles=400)
        each = (model.log_evidence(x) - terms.log_weight).mean(1)
    return float(each.mean()), float(each.std() / 20)


@pytest.fixture(scope="module")
def one_step():
    """A trained guide of one step, its model and 50 rows."""
    torch.set_default_dtype(torch.float64)
    pyro.set_rng_seed(0)
    model, x = linear_gaussian()
    guide = HamiltonianGuide(Linear(0), Reverse(), model, D)
    with torch.no_grad():
        # From the best independent coordinates on.
        best = model.mean_field_posterior(torch.eye(P)).base_dist
        guide.encoder.loc.weight.copy_(best.loc.T)
        guide.encoder.loc.bias.zero_()
        guide.encoder.rest.copy_(best.scale.log().expand(P, D)[0])
    return model, trained(model, guide, x[:50], 300, num_particles=8, lr=0.05), x[:50]


def test_one_step_closes_half_of_the_gap_of_independent_coordinates(one_step):
    model, guide, x = one_step
    found, error = gap(model, guide, x)
    best_of_independent = float(model.mean_field_gap())
    assert best_of_independent > 0.1
    assert found + 5 * error < 0.5 * best_of_independent


def assert_evidence(model, guide, x):
    found = evaluate((model, guide), x, num_particles=40_000)
    exact = model.log_evidence(x).detach().numpy()
    errors = found["log_evidence_se"].values
    assert errors.max() < 0.05
    # 5 numbers, each 5 standard errors off by chance once in 1.7 million.
    assert abs((found["log_evidence"].values - exact) / errors).max() < 5


def test_weights_average_to_the_evidence(one_step):
    model, guide, x = one_step
    assert_evidence(model, guide, x[:5])


def test_weights_average_to_the_evidence_under_a_reverse_model_that_knows_nothing():
    model, x = linear_gaussian()
    guide = HamiltonianGuide(MLP(P, [], 2 * D), Reverse(), model, D, steps=3, step_size=0.1)
    for parameter in guide.parameters():
        if parameter is not guide.log_step_size:
            torch.nn.init.zeros_(parameter)
    guide.encoder.layers[0].weight.data[:D] = model.posterior(torch.eye(P)).mean.T.detach()
    assert_evidence(model, guide, x[:5])


def test_both_sites_together_have_the_density_of_start_and_momentum():
    model, guide = hamiltonian(6, 2)
    x = torch.rand(4, 6).round()
    terms = log_terms(model, guide, x, num_particles=3)
    momentum, z = terms.values["momentum"], terms.values["z"]
    standard = dist.Normal(0.0, 1.0)
    assert_close(terms.posterior["momentum"], standard.log_prob(momentum).sum(-1))
    # The start is where the known momentum leads to z: found by a fixed point.
    log_joint, size = guide._log_joint(x, None), guide.log_step_size.exp()
    z_0 = z.detach().clone()
    for _ in range(200):
        there, v = leapfrog(z_0, momentum.detach(), log_joint, size, 1)
        z_0 = (z_0 - (there - z)).detach()
    loc, log_scale = guide.encoder(x).chunk(2, -1)
    expected = dist.Normal(loc, log_scale.exp()).log_prob(z_0).sum(-1)
    loc, log_scale = guide.reverse(z, x).chunk(2, -1)
    expected = expected - dist.Normal(loc, log_scale.exp()).log_prob(v).sum(-1)
    assert_close(terms.posterior["z"], expected, rtol=0, atol=1e-9)


def test_model_and_guide_both_learn_through_the_steps():
    model, guide = hamiltonian(6, 2)
    x = torch.rand(4, 6).round()
    names, tensors = zip(*guide.named_parameters(), strict=True)
    assert not [name for name in names if "target" in name]
    loss = ELBO(2)(model, guide)(x)
    gradients = torch.autograd.grad(loss, [*tensors, *model.parameters()])
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)


def test_the_gradient_is_that_of_the_value():
    """Through the model's own gradient too: against differences, at the same noise."""
    model, guide = hamiltonian(6, 2)
    x = torch.rand(4, 6).round()

    def loss():
        pyro.set_rng_seed(3)
        return Trace_ELBO().differentiable_loss(model, guide, x)

    for parameter in (guide.log_step_size, model.decoder.layers[0].weight):
        (slope,) = torch.autograd.grad(loss(), parameter)
        values = []
        for shift in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.view(-1)[0] += shift
                values.append(float(loss()))
                parameter.view(-1)[0] -= shift
        difference = (values[0] - values[1]) / 2e-5
        assert float(slope.reshape(-1)[0]) == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_codes_and_reconstructions_leave_the_momentum_out():
    pair, x = hamiltonian(6, 2), torch.rand(4, 6).round()
    assert set(encode(pair, x).data_vars) == {"z_loc", "z_scale"}
    assert reconstruct(pair, x)["x_mean"].shape == x.shape


def test_holes_are_not_seen():
    pair, x = hamiltonian(6, 2), torch.rand(4, 6).round()
    mask = torch.rand(4, 6) < 0.6
    values = []
    for hole in (0.0, float("nan")):
        pyro.set_rng_seed(1)
        fields = {"x": x.masked_fill(~mask, hole), "mask": mask}
        values.append(log_terms(*pair, fields, num_particles=3).log_weight)
    assert_close(values[0], values[1], rtol=0, atol=0)


def guide_of(target=None, **settings):
    plain = VAE(MLP(2, [], 6), StandardNormal(2), BernoulliLikelihood())
    networks = MLP(6, [], 4), MLP([2, 6], [], 4)
    return HamiltonianGuide(*networks, target or plain, **{"latent_dim": 2, **settings})


X = torch.zeros(3, 6, dtype=torch.float64)
REFUSED = {
    "steps": (lambda: guide_of(steps=0), "steps must be at least 1; got 0"),
    "leapfrog": (lambda: leapfrog(X, X, bent, X, 0), "steps must be at least 1; got 0"),
    "width": (lambda: guide_of(latent_dim=0), "latent_dim must be at least 1; got 0"),
    "size": (lambda: guide_of(step_size=0.0), r"step_size must be positive .*; got 0\.0"),
    "encoder": (lambda: guide_of(latent_dim=3)(X), "encoder must have width 2 D, 6; got 4"),
    "target": (
        lambda: guide_of(lambda x: TwoLayers()(x[:, :1]))(X),
        r"target must have 'z' for its only latent site; got \['z2', 'z1'\]",
    ),
    "again": (
        lambda: ELBO(gradient=StickingTheLanding())(*hamiltonian(6, 2))(X),
        r"the guide must have a density at any given draw; got .* its own draw alone",
    ),
    "draws": (lambda: OneDraw(X, X[:, 0]).rsample((2,)), "made elsewhere, and there is one"),
}


@pytest.mark.parametrize("attempt, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(attempt, message):
    with pytest.raises((ValueError, NotImplementedError), match=message):
        attempt()


def test_iwae_draws_all_particles_at_once():
    model, guide = hamiltonian(6, 2)
    calls = []
    model.decoder.register_forward_hook(lambda _, given, out: calls.append(out.shape))
    pair = IWAE(7)(model, guide)
    pair(torch.rand(4, 6).round())
    calls.clear()
    pair(torch.rand(4, 6).round())
    # Twice in the step, once to score.
    assert calls == [(7, 4, 6)] * 3


def test_a_plain_guide_is_the_limit_of_tiny_steps():
    model, x = linear_gaussian()
    x, encoder = x[:50], Linear(0)
    guide = HamiltonianGuide(encoder, Reverse(), model, D, step_size=1e-4)
    with torch.no_grad():
        for parameter in guide.reverse.loc.parameters():
            parameter.zero_()
    found, error = gap(model, guide, x)
    plain, plain_error = gap(model, GaussianGuide(encoder), x)
    assert abs(found - plain) < 5 * (error + plain_error) + 0.1
