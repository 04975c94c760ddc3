"""Holes filled: against exact conditional Gaussians, and what is refused."""

import sys

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows

from ppvae import IWAE, Experiment, evaluate, fit, impute
from ppvae.data import from_arrays
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import MaskedGuide
from ppvae.models import VAE, LinearGaussian
from ppvae.networks import MLP

P, D = 5, 2
DRAWS = 20_000


@pytest.fixture
def model():
    return LinearGaussian(torch.randn(P, D), bias=torch.randn(P), scale=0.7)


@pytest.fixture
def x():
    return torch.randn(4, P)


@pytest.fixture
def mask():
    seen = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]])
    return seen.bool()


def conditional(model, x, seen):
    """Mean and covariance of what is hidden of a row, given what is observed: dense formulas."""
    weight, bias = (p.detach().numpy() for p in (model.weight, model.bias))
    covariance = weight @ weight.T + np.exp(2 * model.log_scale.item()) * np.eye(len(bias))
    hidden = ~seen
    gain = covariance[np.ix_(hidden, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    mean = bias[hidden] + gain @ (x[seen] - bias[seen])
    return mean, covariance[np.ix_(hidden, hidden)] - gain @ covariance[np.ix_(seen, hidden)]


def shifted(model):
    """A guide whose mean is off and whose scale is too large."""

    def guide(x, mask):
        exact = model.posterior(x, mask)
        with rows(x):
            pyro.sample("z", dist.Normal(exact.mean + 0.4, 1.5 * exact.stddev).to_event(1))

    return guide


@pytest.mark.parametrize("exact", [True, False])
def test_the_mean_is_the_conditional_mean(exact, model, x, mask):
    guide = model.exact_guide if exact else shifted(model)
    found = impute((model, guide), x, mask, num_draws=DRAWS)
    for row in range(3):
        seen = mask[row].numpy()
        mean, covariance = conditional(model, x[row].numpy(), seen)
        # The mean of E[x|z], whose spread is at most that of x; 5 standard errors.
        error = np.abs(found["x_mean"].values[row][~seen] - mean)
        sd = np.sqrt(covariance.diagonal())
        assert (error < 5 * sd / float(found["ess"][row]) ** 0.5).all()
        np.testing.assert_allclose(found["x_sd"].values[row][~seen], sd, rtol=0.05)


def spread_out(model, guide, x, mask):
    """4,000 draws for each row, of 40 sets of weighted ones: (rows, draws, P) by kind."""
    times = 40
    found = impute(
        (model, guide), x.repeat(times, 1), mask.repeat(times, 1), num_draws=2000, num_samples=100
    )
    shape = (times, len(x), 100, P)
    return {
        name: found[name].values.reshape(shape).swapaxes(0, 1).reshape(len(x), -1, P)
        for name in ("x", "x_plain")
    }


def test_weights_make_up_for_a_wrong_guide_and_plain_draws_do_not(model, x, mask):
    found = spread_out(model, shifted(model), x, mask)
    off = {"x": [], "x_plain": []}
    for row in range(3):
        seen = mask[row].numpy()
        mean, covariance = conditional(model, x[row].numpy(), seen)
        for name, errors in off.items():
            draws = found[name][row][:, ~seen]
            errors.append(np.abs(draws.mean(0) - mean) / np.sqrt(covariance.diagonal() / 4000))
    # Of a set some hundreds of draws count, which 100 samples share: a fifth more error than 5.
    assert np.concatenate(off["x"]).max() < 6
    assert np.concatenate(off["x_plain"]).max() > 12


def test_draws_have_the_conditional_covariance(model, x, mask):
    for draws in spread_out(model, model.exact_guide, x, mask).values():
        for row in range(3):
            seen = mask[row].numpy()
            mean, covariance = conditional(model, x[row].numpy(), seen)
            centred = draws[row][:, ~seen] - mean
            products = centred[:, :, None] * centred[:, None, :]
            error = np.abs(products.mean(0) - covariance)
            # 5 standard errors: 9 figures, a false alarm in 200,000 runs.
            assert (error < 5 * products.std(0) / 4000**0.5).all()


def test_what_is_observed_stays_and_what_lies_in_a_hole_is_not_looked_at(model, x, mask):
    pair = (model, model.exact_guide)
    found = impute(pair, x, mask, num_draws=50)
    held = impute(pair, x.masked_fill(~mask, torch.nan), mask, num_draws=50)
    assert found.identical(held)
    seen = mask.numpy()
    assert (found["x_mean"].values[seen] == x.numpy()[seen]).all()
    assert (found["x_sd"].values[seen] == 0).all()
    for name in ("x", "x_plain"):
        assert found[name].dims == ("row", "sample", "pixel")
        assert (
            found[name].values[seen[:, None].repeat(5, 1)]
            == np.repeat(x.numpy()[:, None], 5, 1)[seen[:, None].repeat(5, 1)]
        ).all()


def test_the_exact_guide_has_equal_weights_and_the_exact_evidence(model, x, mask):
    found = impute((model, model.exact_guide), x, mask, num_draws=50)
    np.testing.assert_allclose(found["ess"], 50)
    exact = model.log_evidence(x, mask).detach()
    np.testing.assert_allclose(found["log_evidence"], exact, atol=1e-10)


def test_the_evidence_is_that_of_an_evaluation(model, x, mask):
    pair, fields = (model, shifted(model)), {"x": x, "mask": mask}
    found = impute(pair, fields, num_draws=5000)
    other = evaluate(pair, fields, num_particles=5000, seed=1)
    error = 5 * 2**0.5 * other["log_evidence_se"]
    assert (abs(found["log_evidence"].values - other["log_evidence"].values) < error).all()


def test_rows_of_which_nothing_is_observed_are_filled_from_the_model(model):
    x, mask = torch.zeros(2, P), torch.zeros(2, P).bool()
    found = impute((model, model.exact_guide), x, mask, num_draws=DRAWS)
    marginal = (model.weight.square().sum(1) + 0.49).sqrt().detach().numpy()
    error = np.abs(found["x_mean"].values - model.bias.detach().numpy())
    assert (error < 5 * marginal / DRAWS**0.5).all()
    np.testing.assert_allclose(found["x_sd"].values[0], marginal, rtol=0.05)


def test_many_rows_are_filled_in_pieces(monkeypatch, model, x, mask):
    pair = (model, model.exact_guide)
    # The function has the name of its module.
    monkeypatch.setattr(sys.modules["ppvae.impute"], "_AT_ONCE", 3 * P * 4000)
    found = impute(pair, x.repeat(9, 1), mask.repeat(9, 1), num_draws=4000)
    assert found.sizes == {"row": 36, "pixel": P, "sample": 5}
    means = found["x_mean"].values.reshape(9, 4, P)
    error = 5 * found["x_sd"].values.reshape(9, 4, P) / 4000**0.5
    assert (abs(means - means.mean(0)) <= error + 1e-12).all() and means.std(0).max() > 0


def labelled():
    """Two labels, summed out, each with a mean of its own for three bits."""
    logits = torch.tensor([[2.0, -1.0, 3.0], [-2.0, 1.0, -3.0]])

    def model(x, mask):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.tensor([0.3, 0.7])))
            likelihood = dist.Bernoulli(logits=logits[y]).to_event(1)
            pyro.sample("x", likelihood.base_dist.mask(mask).to_event(1), obs=x)

    def guide(x, mask):
        with rows(x):
            shares = dist.Categorical(torch.tensor([0.5, 0.5]))
            pyro.sample("y", shares, infer={"enumerate": "parallel"})

    return model, guide, logits


