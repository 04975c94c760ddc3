"""A guide refined datum by datum, held against the exact posterior, and the gaps that it tells."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from matplotlib.figure import Figure
from programs import linear_pair, rows, standard_normal
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence
from torch.testing import assert_close

import ppvae
from ppvae import Experiment, inference_gaps, plot, refine
from ppvae.data import from_arrays
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.exact import ExactGaussian
from ppvae.guides import CategoricalGuide, GaussianGuide, LayeredGaussianGuide
from ppvae.models import VAE, ClusterMixture, LinearGaussian, TwoLayers
from ppvae.networks import MLP

P, D, B = 5, 2, 6


@pytest.fixture
def amortized():
    """A correlated linear-Gaussian posterior, and an encoder that nobody trained."""
    model = LinearGaussian(torch.randn(P, D), bias=torch.randn(P), scale=0.7)
    return model, GaussianGuide(nn.Linear(P, 2 * D)), torch.randn(B, P) * 1.5


def moments(refined):
    guide = refined.pair.guide
    return guide.locs["z"].detach(), guide.log_scales["z"].detach().exp()


def test_each_datum_reaches_the_best_diagonal_gaussian(amortized):
    model, guide, x = amortized
    loc, scale = moments(refine((model, guide), x, steps=400))
    best = model.mean_field_posterior(x)
    # The noise that is left is the path derivative's; it costs two thousandths of a nat at most.
    found = dist.Normal(loc, scale).to_event(1)
    assert kl_divergence(found, best).max() < 2e-3
    assert_close(loc, best.mean.detach(), rtol=0, atol=2e-2)


def test_where_the_family_holds_the_posterior_nothing_is_left():
    pair, x = linear_pair(offset=0.8), torch.randn(B, 4)
    refined = refine((pair.model, pair.guide), x, steps=400, num_particles=2)
    loc, scale = moments(refined)
    posterior = pair.posterior(x)
    found = MultivariateNormal(loc, scale_tril=torch.diag_embed(scale))
    # The path derivative has no noise at the exact posterior.
    assert kl_divergence(found, posterior).abs().max() < 1e-6


def test_no_step_starts_from_the_encoder(amortized):
    model, guide, x = amortized
    loc, scale = moments(refine((model, guide), x, steps=1, lr=1e-12))
    start = guide.distribution(x)
    assert_close(loc, start.mean.detach(), rtol=0, atol=1e-10)
    assert_close(scale, start.stddev.detach(), rtol=0, atol=1e-10)


def test_refining_leaves_the_pair_and_the_generators_as_they_were(amortized):
    model, guide, x = amortized
    before = [p.detach().clone() for part in (model, guide) for p in part.parameters()]
    guide.train()
    state = torch.get_rng_state()
    refine((model, guide), x, steps=5)
    after = [p for part in (model, guide) for p in part.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(p.requires_grad and p.grad is None for p in after)
    assert torch.equal(torch.get_rng_state(), state) and guide.training


def test_rows_are_refined_by_themselves(amortized):
    model, guide, x = amortized
    settings = {"steps": 200, "lr": 0.2}
    whole, _ = moments(refine((model, guide), x, **settings))
    alone, _ = moments(refine((model, guide), x[:1], **settings))
    assert_close(whole[:1], alone, rtol=0, atol=5e-2)


def test_named_params_of_a_plain_model_are_the_pairs_own():
    def model(x):
        weight = pyro.param("weight", torch.tensor([2.0, -1.0, 0.5]))
        with rows(x):
            z = pyro.sample("z", standard_normal(1))
            pyro.sample("x", dist.Normal(z * weight, 1.0).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x[:, :1], 1.0).to_event(1))

    pair, x = ppvae.Pair(model, guide), torch.randn(B, 3)
    svi = ppvae.SVI(model, guide, lambda p: torch.optim.Adam(p, lr=0.1), ppvae.ELBO())
    for _ in range(20):
        svi.step(x)
    weight = pair.params["weight"].detach().clone()
    refined = refine(pair, x, steps=300)
    assert torch.equal(refined.pair.params["weight"], weight)
    loc, scale = moments(refined)
    precision = 1 + weight.square().sum()
    assert_close(loc[:, 0], x @ weight / precision, rtol=0, atol=1e-2)
    assert_close(scale[:, 0], precision.rsqrt().expand(B), rtol=1e-2, atol=0)


def run_of(model, guide, x):
    exact = ExactGaussian(model.log_evidence, model.posterior, guide.distribution)
    experiment = Experiment(model, guide, log_evidence=exact.log_evidence, epochs=1)
    data = from_arrays({"x": torch.cat([x, x, x])})
    return ppvae.fit(experiment, data, lr=1e-9, progress=False, compile="off"), exact


def test_gaps_of_the_linear_gaussian_are_the_exact_ones(amortized):
    model, guide, x = amortized
    run, exact = run_of(model, guide, x)
    gaps = inference_gaps(refine(run, {"x": x}, steps=400), num_particles=2000)
    assert gaps.attrs["log_evidence"] == "exact"
    with torch.no_grad():
        total, left = exact.gap(x).numpy(), float(model.mean_field_gap())
    error = gaps["inference_gap"].values - total
    assert (abs(error) < 5 * gaps["inference_gap_se"].values).all()
    error = gaps["approximation_gap"].values - left
    assert (abs(error) < 5 * gaps["approximation_gap_se"].values + 2e-3).all()
    parts = gaps["approximation_gap"] + gaps["amortization_gap"]
    np.testing.assert_allclose(parts, gaps["inference_gap"], atol=1e-10)
    assert gaps["amortization_gap_mean"] == pytest.approx(gaps["amortization_gap"].values.mean())


def test_the_best_linear_encoder_has_no_amortization_gap(amortized):
    model, guide, x = amortized
    with torch.no_grad():
        # The posterior mean is linear in x, and its covariance the same for all x.
        best, zero = model.mean_field_posterior(x), model.mean_field_posterior(torch.zeros(1, P))
        slope = model.mean_field_posterior(torch.eye(P)).mean - zero.mean
        guide.encoder.weight.copy_(torch.cat([slope.T, torch.zeros(D, P)]))
        guide.encoder.bias.copy_(torch.cat([zero.mean[0], best.stddev[0].log()]))
    refined = refine((model, guide), x, steps=100)
    loc, scale = moments(refined)
    gained = kl_divergence(dist.Normal(loc, scale).to_event(1), best)
    # What noise the refinement leaves is all that there is.
    assert gained.abs().max() < 5e-3
    gaps = inference_gaps(refined, num_particles=2000)
    assert gaps.attrs["log_evidence"] == "estimated"
    error = abs(gaps["amortization_gap"].values)
    assert (error < 5 * gaps["amortization_gap_se"].values + 1e-3).all()
    left = float(model.mean_field_gap().detach())
    assert abs(gaps["approximation_gap_mean"] - left) < 0.05


def test_the_picture_of_the_gaps_is_a_figure(amortized):
    model, guide, x = amortized
    figure = plot.gaps(inference_gaps(refine((model, guide), x, steps=50), num_particles=100))
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)
    words = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert [word.split(",")[0] for word in words] == ["approximation", "amortization"]


def vae():
    return VAE(MLP(D, [3], P), StandardNormal(D), BernoulliLikelihood())


def global_pair():
    def model(x):
        m = pyro.sample("m", dist.Normal(torch.zeros(()), 1.0))
        with rows(x):
            pyro.sample("x", dist.Normal(m, 1.0).expand([len(x)]), obs=x[:, 0])

    def guide(x):
        pyro.sample("m", dist.Normal(torch.zeros(()), 1.0))

    return model, guide


REFUSED = {
    "steps": (dict(steps=0), None, "steps must be at least 1; got 0"),
    "draws": (dict(num_particles=0), None, "num_particles must be at least 1; got 0"),
    "lr": (dict(lr=math.nan), None, "lr must be positive and finite; got nan"),
    "global": ({}, global_pair, "refine needs every latent site inside the data plate"),
    "labels": (
        {},
        lambda: (ClusterMixture(torch.randn(3, P), 1.0), CategoricalGuide(nn.Linear(P, 3), False)),
        "refine needs independent Gaussian coordinates in plate 'data' alone; got Categorical at",
    ),
    "layers": (
        {},
        lambda: (TwoLayers(), LayeredGaussianGuide([MLP(1, [3], 2), MLP(1, [3], 2)])),
        r"refine needs sites whose q\(z\|x\) stands by itself; got 'z2', which depends on 'z1'",
    ),
    "correlated": (
        {},
        lambda: (lambda m: (m, m.exact_guide))(LinearGaussian.random(P, D)),
        "refine needs independent Gaussian coordinates .* got MultivariateNormal at 'z'",
    ),
}


@pytest.mark.parametrize("settings, make, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_refined_is_refused(settings, make, message):
    pair = make() if make else (vae(), GaussianGuide(nn.Linear(P, 2 * D)))
    width = 1 if isinstance(pair[0], TwoLayers) else P
    with pytest.raises(ValueError, match=message):
        refine(pair, torch.rand(B, width).round(), **settings)
