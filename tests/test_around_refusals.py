"""What the objectives around the ELBO cannot treat, refused in one sentence."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows

from ppvae import BetaELBO, CapacityELBO, ConstrainedELBO, FreeBitsELBO, Schedule, log_terms

NAN, INF = math.nan, math.inf
VALUES = {
    "beta below 0": (lambda: BetaELBO(-1.0), "beta must be finite and at least 0; got -1"),
    "beta nan": (lambda: BetaELBO(NAN), "beta must be finite and at least 0; got nan"),
    "beta infinite": (lambda: BetaELBO(INF), "beta must be finite and at least 0; got inf"),
    "beta falls below 0": (
        lambda: BetaELBO(Schedule(1.0, -0.5, steps=3)),
        r"beta must be finite and at least 0; got -0\.5",
    ),
    "no particles": (lambda: BetaELBO(1.0, 0), "num_particles must be at least 1; got 0"),
    "gamma": (lambda: CapacityELBO(0.0, 1.0), r"gamma must be positive and finite; got 0\.0"),
    "gamma nan": (lambda: CapacityELBO(NAN, 1.0), "gamma must be positive and finite; got nan"),
    "capacity": (lambda: CapacityELBO(1.0, -2.0), "capacity must be finite and at least 0; got -2"),
    "nats": (lambda: FreeBitsELBO(0.0), r"nats must be positive and finite; got 0\.0"),
    "nats infinite": (lambda: FreeBitsELBO(INF), "nats must be positive and finite; got inf"),
    "no level": (ConstrainedELBO, "either kl or reconstruction must be given; got kl=None"),
    "two levels": (
        lambda: ConstrainedELBO(kl=1.0, reconstruction=-9.0),
        r"must be given; got kl=1\.0, reconstruction=-9\.0",
    ),
    "kl": (lambda: ConstrainedELBO(kl=0.0), r"kl must be positive and finite; got 0\.0"),
    "reconstruction": (
        lambda: ConstrainedELBO(reconstruction=-INF),
        "reconstruction must be finite; got -inf",
    ),
    "rate": (lambda: ConstrainedELBO(kl=1.0, rate=0.0), r"rate must be positive .*; got 0\.0"),
    "decay": (lambda: ConstrainedELBO(kl=1.0, decay=1.0), r"decay must be at least 0 .*; got 1\.0"),
}


@pytest.mark.parametrize(("make", "message"), VALUES.values(), ids=VALUES)
def test_a_setting_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("beta", ["4", True, None], ids=repr)
def test_a_beta_that_is_no_number_is_refused(beta):
    kind = type(beta).__name__
    with pytest.raises(TypeError, match=f"beta must be a number or a Schedule; got {kind}"):
        BetaELBO(beta)


ESTIMATORS = [BetaELBO(2.0), CapacityELBO(1.0, 1.0), FreeBitsELBO(1.0), ConstrainedELBO(kl=1.0)]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_site_whose_gradient_would_be_left_out_is_refused(estimator):
    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Bernoulli(torch.tensor(0.5)))
            pyro.sample("x", dist.Normal(y, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("y", dist.Bernoulli(torch.sigmoid(x)))

    terms = log_terms(model, guide, torch.randn(3))
    message = f"{type(estimator).__name__} needs reparameterized or enumerated sites; got 'y'"
    with pytest.raises(ValueError, match=message):
        estimator.surrogate(terms)