def test_labels_that_are_summed_out_have_their_exact_weight():
    model, guide, logits = labelled()
    x, mask = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
    found = impute((model, guide), x, mask, num_draws=7, num_samples=1000)
    likelihood = dist.Bernoulli(logits=logits[:, :2]).log_prob(x[:, :2]).sum(-1).exp()
    joint = torch.tensor([0.3, 0.7]) * likelihood
    mean = (joint / joint.sum() * logits[:, 2].sigmoid()).sum().item()
    assert abs(found["x_mean"].values[0, 2] - mean) < 1e-6
    assert abs(found["log_evidence"].item() - joint.sum().log().item()) < 1e-6
    assert abs(found["x"].values[0, :, 2].mean() - mean) < 5 * (mean * (1 - mean) / 1000) ** 0.5
    plain = logits[:, 2].sigmoid().mean().item()
    assert abs(found["x_plain"].values[0, :, 2].mean() - plain) < 5 * 0.5 / 1000**0.5


def test_equal_seeds_fill_alike_and_the_generators_stay(model, x, mask):
    pair, before = (model, model.exact_guide), torch.get_rng_state()
    first, again, other = (
        impute(pair, x, mask, num_draws=9, seed=seed)["x"].values for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert (first == again).all() and not (first == other).all()


def test_a_run_fills_its_own_test_rows():
    model = VAE(MLP(D, [4], P), StandardNormal(D), BernoulliLikelihood())
    data = from_arrays({"x": torch.rand(40, P).round()}, missing="pixels:0.4")
    pair = Experiment(model, MaskedGuide(MLP([P, P], [4], 2 * D)), estimator=IWAE(2))
    run = fit(pair, data, steps=2, progress=False)
    found = impute(run, num_draws=20)
    seen = data.test["mask"].numpy()
    assert found.sizes["row"] == 4
    assert (found["x_mean"].values[seen] == data.test["x"].numpy()[seen]).all()


@pytest.mark.slow
def test_a_trained_model_fills_as_well_as_the_true_one_within_five_percent():
    truth = LinearGaussian(torch.randn(10, 2), scale=0.5)
    z = torch.randn(4000, 2)
    x = (z @ truth.weight.T + 0.5 * torch.randn(4000, 10)).detach()
    mask = torch.rand(4000, 10) < 0.7
    learned = LinearGaussian(0.1 * torch.randn(10, 2), scale=1.0)
    guide = MaskedGuide(MLP([10, 10], [64], 4, activation=torch.nn.ReLU))
    experiment = Experiment(learned, guide, estimator=IWAE(10), epochs=60, lr=5e-3, batch_size=100)
    fit(experiment, {"x": x, "mask": mask}, progress=False)
    found = impute((learned, guide), x[:1000], mask[:1000], num_draws=1000)
    exact = impute((truth, truth.exact_guide), x[:1000], mask[:1000], num_draws=1000)
    hidden = ~mask[:1000].numpy()
    ours, best = (
        np.sqrt(np.square(each["x_mean"].values - x[:1000].numpy())[hidden].mean())
        for each in (found, exact)
    )
    assert ours < 1.05 * best
