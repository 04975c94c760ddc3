"""Evaluation of pairs with a latent site outside of the data plate: log predictive densities."""

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from programs import rows

from ppvae import ELBO, StickingTheLanding
from ppvae.compare import compare
from ppvae.data import load
from ppvae.evaluate import evaluate, summary
from ppvae.experiment import find_recipe

# 5 standard errors of a normal estimate are passed by chance once in 1.7 million values; the tests
# below look at about 100 of them, at one seed.
WITHIN = 5.0

MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
SD = torch.tensor([0.3, 0.6], dtype=torch.float64)
NOISE = 0.8


def regression(x, y):
    w = pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    loc = (x * w).sum(-1)
    with pyro.plate("data", 500, subsample=torch.arange(len(x)), dim=-1):
        pyro.sample("y", dist.Normal(loc, NOISE), obs=y)


def about_weights(x, y):
    pyro.sample("w", dist.Normal(MEAN, SD).to_event(1))


def regression_rows(number):
    x = torch.randn(number, 2)
    spread = ((x * SD) ** 2).sum(-1) + NOISE**2
    y = x @ MEAN + spread.sqrt() * torch.randn(number)
    exact = dist.Normal(x @ MEAN, spread.sqrt()).log_prob(y)
    return {"x": x, "y": y}, exact.numpy()


def test_log_evidence_of_a_row_is_its_log_predictive_density():
    fields, exact = regression_rows(50)
    found = evaluate((regression, about_weights), fields, num_particles=4000)
    score = (found["log_evidence"] - exact) / found["log_evidence_se"]
    assert float(abs(score).max()) < WITHIN
    expected = dist.Normal(fields["x"] @ MEAN, NOISE).log_prob(fields["y"])
    expected -= 0.5 * ((fields["x"] * SD) ** 2).sum(-1) / NOISE**2
    off = abs(found["elbo"] - expected.numpy()) / found["elbo_se"]
    assert float(off.max()) < WITHIN
    assert "kl" not in found and "bits_per_dim" not in found
    assert found.attrs["shared"] == "w" and found.attrs["scored"] == "y"
    said = summary(found)
    assert "log predictive density, 'w' drawn from the guide" in said
    assert "the model observes y, not x alone" in said


def test_the_error_of_a_mean_covers_draws_that_rows_share():
    # Rows that are all the same have the same error: the mean over them is no better than one.
    x = torch.ones(50, 2)
    fields = {"x": x, "y": x @ MEAN + 1}
    found = [
        evaluate((regression, about_weights), fields, num_particles=200, seed=seed)
        for seed in range(40)
    ]
    spread = np.std([float(each["log_evidence_mean"]) for each in found], ddof=1)
    stated = np.mean([float(each["log_evidence_mean_draws_se"]) for each in found])
    # A standard deviation of 40 has a standard error of 11 % itself.
    assert abs(spread / stated - 1) < WITHIN * 0.11


def test_a_code_inside_of_the_plate_is_weighed_beside_what_is_shared():
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with rows(x):
            z = pyro.sample("z", dist.Normal(w, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        w = pyro.sample("w", dist.Normal(0.7, 0.2))
        with rows(x):
            pyro.sample("z", dist.Normal((x + w) / 2, 0.8))

    x = 0.7 + 2.04**0.5 * torch.randn(60)
    found = evaluate((model, guide), x, num_particles=4000)
    exact = dist.Normal(0.7, 2.04**0.5).log_prob(x).numpy()
    score = (found["log_evidence"] - exact) / found["log_evidence_se"]
    assert float(abs(score).max()) < WITHIN
    # By row E_w KL(q(z|x, w) || p(z|w)), the mean of z off by (x - w) / 2.
    off = ((x - 0.7) ** 2 + 0.04) / 4
    kl = 0.5 * (0.64 + off - 1 - 2 * np.log(0.8))
    assert float((abs(found["kl"] - kl.numpy()) / found["kl_se"]).max()) < WITHIN
    assert list(found["latent"].values) == ["z[0]"] and found.attrs["scored"] == "x"


def test_a_point_for_the_shared_site_gives_the_density_at_that_point():
    def at_a_point(x, y):
        pyro.sample("w", dist.Delta(MEAN, event_dim=1))

    fields, _ = regression_rows(20)
    found = evaluate((regression, at_a_point), fields, num_particles=30)
    exact = dist.Normal(fields["x"] @ MEAN, NOISE).log_prob(fields["y"])
    np.testing.assert_allclose(found["log_evidence"], exact, rtol=0, atol=1e-12)


def test_pairs_over_parameters_are_compared_by_predictive_densities():
    data = load("breast_cancer")
    found = compare(
        find_recipe("bayesian-regression"),
        data,
        estimators=[ELBO(2), ELBO(2, gradient=StickingTheLanding())],
        seeds=(0, 1),
        steps=3,
        points=2,
        num_particles=20,
        progress=False,
    )
    text = " ".join(str(found).split())
    assert "log p(x): the log predictive density, 'w' drawn from the guide." in text
    assert found.dataset["data"].values[0].startswith("density of y on breast_cancer")
    assert np.isfinite(found.dataset["log_evidence"]).all()
