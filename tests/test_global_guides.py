"""Guides over parameters, held against the exact posterior of a Bayesian linear regression."""

import math
from functools import partial

import pyro
import pytest
import torch
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from regressions import LinearRegression, logistic
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, StickingTheLanding, log_terms
from ppvae.data import from_arrays
from ppvae.guides import GlobalFullRankGuide, GlobalMeanFieldGuide

exact = {"rtol": 0, "atol": 1e-10}


def trained(regression, guide, steps=500, lr=0.1, draws=5):
    """The guide after training on all rows, Adam's rate falling to zero."""
    pyro.set_rng_seed(0)
    estimator = ELBO(draws, gradient=StickingTheLanding())
    optim = partial(torch.optim.Adam, lr=lr)
    svi = ppvae.SVI(regression.model, guide, optim, estimator, compile="off")
    svi.begin(steps, len(regression.x))
    for step in range(steps):
        svi.update(regression.x, regression.y)
        for group in svi.optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * (step + 1) / steps))
    return guide


def bound(regression, guide, num_particles=2000):
    """The ELBO of all rows from many draws, and its standard error, in nats."""
    batch = (regression.x, regression.y)
    with torch.no_grad():
        terms = log_terms(regression.model, guide, batch, num_particles=num_particles)
        draws = terms.marginal.sum(1) + terms.global_weight
    return draws.mean(), draws.std() / num_particles**0.5


def test_full_rank_reaches_the_exact_posterior_and_the_evidence():
    regression = LinearRegression()
    guide = trained(regression, GlobalFullRankGuide(torch.zeros(3)))
    found = guide.distribution()
    elbo = regression.elbo(found.loc, found.scale_tril)
    assert_close(elbo, regression.log_evidence, rtol=0, atol=1e-3)
    assert_close(found.loc, regression.posterior.loc, rtol=0, atol=1e-3)
    exact_cov = regression.posterior.covariance_matrix
    assert_close(found.covariance_matrix, exact_cov, rtol=1e-2, atol=1e-4)
    # The estimate agrees, with no noise left: every draw has the same weight.
    mean, error = bound(regression, guide)
    assert error < 1e-3 and abs(mean - regression.log_evidence) < 2e-3


def test_mean_field_reaches_its_best_whose_deviations_are_too_small():
    regression = LinearRegression()
    start = GlobalMeanFieldGuide({"w": torch.zeros(3)})
    guide = trained(regression, start, steps=500, lr=0.1, draws=20)
    loc, scale = guide.locs["w"].detach(), guide.log_scales["w"].detach().exp()
    precision = regression.posterior.precision_matrix
    # KL(q || p) is least at the exact mean and the inverse roots of the precisions.
    assert_close(loc, regression.posterior.loc, rtol=0, atol=2e-2)
    assert_close(scale, precision.diagonal().rsqrt(), rtol=3e-2, atol=0)
    assert (scale < 0.95 * regression.posterior.stddev).any()
    gap = 0.5 * (precision.diagonal().log().sum() - precision.logdet())
    elbo = regression.elbo(loc, torch.diag(scale))
    assert_close(elbo, regression.log_evidence - gap, rtol=0, atol=5e-3)


def test_the_elbo_of_a_guide_is_the_closed_formula():
    regression = LinearRegression()
    guide = GlobalFullRankGuide(torch.tensor([0.3, -0.2, 0.1]), 0.4)
    with torch.no_grad():
        guide.below[1, 0] = 0.7
        guide.below[0, 2] = 5.0  # above the diagonal: nobody reads it
    cov = guide.distribution().covariance_matrix
    lower = torch.tensor([[0.4, 0.0, 0.0], [0.28, 0.4, 0.0], [0.0, 0.0, 0.4]])
    assert_close(cov, lower @ lower.T, **exact)
    mean, error = bound(regression, guide, 20_000)
    assert abs(mean - regression.elbo(guide.centre, lower)) < 5 * error


def test_a_mean_field_guide_draws_sites_of_any_shape():
    guide = GlobalMeanFieldGuide({"a": torch.zeros(2, 3), "b": torch.ones(())}, 0.2)
    with pyro.plate("particles", 20_000, dim=-2):
        drawn = guide(torch.zeros(4, 1))
    assert drawn["a"].shape == (20_000, 1, 2, 3) and drawn["b"].shape == (20_000, 1)
    assert abs(drawn["b"].mean() - 1) < 5 * 0.2 / 20_000**0.5
    assert abs(drawn["b"].std() - 0.2) < 5 * 0.2 / 40_000**0.5


@pytest.mark.parametrize("auto", [AutoNormal, AutoMultivariateNormal])
def test_pyros_own_guides_serve_as_well(auto):
    regression = LinearRegression()
    guide = trained(regression, auto(regression.model, init_scale=0.1))
    mean, error = bound(regression, guide)
    precision = regression.posterior.precision_matrix
    gap = 0.5 * (precision.diagonal().log().sum() - precision.logdet())
    best = regression.log_evidence - (gap if auto is AutoNormal else 0.0)
    assert abs(mean - best) < 5 * error + 0.02


@pytest.mark.parametrize("batch_size", [60, 20])
def test_fit_reports_the_bound_per_datum_whatever_the_batches(batch_size):
    model, guide, batch = logistic(num_rows=60)
    rows = {"x": batch["x"], "y": batch["y"].long()}
    named = {f"{n}_{s}": v for n, v in rows.items() for s in ("train", "valid", "test")}
    pyro.set_rng_seed(0)
    whole = -ELBO().loss(model, guide, **batch) / 60
    settings = {"epochs": 1, "lr": 1e-9, "progress": False, "compile": "off"}
    run = ppvae.fit((model, guide), from_arrays(named), batch_size=batch_size, **settings)
    # Held-out draws are those of seed 0; data are kept in float32.
    assert abs(float(run.history["valid_bound"][0]) - whole) < 1e-5


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GlobalMeanFieldGuide({}), "initial must name at least one site; got none"),
        (
            lambda: GlobalMeanFieldGuide({"w": torch.zeros(2)}, 0.0),
            "spread must be positive and finite",
        ),
        (
            lambda: GlobalFullRankGuide(torch.zeros(2, 2)),
            r"initial must be a vector, \(D,\); got shape",
        ),
        (
            lambda: GlobalFullRankGuide(torch.zeros(2), math.inf),
            "spread must be positive and finite",
        ),
    ],
)
def test_what_is_no_guide_over_parameters_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
