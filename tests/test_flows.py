"""Guides and priors beyond the diagonal Gaussian: Jacobians, inverses, densities, their places."""

import copy

import pyro.distributions as dist
import pyro.distributions.transforms as pyro_transforms
import pytest
import torch
from pairs import PAIRS, D, P, fields_for, rows_for
from rich_pairs import CONTEXT, FLOWS, autoregressive
from torch import nn

from ppvae import ELBO, log_terms
from ppvae.distributions import (
    DiagonalMixture,
    FlowPrior,
    MixturePrior,
    Sylvester,
    Transforms,
    VampPrior,
    full_gaussian,
    full_gaussian_width,
)
from ppvae.guides import FlowGuide, FullGaussianGuide, GaussianGuide, MixtureGuide
from ppvae.networks import MLP

# Transforms of Pyro beside those of the registry, from the widths of code and context.
MORE = {
    "pyro-iaf": lambda d, c: pyro_transforms.conditional_affine_autoregressive(d, c, [4]),
    "pyro-spline": lambda d, c: pyro_transforms.conditional_spline(d, c, [4], count_bins=4),
    "pyro-coupling": lambda d, c: pyro_transforms.conditional_affine_coupling(
        d, c, hidden_dims=[4]
    ),
    "sylvester-free": lambda d, c: Sylvester(d, reflections=1),
    "affine-coupling": lambda d, c: pyro_transforms.affine_coupling(d, hidden_dims=[4]),
    "inverse": lambda d, c: pyro_transforms.affine_autoregressive(d, hidden_dims=[4]).inv,
    "zuko-inverse": lambda d, c: autoregressive(d, c).inv,
}
ALL = {**FLOWS, **MORE}
WITHOUT_INVERSE = ("planar", "radial", "sylvester", "sylvester-free")


def flow_guide(names, rows=3):
    guide = FlowGuide(
        MLP(P, [6], 2 * D + CONTEXT), [ALL[name](D, CONTEXT) for name in names], CONTEXT
    )
    # Away from the beginning, where much is zero.
    for parameter in guide.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return guide, torch.randn(rows, P)


@pytest.mark.parametrize("name", ALL)
def test_the_log_determinant_is_that_of_the_jacobian(name):
    guide, x = flow_guide([name, name])
    for row in x.split(1):
        posterior = guide.distribution(row)
        e = posterior.base_dist.rsample()

        def through(e, posterior=posterior):
            for transform in posterior.transforms:
                e = transform(e)
            return e

        jacobian = torch.autograd.functional.jacobian(through, e)[0, :, 0]
        z = through(e)
        expected = posterior.base_dist.log_prob(e) - jacobian.det().abs().log()
        torch.testing.assert_close(posterior.log_prob(z), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in ALL if name not in WITHOUT_INVERSE])
def test_an_inverse_comes_back(name):
    guide, x = flow_guide([name, name])
    z = guide.distribution(x).sample((20,))
    again = guide.distribution(x)
    for transform in reversed(again.transforms):
        z = transform.inv(z)
    forth = z
    for transform in again.transforms:
        forth = transform(forth)
    e = forth
    for transform in reversed(guide.distribution(x).transforms):
        e = transform.inv(e)
    torch.testing.assert_close(e, z, rtol=0, atol=1e-6)


def plane(half=12.0, points=601):
    line = torch.linspace(-half, half, points)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)
    return grid.reshape(-1, 2), (line[1] - line[0]) ** 2


def guided(guide, rows=2):
    return guide.distribution(torch.randn(rows, P))


DENSITIES = {
    "full": lambda: guided(FullGaussianGuide(MLP(P, [6], full_gaussian_width(D)))),
    "mixture": lambda: guided(MixtureGuide(MLP(P, [6], 3 * (1 + 2 * D)), 3)),
    "iaf": lambda: guided(flow_guide(["iaf"])[0]),
    "spline": lambda: guided(flow_guide(["spline"])[0]),
    "coupling": lambda: guided(flow_guide(["coupling"])[0]),
    "mixture prior": lambda: MixturePrior(D, 3)(),
    "vamp prior": lambda: VampPrior(
        GaussianGuide(MLP(P, [6], 2 * D)).distribution, torch.randn(4, P)
    )(),
    "flow prior": lambda: FlowPrior(D, [autoregressive(D).inv, FLOWS["spline"](D, 0)])(),
}


@pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES)
def test_a_density_on_the_plane_integrates_to_one(make):
    density, (points, area) = make(), plane()
    with torch.no_grad():
        values = density.log_prob(points[:, None] if density.batch_shape else points)
    total = values.exp().sum(0) * area
    # A spline has kinks in its slope, at which the sum over the grid is a little off.
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-3)


@pytest.mark.parametrize("make", DENSITIES.values(), ids=DENSITIES)
def test_draws_have_the_moments_of_the_density(make):
    density, (points, area) = make(), plane()
    with torch.no_grad():
        weight = density.log_prob(points[:, None] if density.batch_shape else points).exp() * area
        mean = (weight.unsqueeze(-1) * (points[:, None] if weight.dim() == 2 else points)).sum(0)
        z = density.sample((20_000,))
    score = (z.mean(0) - mean) / (z.std(0) / 20_000**0.5)
    # At most 4 numbers, each 5 standard errors off by chance once in 1.7 million.
    assert float(score.abs().max()) < 5


