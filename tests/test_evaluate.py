"""Evaluation against closed formulas: log p(x), bounds, KL, active units, and their errors."""

import math
from functools import partial

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, linear_pair, rows

from ppvae import Experiment, log_terms
from ppvae.data import from_arrays
from ppvae.evaluate import evaluate
from ppvae.models import LinearGaussian

# 5 standard errors of a normal estimate are passed by chance once in 1.7 million values; the tests
# below look at fewer than 1000 of them, at one seed.
WITHIN = 5.0


def mean_field(model):
    def guide(x):
        posterior = model.mean_field_posterior(x)
        with rows(x):
            pyro.sample("z", posterior)

    return guide


def linear_gaussian_rows(num_rows, data_dim=6, latent_dim=3):
    model = LinearGaussian(torch.randn(data_dim, latent_dim), scale=1.5)
    x = torch.randn(num_rows, latent_dim) @ model.weight.T + 1.5 * torch.randn(num_rows, data_dim)
    return model, x.detach()


def test_the_exact_posterior_gives_log_evidence_without_error():
    model, x = linear_gaussian_rows(7)
    found = evaluate((model, model.exact_guide), x, num_particles=50)
    exact = model.log_evidence(x).detach().numpy()
    for name in ("log_evidence", "elbo"):
        np.testing.assert_allclose(found[name], exact, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found[f"{name}_se"], 0.0, atol=1e-10)
    np.testing.assert_allclose(found["ess"], 50, rtol=1e-10)


def test_log_evidence_lies_within_its_errors_of_the_exact_value():
    model, x = linear_gaussian_rows(200)
    found = evaluate((model, mean_field(model)), x, num_particles=2000)
    error = found["log_evidence"] - model.log_evidence(x).detach().numpy()
    score = error / found["log_evidence_se"]
    assert (abs(score) < WITHIN).all()
    # The errors are neither too wide nor too narrow: 200 squared scores have mean 1 and s.e. 0.1.
    assert abs(float((score**2).mean()) - 1) < WITHIN * (2 / 200) ** 0.5


def test_the_gap_of_the_elbo_is_the_closed_kl_to_the_posterior():
    model, x = linear_gaussian_rows(200)
    found = evaluate((model, mean_field(model)), x, num_particles=500)
    gap = model.log_evidence(x).detach().numpy() - found["elbo"]
    score = (gap - model.mean_field_gap().item()) / found["elbo_se"]
    assert (abs(score) < WITHIN).all()
    assert abs(float((score**2).mean()) - 1) < WITHIN * (2 / 200) ** 0.5


@pytest.mark.parametrize("chunk", [4, 2])
def test_kl_is_the_closed_formula_in_total_and_by_coordinate(chunk):
    pair, x = linear_pair(offset=0.4), torch.randn(9, 4)
    found = evaluate((pair.model, pair.guide), x, num_particles=3, chunk=chunk)
    loc, scale = x @ pair.slope.T + pair.shift, pair.log_scale.exp()
    by_dim = (0.5 * (loc**2 + scale**2 - 1) - pair.log_scale).detach().numpy()
    assert found.attrs["kl"] == "closed form"
    np.testing.assert_allclose(found["kl"], by_dim.sum(1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["kl_by_dim"], by_dim.mean(0), rtol=0, atol=1e-12)
    assert list(found["latent"].values) == ["z[0]", "z[1]"]


def test_kl_without_a_formula_is_sampled_around_the_exact_one():
    model, x = linear_gaussian_rows(50)
    found = evaluate((model, model.exact_guide), x, num_particles=400)
    q = model.posterior(x)
    p = dist.MultivariateNormal(torch.zeros(3), torch.eye(3))
    exact = torch.distributions.kl_divergence(q, p).detach().numpy()
    assert found.attrs["kl"] == "sampled"
    assert (abs(found["kl"] - exact) < WITHIN * found["kl_se"]).all()


def test_elbo_is_reconstruction_minus_a_sampled_kl():
    model, x = linear_gaussian_rows(5)
    found = evaluate((model, model.exact_guide), x, num_particles=20)
    np.testing.assert_allclose(found["elbo"], found["reconstruction"] - found["kl"], atol=1e-10)


def test_active_units_are_those_whose_mean_moves_with_x():
    slope = torch.diag(torch.tensor([0.0, 0.05, 1.0, 0.2]))

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(4), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x @ slope + 3.0, 0.5).to_event(1))

    x = torch.randn(500, 4)
    found = evaluate((model, guide), x, num_particles=2)
    np.testing.assert_allclose(found["activity"], (x @ slope).var(0), rtol=0, atol=1e-12)
    assert found["active"].values.tolist() == [False, False, True, True]


