"""Several layers of codes: exact evidence, exact ladders, sums of the parts, refusals."""

from itertools import pairwise

import pyro
import pyro.distributions as dist
import pytest
import torch
from deep_pairs import DEEP
from torch import nn
from torch.testing import assert_close

from ppvae import ELBO, evaluate, log_terms
from ppvae.distributions import (
    BernoulliLikelihood,
    GaussianLikelihood,
    MixturePrior,
    StandardNormal,
    gaussian_product,
)
from ppvae.examples.hierarchical import hierarchical
from ppvae.guides import LadderGuide, LayeredGaussianGuide
from ppvae.models import VAE, HierarchicalVAE
from ppvae.networks import MLP
from ppvae.pair import Pair

P, D = 4, 2
exactly = {"rtol": 0, "atol": 1e-12}


class Linear(nn.Module):
    """Loc = A z, one log scale for each coordinate, side by side."""

    def __init__(self, weight, scale):
        super().__init__()
        self.weight = weight
        self.log_scale = torch.as_tensor(scale).log().expand(len(weight))

    def forward(self, z):
        loc = z @ self.weight.T
        return torch.cat([loc, self.log_scale.expand_as(loc)], -1)


class Times(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, z):
        return z @ self.weight.T


def stack(weights, scales):
    """A linear-Gaussian stack, x first, and log p(x) as a function of x."""
    decoder, *upper = weights
    layers = [Linear(*each) for each in zip(upper, scales[1:], strict=True)]
    prior = StandardNormal(weights[-1].shape[1])
    model = HierarchicalVAE(Times(decoder), layers, prior, GaussianLikelihood(scales[0]))
    covariance = torch.eye(weights[-1].shape[1])
    for weight, scale in zip(reversed(weights), reversed(scales), strict=True):
        covariance = weight @ covariance @ weight.T + scale**2 * torch.eye(len(weight))
    return model, dist.MultivariateNormal(torch.zeros(len(decoder)), covariance).log_prob


def upward(depth):
    widths = [P, *[D] * depth]
    guide = LayeredGaussianGuide(
        Linear(0.2 * torch.randn(above, below), 0.9) for below, above in pairwise(widths)
    )
    return guide, [0.5 * torch.randn(P, D), *[0.5 * torch.randn(D, D) for _ in range(depth - 1)]]


@pytest.mark.parametrize("depth", [2, 3])
def test_the_evidence_of_a_linear_stack_is_met(depth):
    guide, weights = upward(depth)
    model, log_evidence = stack(weights, [1.0] * depth)
    x = 0.7 * torch.randn(5, P)
    found = evaluate((model, guide), x, num_particles=40_000)
    errors = found["log_evidence_se"].values
    assert errors.max() < 0.2
    # 5 numbers, each 5 standard errors off by chance once in 1.7 million.
    off = found["log_evidence"].values - log_evidence(x).numpy()
    assert abs(off / errors).max() < 5


def orthogonal(rows, columns, scales):
    return torch.linalg.qr(torch.randn(rows, columns))[0] * torch.tensor(scales)


def exact_ladder():
    """Two layers in which both conditionals of the posterior are independent over coordinates."""
    weight, upper = orthogonal(P, D, [2.0, 2.0]), orthogonal(D, D, [0.7, 1.5])
    noise, spread = 0.8, 0.5
    model, log_evidence = stack([weight, upper], [noise, spread])
    # x says of z1: N(W^+ x, noise^2 / 4); of z2 that, with the spread of z1 around it.
    project = weight.T / 4
    around = (noise**2 / 4 + spread**2) ** 0.5
    precision = 1 + upper.square().sum(0) / around**2
    head = Linear(upper.T / around**2 / precision[:, None], precision.rsqrt())
    heads = [Linear(torch.eye(D), noise / 2), head]
    return model, LadderGuide([Times(project), nn.Identity()], heads, model.layers), log_evidence


def test_the_ladder_is_the_exact_posterior_of_a_linear_stack():
    model, guide, log_evidence = exact_ladder()
    x = torch.randn(5, P)
    terms = log_terms(model, guide, x, num_particles=7)
    assert_close(terms.log_weight, log_evidence(x).expand(7, 5), rtol=0, atol=1e-10)


def test_a_closed_kl_by_layer_has_the_mean_of_the_sampled_one():
    """Model and ladder draw in one order, so that each layer has the formula given those above."""
    model, guide, log_evidence = exact_ladder()
    x = torch.randn(5, P)
    with torch.no_grad():
        terms = log_terms(model, guide, x, num_particles=2000)
    closed = terms.log_weight_with_kl
    error = closed.std(0) / 2000**0.5
    assert set(terms.kl) == {"z1", "z2"}
    assert float(((closed.mean(0) - log_evidence(x)) / error).abs().max()) < 5


def test_a_product_of_gaussians_is_that_of_the_formula():
    loc, log_scale = torch.randn(2, 6, 3), torch.randn(2, 6, 3)
    first, second = torch.cat([loc, log_scale], -1)
    precision = (-2 * log_scale).exp()
    found_loc, found_log_scale = gaussian_product(first, second).chunk(2, -1)
    expected = (precision * loc).sum(0) / precision.sum(0)
    assert_close(found_loc, expected, **exactly)
    assert_close((-2 * found_log_scale).exp(), precision.sum(0), rtol=1e-12, atol=1e-12)
    # Wherever it is looked at, it is the product up to a constant.
    z = torch.randn(5, 6, 3)
    off = dist.Normal(loc[:, None], log_scale[:, None].exp()).log_prob(z).sum(0)
    off = off - dist.Normal(found_loc, found_log_scale.exp()).log_prob(z)
    assert_close(off, off[:1].expand_as(off), rtol=0, atol=1e-9)


