"""A Gaussian for each row, found by its number: what moves, what it reaches, what is refused."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, StickingTheLanding
from ppvae.data import from_arrays
from ppvae.guides import PerDatumGuide
from ppvae.models import LinearGaussian

N, P, D = 12, 5, 2
exact = {"rtol": 0, "atol": 1e-12}


@pytest.fixture
def pair():
    return LinearGaussian.random(P, D).requires_grad_(False), PerDatumGuide(N, D)


def batch_of(x, rows):
    return {"x": x[rows], "index": torch.tensor(rows)}


def test_rows_have_their_own_parameters_in_any_order(pair):
    _, guide = pair
    with torch.no_grad():
        guide.table.copy_(torch.randn(N, 2 * D))
    found = guide.distribution(torch.tensor([7, 2, 2]))
    assert_close(found.mean, guide.table[[7, 2, 2], :D], **exact)
    assert_close(found.stddev, guide.table[[7, 2, 2], D:].exp(), **exact)


def test_only_rows_of_the_batch_have_a_gradient(pair):
    model, guide = pair
    x, rows = torch.randn(N, P), [9, 1, 4]
    loss = ELBO().differentiable_loss(model, guide, **batch_of(x, rows))
    (gradient,) = torch.autograd.grad(loss, guide.table)
    assert gradient[rows].abs().min() > 0
    others = [row for row in range(N) if row not in rows]
    assert torch.equal(gradient[others], torch.zeros(N - 3, 2 * D))


@pytest.mark.parametrize("name, moved", [("SGD", False), ("Adam", True)])
def test_rows_outside_of_a_batch_stay_under_sgd_and_move_by_the_momentum_of_adam(pair, name, moved):
    model, guide = pair
    x = torch.randn(N, P)
    svi = ppvae.SVI(model, guide, partial(getattr(torch.optim, name), lr=1e-3), ELBO())
    svi.step(**batch_of(x, [0, 1, 2]))
    before = guide.table.detach().clone()
    svi.step(**batch_of(x, [3, 4, 5]))
    assert not torch.equal(guide.table[3:6], before[3:6])
    assert torch.equal(guide.table[:3], before[:3]) is not moved
    # Rows that no batch has held yet stay under both.
    assert torch.equal(guide.table[6:], before[6:])


def test_each_row_reaches_the_best_diagonal_gaussian(pair):
    model, guide = pair
    x = torch.randn(N, P) * 1.5
    estimator = ELBO(5, gradient=StickingTheLanding())
    pyro.set_rng_seed(0)
    for lr in (0.1, 0.02):
        svi = ppvae.SVI(model, guide, partial(torch.optim.Adam, lr=lr), estimator)
        for _ in range(120):
            svi.update(**batch_of(x, list(range(N))))
    best, found = model.mean_field_posterior(x), guide.distribution(torch.arange(N))
    gap = torch.distributions.kl_divergence(found, best)
    # Held against the exact optimum, whose own gap is what independence costs.
    assert gap.max() < 1e-2
    assert_close(found.mean, best.mean, rtol=0, atol=0.05)


def test_fit_trains_the_rows_and_keeps_the_others_at_the_start():
    x = torch.randn(40, P)
    model = LinearGaussian.random(P, D)
    data = from_arrays({"x": x})
    guide = PerDatumGuide(data.num_rows, D, spread=0.5)
    run = ppvae.fit((model, guide), data, epochs=3, batch_size=8, lr=0.05, progress=False)
    trained = data.train["index"]
    held_out = torch.cat([data.valid["index"], data.test["index"]])
    start = torch.cat([torch.zeros(D), torch.full((D,), 0.5).log()])
    assert (guide.table[trained] != start).any(1).all()
    assert_close(guide.table[held_out], start.expand(len(held_out), -1), **exact)
    # Each row's evidence is estimated with the row's own q, whatever the chunk.
    found = ppvae.evaluate(run, split="train", num_particles=2000)
    error = (
        found["log_evidence"].values - model.log_evidence(data.train["x"].double()).detach().numpy()
    )
    assert (abs(error) < 5 * found["log_evidence_se"].values + 0.02).mean() > 0.9


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PerDatumGuide(0, 2), "num_rows must be at least 1; got 0"),
        (lambda: PerDatumGuide(5, 0), "latent_dim must be at least 1; got 0"),
        (lambda: PerDatumGuide(5, 2, -1.0), "spread must be positive and finite; got -1.0"),
        (
            lambda: PerDatumGuide(5, 2)(torch.zeros(3, P), torch.arange(2)),
            r"index must hold one number a row, \(3,\); got shape \(2,\)",
        ),
    ],
)
def test_what_is_no_guide_by_row_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_row_beyond_the_table_is_refused_before_training():
    data = from_arrays({"x": torch.randn(40, P)})
    pair = (LinearGaussian.random(P, D), PerDatumGuide(4, D))
    with pytest.raises(ValueError, match=r"index \d+ is out of bounds"):
        ppvae.fit(pair, data, epochs=1, progress=False)


def test_a_batch_without_row_numbers_is_refused(pair):
    with pytest.raises(ValueError, match=r"guide must ask for fields that the batch has, \['x'\]"):
        ppvae.log_terms(*pair, {"x": torch.randn(3, P)})


def test_the_guide_draws_from_its_rows(pair):
    _, guide = pair
    with torch.no_grad():
        guide.table[3] = torch.tensor([1.0, -2.0, -1.0, 0.0])
    with pyro.plate("particles", 20_000, dim=-2):
        z = guide(torch.zeros(1, P), torch.tensor([3])).detach()[:, 0]
    scale = torch.tensor([-1.0, 0.0]).exp()
    assert (z.mean(0) - torch.tensor([1.0, -2.0])).abs().lt(5 * scale / 20_000**0.5).all()
    assert dist.Normal(torch.tensor([1.0, -2.0]), scale).log_prob(z).isfinite().all()