def test_the_full_gaussian_is_built_row_by_row():
    found = full_gaussian(torch.tensor([1.0, 2, 3, 0, 0.5, 1, 10, 20, 30]), "encoder")
    lower = torch.tensor([[1.0, 0, 0], [10, 0.5, 0], [20, 30, 1]])
    lower[1, 1], lower[2, 2] = torch.tensor(0.5).exp(), torch.tensor(1.0).exp()
    torch.testing.assert_close(found.scale_tril, lower)
    torch.testing.assert_close(found.loc, torch.tensor([1.0, 2, 3]))
    with pytest.raises(ValueError, match=r"width D \(D \+ 3\) / 2 for some D; got 4"):
        full_gaussian(torch.zeros(4), "encoder")


def test_pseudo_inputs_that_are_the_rows_give_the_aggregate_posterior():
    guide, x = GaussianGuide(MLP(P, [6], 2 * D)), torch.randn(30, P)
    z = torch.randn(50, D)
    with torch.no_grad():
        found = VampPrior(guide.distribution, x)().log_prob(z)
        each = guide.distribution(x).log_prob(z[:, None])
    expected = each.logsumexp(-1) - torch.tensor(30.0).log()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_vamp_prior_trains_the_guide_through_itself_and_is_copied_with_it():
    pair = PAIRS["vamp-prior"]()
    x = fields_for(pair, rows_for(pair))["x"]
    model, guide = copy.deepcopy(pair)
    assert model.prior.guide is guide and model.prior.posterior.__self__ is guide
    ELBO().loss(model, guide, x)
    prior = model.prior()
    prior.log_prob(torch.randn(5, D)).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in guide.parameters())
    assert model.prior.pseudo_inputs.grad.any() and model.prior.logits.grad.any()


@pytest.mark.parametrize("name", ["planar", "iaf", "spline", "flow-prior"])
def test_a_pair_that_has_run_is_copied_and_pickled(name, tmp_path):
    pair = PAIRS[f"flow-guide-{name}" if name != "flow-prior" else name]()
    fields = fields_for(pair, rows_for(pair))
    log_terms(*pair, fields)
    again = copy.deepcopy(pair)
    torch.save([part.state_dict() for part in again], tmp_path / "pair.pt")
    states = torch.load(tmp_path / "pair.pt")
    for part, state in zip(again, states, strict=True):
        part.load_state_dict(state)
    torch.manual_seed(1)
    first = log_terms(*pair, fields).log_weight
    torch.manual_seed(1)
    torch.testing.assert_close(log_terms(*again, fields).log_weight, first, rtol=0, atol=0)


def test_a_slope_is_that_of_the_draw_that_is_scored():
    transformed = Transforms([autoregressive(D)])(dist.Normal(torch.zeros(2, D), 1.0).to_event(1))
    (transform,) = transformed.transforms
    first, second = torch.randn(2, D), torch.randn(2, D) + 3
    y = transform(first)
    transform(second)
    expected = autoregressive_slope(transform, first)
    torch.testing.assert_close(transform.log_abs_det_jacobian(first, y), expected)


def autoregressive_slope(transform, x):
    return torch.stack(
        [torch.autograd.functional.jacobian(transform, row).det().abs().log() for row in x]
    )


def test_a_prior_that_has_been_scored_is_copied():
    prior = FlowPrior(D, [pyro_transforms.affine_autoregressive(D, hidden_dims=[4])])
    z = torch.randn(3, D)
    density = prior().log_prob(z)
    assert density.requires_grad
    torch.testing.assert_close(copy.deepcopy(prior)().log_prob(z), density)


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="must be those of Pyro or Zuko; got one of type int"):
        FlowGuide(MLP(P, [], 2 * D), [3])
    with pytest.raises(ValueError, match="context_dim must be at least 0; got -1"):
        FlowGuide(MLP(P, [], 2 * D), [], -1)
    with pytest.raises(ValueError, match="without its context, must have even width; got 3"):
        FlowGuide(nn.Linear(P, 6), [], 3).distribution(torch.zeros(1, P))
    with pytest.raises(ValueError, match=r"C \(1 \+ 2 D\) for C = 2 components; got 7"):
        MixtureGuide(nn.Linear(P, 7), 2).distribution(torch.zeros(1, P))
    with pytest.raises(ValueError, match=r"pseudo_inputs must be \(C, P\); got shape \(3,\)"):
        VampPrior(lambda x: x, torch.zeros(3))
    with pytest.raises(ValueError, match=r"must give a diagonal Gaussian, .*; got Multi"):
        VampPrior(lambda x: full_gaussian(torch.zeros(len(x), 5), "e"), torch.zeros(3, P))()
    with pytest.raises(ValueError, match=r"must fit; got shapes \(3,\), \(2, 2\)"):
        DiagonalMixture(torch.zeros(3), torch.zeros(2, 2), torch.ones(2, 2))
    with pytest.raises(ValueError, match="reflections must be at least 0; got -1"):
        Sylvester(2, reflections=-1)
    for name in ("latent_dim", "components"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
            MixturePrior(**{"latent_dim": 2, "components": 2, name: 0})
    assert isinstance(FlowPrior(2, [])(), dist.TransformedDistribution)
