"""Where objectives around the ELBO lead a linear pair, against the closed forms of PCA.

Rows have a covariance with known eigenvalues e, and x|z is N(Wz, I). Under beta KL the best W and
guide are those of PCA with noise beta: code i has the mean KL log(e_i / beta) / 2, and the codes
with e_i <= beta collapse: Lucas et al. (2019), arXiv:1911.02469, for beta = 1.
"""

import functools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows, standard_normal
from torch import nn
from torch.testing import assert_close

from ppvae import (
    SVI,
    BetaELBO,
    CapacityELBO,
    ConstrainedELBO,
    FreeBitsELBO,
    Schedule,
)

EIGENVALUES = torch.tensor([8.0, 5.0, 3.0, 1.5, 0.8, 0.5])
# Nats: one draw for each row is noise, and the optimizer still moves.
CLOSE = 0.1
# A code with less of a KL than this tells nothing; the least that a kept one has here is 0.11.
ACTIVE = 0.05


def data(num_rows=400):
    """Rows whose covariance has exactly these eigenvalues, (N, 6)."""
    scores = num_rows**0.5 * torch.linalg.qr(torch.randn(num_rows, 6)).Q
    return scores * EIGENVALUES.sqrt() @ torch.linalg.qr(torch.randn(6, 6)).Q


def pair_of(decoder, encoder, log_scale):
    def model(x):
        pyro.module("decoder", decoder)
        with rows(x):
            z = pyro.sample("z", standard_normal(5))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        scale = pyro.param("log_scale", log_scale).exp()
        with rows(x):
            pyro.sample("z", dist.Normal(encoder(x), scale).to_event(1))

    return model, guide


def trained(estimator, steps):
    """Mean KL by code after training under an estimator, largest first, (5,) nats."""
    x, log_scale = data(), nn.Parameter(torch.zeros(5))
    decoder, encoder = nn.Linear(5, 6, bias=False), nn.Linear(6, 5, bias=False)
    adam = functools.partial(torch.optim.Adam, lr=0.02)
    svi = SVI(*pair_of(decoder, encoder, log_scale), adam, estimator)
    estimator.begin(steps)
    for _ in range(steps):
        svi.update(x)
    with torch.no_grad():
        kl = 0.5 * (encoder(x) ** 2 + (2 * log_scale).exp() - 1 - 2 * log_scale)
    return kl.mean(0).sort(descending=True).values


def best_kl(beta):
    """Mean KL by code of the best pair under beta, largest first, (5,) nats."""
    return 0.5 * (EIGENVALUES.double() / beta).log().clamp(min=0)[:5]


@pytest.mark.parametrize(
    ("beta", "active", "steps"),
    [
        pytest.param(1.0, 4, 1000, marks=pytest.mark.slow),
        (2.0, 3, 350),
        pytest.param(4.0, 2, 1000, marks=pytest.mark.slow),
    ],
)
def test_under_beta_the_codes_with_eigenvalues_below_it_collapse(beta, active, steps):
    kl = trained(BetaELBO(beta, analytic_kl=True), steps)
    assert int((kl > ACTIVE).sum()) == active == int((beta < EIGENVALUES).sum())
    assert_close(kl, best_kl(beta), rtol=0, atol=CLOSE)


@pytest.mark.slow
def test_after_its_warm_up_a_beta_leads_where_it_leads_without():
    kl = trained(BetaELBO(Schedule(0.0, 2.0, fraction=0.3), analytic_kl=True), steps=1200)
    assert_close(kl, best_kl(2.0), rtol=0, atol=CLOSE)


def test_a_multiplier_that_keeps_the_kl_finds_the_beta_of_that_kl():
    level = float(best_kl(2.0).sum())
    estimator = ConstrainedELBO(kl=level, rate=0.02, analytic_kl=True)
    kl = trained(estimator, steps=400)
    assert abs(float(kl.sum()) - level) < CLOSE
    assert abs(float(estimator.multiplier) - 2.0) < 0.1


@pytest.mark.slow
def test_a_multiplier_that_keeps_the_reconstruction_finds_the_inverse_of_that_beta():
    # At the best pair the error along a kept code is beta, along another its eigenvalue.
    error = float(EIGENVALUES.clamp(max=2.0).sum())
    level = -0.5 * error - 3 * math.log(2 * math.pi)
    estimator = ConstrainedELBO(reconstruction=level, rate=0.02, analytic_kl=True)
    kl = trained(estimator, steps=1000)
    assert abs(float(estimator.average)) < CLOSE
    assert abs(float(estimator.multiplier) - 0.5) < 0.05
    assert_close(kl, best_kl(2.0), rtol=0, atol=CLOSE)


def test_a_capacity_that_is_raised_is_reached():
    capacity = Schedule(0.0, 2.0, fraction=0.5)
    kl = trained(CapacityELBO(5.0, capacity, analytic_kl=True), steps=300)
    assert abs(float(kl.sum()) - 2.0) < CLOSE


def test_free_bits_keep_a_kl_that_the_elbo_would_give_up():
    natural, nats = float(best_kl(1.0).sum()), 3.5
    kl = trained(FreeBitsELBO(nats, analytic_kl=True), steps=300)
    assert float(kl.sum()) > nats - CLOSE > natural