def test_the_noise_of_a_drawn_mean_does_not_pass_for_activity():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        stretched = dist.TransformedDistribution(
            dist.Normal(0 * x, 1.0), [dist.transforms.AffineTransform(0.0, 2.0)]
        )
        with rows(x):
            pyro.sample("z", stretched)

    k, n = 5, 2000
    found = evaluate((model, guide), torch.randn(n), num_particles=k)
    # Unadjusted it would be 4 / K = 0.8, for a code that knows nothing of x.
    standard_error = 4 / k * (2 / n + 2 / (n * (k - 1))) ** 0.5
    assert abs(float(found["activity"].item())) < WITHIN * standard_error


@pytest.mark.parametrize("chunk", [10_000, 64, 9])
def test_pieces_put_together_equal_the_estimates_from_all_draws_at_once(chunk):
    model, guide = binary_vae()
    x, num_particles = binary_rows(10), 32
    found = evaluate((model, guide), x, num_particles=num_particles, chunk=chunk, seed=3)
    draws = min(num_particles, chunk)
    pyro.set_rng_seed(3)
    weights, likelihoods = [], []
    for some in x.split(max(1, chunk // draws)):
        sizes = [min(draws, num_particles - i) for i in range(0, num_particles, draws)]
        terms = [log_terms(model, guide, some, num_particles=k) for k in sizes]
        weights.append(torch.cat([each.log_weight for each in terms]).detach())
        likelihoods.append(torch.cat([each.log_likelihood for each in terms]).detach())
    weight, likelihood = torch.cat(weights, 1), torch.cat(likelihoods, 1)
    relative = weight.exp()
    expected = {
        "log_evidence": weight.logsumexp(0) - math.log(num_particles),
        "log_evidence_se": relative.std(0) / relative.mean(0) / num_particles**0.5,
        "ess": relative.sum(0) ** 2 / (relative**2).sum(0),
        "elbo": weight.mean(0),
        "elbo_se": weight.std(0) / num_particles**0.5,
        "reconstruction": likelihood.mean(0),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-10, err_msg=name)


def test_means_carry_the_error_over_rows_and_the_part_of_the_draws():
    model, x = linear_gaussian_rows(200)
    found = evaluate((model, mean_field(model)), x, num_particles=100)
    for name in ("log_evidence", "elbo", "reconstruction", "kl"):
        of_rows = found[name].values
        assert float(found[f"{name}_mean"]) == pytest.approx(of_rows.mean(), rel=1e-12)
        expected = of_rows.std(ddof=1) / 200**0.5
        assert float(found[f"{name}_mean_se"]) == pytest.approx(expected, rel=1e-12)
        of_draws = float((found[f"{name}_se"] ** 2).sum()) ** 0.5 / 200
        assert float(found[f"{name}_mean_draws_se"]) == pytest.approx(of_draws, rel=1e-12)
    exact = (model.log_evidence(x).mean() - model.mean_field_gap()).item()
    assert abs(float(found["elbo_mean"]) - exact) < WITHIN * float(found["elbo_mean_draws_se"])
    assert float(found["elbo_mean_draws_se"]) < float(found["elbo_mean_se"])


def test_bits_per_dim_are_nats_over_values_and_log_two():
    found = evaluate(binary_vae(data_dim=6), binary_rows(8), num_particles=10)
    expected = -found["log_evidence"] / (6 * math.log(2))
    np.testing.assert_allclose(found["bits_per_dim"], expected, rtol=1e-12)
    # The best code for fair coins takes one bit each.
    uniform, _ = binary_vae(data_dim=6)
    torch.nn.init.zeros_(list(uniform.decoder.parameters())[-2])
    torch.nn.init.zeros_(list(uniform.decoder.parameters())[-1])
    prior_guide = partial(fixed_guide, latent_dim=2)
    found = evaluate((uniform, prior_guide), binary_rows(8), num_particles=10)
    np.testing.assert_allclose(found["bits_per_dim"], 1.0, rtol=1e-12)


def fixed_guide(x, latent_dim):
    with rows(x):
        pyro.sample("z", dist.Normal(torch.zeros(latent_dim), 1.0).to_event(1))


def test_an_experiment_that_knows_log_evidence_has_it_beside_the_estimate():
    model, x = linear_gaussian_rows(60)
    experiment = Experiment(model, model.exact_guide, log_evidence=model.log_evidence)
    data = from_arrays({"x": x.numpy()}, name="toy")
    found = evaluate(experiment, data, split="valid", num_particles=5)
    held_out = data.valid["x"].double()
    assert found["row"].values.tolist() == data.valid["index"].tolist()
    exact = model.log_evidence(held_out).detach().numpy()
    np.testing.assert_allclose(found["log_evidence_exact"], exact, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["log_evidence"], exact, rtol=0, atol=1e-10)