def test_a_product_with_no_precision_at_all_is_the_other():
    sure, unsure = torch.tensor([2.0, -3.0]), torch.tensor([100.0, 400.0])
    assert_close(gaussian_product(sure, unsure), sure, **exactly)
    assert_close(gaussian_product(unsure, sure), sure, **exactly)


@pytest.mark.parametrize("name", ["two-layers-ladder", "three-layers-upward"])
def test_the_terms_are_those_of_the_story(name):
    model, guide = DEEP[name](6, D)
    x = torch.rand(3, 6).round()
    terms = log_terms(model, guide, x, num_particles=2)
    codes = [terms.values[f"z{number}"] for number in range(1, len(terms.values) + 1)]
    logits = model.decoder(codes[0])
    assert_close(terms.likelihood["x"], dist.Bernoulli(logits=logits).log_prob(x).sum(-1))
    assert_close(terms.prior[f"z{len(codes)}"], dist.Normal(0.0, 1.0).log_prob(codes[-1]).sum(-1))
    for number, layer in enumerate(model.layers, 1):
        loc, log_scale = layer(codes[number]).chunk(2, -1)
        expected = dist.Normal(loc, log_scale.exp()).log_prob(codes[number - 1]).sum(-1)
        assert_close(terms.prior[f"z{number}"], expected)


def test_the_ladder_shares_the_layers_of_the_model():
    model, guide = DEEP["two-layers-ladder"](6, D)
    shared = [id(p) for p in model.layers.parameters()]
    assert set(shared) <= {id(p) for p in guide.parameters()}
    # An optimizer has each once.
    leaves = [id(p) for p in Pair(model, guide).leaves.values()]
    assert len(leaves) == len(set(leaves)) and set(shared) <= set(leaves)


@pytest.mark.parametrize("name", DEEP)
def test_a_prior_that_learns_stands_at_the_top(name):
    if name == "hamiltonian":
        pytest.skip("one layer")
    model, guide = DEEP[name](6, D)
    model.prior = MixturePrior(D, 3)
    ELBO(2)(model, guide)(torch.rand(3, 6).round()).backward()
    assert float(model.prior.loc.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", DEEP)
def test_holes_are_not_seen(name):
    pair, x = DEEP[name](6, D), torch.rand(4, 6).round()
    mask, values = torch.rand(4, 6) < 0.6, []
    for hole in (0.0, float("nan")):
        pyro.set_rng_seed(1)
        fields = {"x": x.masked_fill(~mask, hole), "mask": mask}
        values.append(log_terms(*pair, fields, num_particles=3).log_weight)
    assert bool(values[0].isfinite().all())
    assert_close(values[0], values[1], rtol=0, atol=0)


def test_the_defaults_are_the_networks_of_burda_et_al():
    from ppvae.data import load

    experiment = hierarchical(load("digits"))
    shapes = [tuple(p.shape) for p in experiment.guide.parameters() if p.dim() == 2]
    assert shapes == [(200, 64), (200, 200), (200, 200), (100, 100), (100, 100), (100, 100)]


def model_of(layers):
    return HierarchicalVAE(MLP(D, [], P), layers, StandardNormal(D), BernoulliLikelihood())


def ladder_of(upward=2, width=2 * D):
    return LadderGuide(
        [nn.Identity() for _ in range(upward)],
        [MLP(P, [], width), MLP(P, [], 2 * D)],
        [MLP(D, [], 2 * D)],
    )


X = torch.zeros(3, P, dtype=torch.float64)
REFUSED = {
    "no layer": (lambda: model_of([]), "layers must hold at least 1 network; got 0"),
    "odd layer": (lambda: model_of([MLP(D, [], 3)])(X), "layer 1 must have even width; got 3"),
    "no encoder": (lambda: LayeredGaussianGuide([]), "encoders must hold at least 1 network"),
    "short ladder": (
        lambda: ladder_of(upward=1),
        "upward and heads must be one more than the layers of the model, 2; got 1 and 2",
    ),
    "narrow head": (
        lambda: ladder_of(width=2)(X),
        "head 1 must be as wide as layer 1 of the model, 4; got 2",
    ),
    "odd product": (lambda: gaussian_product(X[:, :3], X[:, :3]), "even width; got 3"),
    "two widths": (lambda: gaussian_product(X[:, :2], X), "the same width; got 2 and 4"),
    "images": (lambda: model_of([MLP(D, [], 4)])(X[:, :, None]), r"x must be 2-dimensional"),
    "decoder": (lambda: model_of([MLP(D, [], 4)])(X[:, :3]), "decoder must be as wide as x, 3"),
}


@pytest.mark.parametrize("attempt, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def test_one_layer_of_networks_is_the_plain_guide():
    """LayeredGaussianGuide of one network has the site z1, and no z for a VAE."""
    guide = LayeredGaussianGuide([MLP(P, [], 2 * D)])
    model = VAE(MLP(D, [], P), StandardNormal(D), BernoulliLikelihood())
    with pytest.raises(ValueError, match=r"model has \['z'\], guide has \['z1'\]"):
        log_terms(model, guide, X)
