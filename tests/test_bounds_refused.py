"""What the bounds refuse: numbers out of range, and pairs that they cannot treat."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import labelled_pair, rows
from pyro.distributions.transforms import Planar

from ppvae import log_terms
from ppvae.estimators import (
    CIWAE,
    CUBO,
    IWAE,
    MIWAE,
    PIWAE,
    TVO,
    Reparameterized,
    SelfNormalized,
    TailAdaptive,
    UpperTVO,
    VRMax,
    equally_spaced,
    log_spaced,
)

NUMBERS = {
    "vr-max": (lambda: VRMax(0), r"num_particles must be at least 1; got 0\."),
    "tail": (lambda: TailAdaptive(0), r"num_particles must be at least 1; got 0\."),
    "ciwae": (lambda: CIWAE(0.5, 0), r"num_particles must be at least 1; got 0\."),
    "miwae-groups": (lambda: MIWAE(0, 3), r"num_groups must be at least 1; got 0\."),
    "miwae-draws": (lambda: MIWAE(3, 0), r"group_size must be at least 1; got 0\."),
    "piwae-groups": (lambda: PIWAE(-1, 3), r"num_groups must be at least 1; got -1\."),
    "beta-above": (lambda: CIWAE(1.1, 2), r"beta must be between 0 and 1; got 1\.1\."),
    "beta-nan": (lambda: CIWAE(math.nan, 2), r"beta must be between 0 and 1; got nan\."),
    "order-one": (lambda: CUBO(1.0, 2), r"order must be finite and above 1, .*; got 1\.0\."),
    "order-inf": (lambda: CUBO(math.inf, 2), r"order must be finite and above 1, .*; got inf\."),
    "cubo-alone": (lambda: CUBO(2.0, 1), r"num_particles must be at least 2; got 1\."),
    "upper-alone": (lambda: UpperTVO(2, 1), r"num_particles must be at least 2; got 1\."),
    "tvo-alone": (lambda: TVO(2, 1), r"at least 2 for TVO with SelfNormalized; got 1\."),
    "tvo-draws": (lambda: TVO(2, 0), r"num_particles must be at least 1; got 0\."),
    "no-partition": (lambda: TVO(0, 2), r"partitions must be at least 1; got 0\."),
    "points-short": (lambda: TVO([0.0, 0.5], 2), r"partition must rise from 0 to 1; got \(0\.0, 0"),
    "points-fall": (lambda: TVO([0, 0.5, 0.5, 1], 2), r"partition must rise from 0 to 1; got"),
    "points-nan": (lambda: UpperTVO([0, math.nan, 1], 2), r"partition must rise from 0 to 1; got"),
    "first": (lambda: log_spaced(3, first=1.0), r"first must be between 0 and 1; got 1\.0\."),
    "equal": (lambda: equally_spaced(0), r"partitions must be at least 1; got 0\."),
}


@pytest.mark.parametrize("make, match", NUMBERS.values(), ids=NUMBERS)
def test_a_number_out_of_range(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: IWAE(3, gradient=SelfNormalized()), "IWAE"),
        (lambda: PIWAE(2, 2, gradient=SelfNormalized()), "MIWAE"),
    ],
)
def test_a_limit_of_a_bound_that_is_not_built_of_means(make, name):
    with pytest.raises(TypeError, match=rf"must be given a bound built of means; got {name}\."):
        make()


def of_bits():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Bernoulli(torch.tensor(0.4)))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Bernoulli(logits=x))

    return model, guide


@pytest.mark.parametrize(
    "estimator",
    [VRMax(2), MIWAE(2, 1), CIWAE(0.5, 2), TVO(2, 2, gradient=Reparameterized()), TailAdaptive(2)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_discrete_site_that_would_have_no_gradient(estimator):
    terms = log_terms(*of_bits(), torch.randn(3), num_particles=2)
    name = type(estimator).__name__
    with pytest.raises(ValueError, match=rf"{name} needs reparameterized or enumerated .*got 'z'"):
        estimator.surrogate(terms)


def test_tail_adaptive_names_no_gradient_that_it_does_not_take():
    terms = log_terms(*of_bits(), torch.randn(3), num_particles=2)
    with pytest.raises(ValueError, match="needs reparameterized or enumerated sites; got 'z'"):
        TailAdaptive(2).surrogate(terms)


def test_tail_adaptive_and_draws_that_depend_on_a_label():
    pair = labelled_pair()
    terms = log_terms(pair.model, pair.guide, torch.randn(3, 4), num_particles=2)
    with pytest.raises(ValueError, match=r"must have draws that do not depend on .*; got 'z'"):
        TailAdaptive(2).surrogate(terms)


EVERY = [VRMax(2), MIWAE(2, 1), PIWAE(2, 1), CIWAE(0.5, 2), TVO(2, 2), UpperTVO(2, 2)]
EVERY += [CUBO(2.0, 2), TailAdaptive(2)]
every = pytest.mark.parametrize("estimator", EVERY, ids=lambda e: type(e).__name__)


@every
def test_a_global_latent_site_with_subsampled_data(estimator):
    def plate():
        return pyro.plate("data", 12, subsample=torch.arange(3), dim=-1)

    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with plate():
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))

    terms = log_terms(model, guide, torch.randn(3), num_particles=2)
    name = type(estimator).__name__
    with pytest.raises(ValueError, match=rf"^{name} needs all data at once .* got 1 row in 4"):
        estimator.bound(terms)
    with pytest.raises(ValueError, match=r"needs all data at once .* got 1 row in 4"):
        estimator.surrogate(terms)


@pytest.mark.parametrize(
    "estimator",
    [PIWAE(2, 1), TVO(2, 2), UpperTVO(2, 2), CUBO(2.0, 2), TailAdaptive(2)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_flow_that_has_no_density_at_a_given_draw(estimator):
    flow = Planar(2)

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x):
        base = dist.Normal(torch.zeros(2), 1.0).to_event(1)
        with rows(x):
            pyro.sample("z", dist.TransformedDistribution(base, [flow]))

    terms = log_terms(model, guide, torch.randn(3, 2), num_particles=2)
    assert estimator.bound(terms).isfinite().all()
    with pytest.raises(ValueError, match="the guide must have a density at any given draw"):
        estimator.surrogate(terms)
