"""Built-in experiments that know log p(x), the ELBO and the cross-entropy: laws over all of them.

All random tests allow 5 standard errors, computed from the sample.
"""

from functools import cache

import pytest
import torch
from pyro import poutine
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.data import load
from ppvae.experiment import build, built_in, find_recipe
from ppvae.pair import Pair

# Small and drawn, so that the laws of draws can be put to them.
SETTINGS = {
    "bernoulli-latents": {"latent_dim": 4, "hidden": 6},
    "gaussian-toy": {"perturbation": 0.1},
    "linear-gaussian": {"latent_dim": 2},
    "mixture": {"clusters": 5, "enumerate": False},
    "squared": {"hidden": 4},
    "two-layers": {"hidden": 4},
}
every_problem = pytest.mark.parametrize("name", SETTINGS)


@cache
def data_of(name):
    return load(find_recipe(name).data)


def problem(name):
    """The experiment in float64, and five rows of its data."""
    data = data_of(name)
    experiment = build(find_recipe(name), data, **SETTINGS[name])
    for part in (experiment.model, experiment.guide):
        part.double()
    return experiment, data.test["x"][:5].double()


def leaves_of(experiment):
    return list(Pair(experiment.model, experiment.guide).leaves.values())


def within(draws, truth, *, dim=0):
    """Whether the mean over draws lies within 5 standard errors of the truth, everywhere."""
    error = draws.std(dim) / draws.shape[dim] ** 0.5
    # What is the same at every draw has no error but that of rounding.
    return bool(((draws.mean(dim) - truth).abs() <= 5 * error + 1e-9).all())


def test_every_experiment_that_knows_its_elbo_is_here():
    # That one trains a VAE before it is built.
    short = {"m1-m2": {"m1_epochs": 1}}
    made = {n: build(find_recipe(n), data_of(n), **short.get(n, {})) for n in built_in()}
    known = {name for name, experiment in made.items() if experiment.elbo}
    assert known == {*SETTINGS}


@every_problem
def test_the_exact_elbo_is_the_mean_log_weight(name):
    experiment, x = problem(name)
    with torch.no_grad():
        terms = log_terms(experiment.model, experiment.guide, x, num_particles=5000)
        assert within(terms.log_weight, experiment.elbo(x))


@every_problem
def test_the_exact_elbo_lies_below_log_evidence(name):
    experiment, x = problem(name)
    assert (experiment.elbo(x) < experiment.log_evidence(x)).all()


@every_problem
def test_the_exact_cross_entropy_is_that_of_simulated_codes(name):
    experiment, _ = problem(name)
    like = data_of(name).test["x"][:1].double().expand(200, -1)
    with torch.no_grad():
        simulated = poutine.trace(poutine.uncondition(experiment.model)).get_trace(like)
        x = simulated.nodes["x"]["value"]
        # The code behind simulated data is a draw from their posterior.
        guide = poutine.trace(poutine.replay(experiment.guide, simulated)).get_trace(x)
        guide.compute_log_prob()
        log_posterior = sum(
            guide.nodes[n]["log_prob"] for n in guide.stochastic_nodes if n != "data"
        )
        differences = log_posterior + experiment.cross_entropy(x)
    assert within(differences, 0.0)


@every_problem
def test_the_mean_elbo_gradient_is_that_of_the_exact_elbo(name):
    experiment, x = problem(name)
    leaves = leaves_of(experiment)
    exact = experiment.elbo(x)
    truth = torch.autograd.grad(exact.sum(), leaves)
    draws = []
    for _ in range(200):
        terms = log_terms(experiment.model, experiment.guide, x, num_particles=10)
        gain = terms.log_weight
        if terms.scored:
            gain = gain + (gain - exact).detach() * terms.log_posterior
        draws.append(torch.autograd.grad(gain.mean(0).sum(), leaves))
    for gradients, expected in zip(zip(*draws, strict=True), truth, strict=True):
        assert within(torch.stack(gradients), expected)


@every_problem
@pytest.mark.parametrize("quantity", ["log_evidence", "elbo", "cross_entropy"])
def test_exact_quantities_have_the_slope_of_their_values(name, quantity):
    experiment, x = problem(name)
    leaves, exact = leaves_of(experiment), getattr(experiment, quantity)
    gradients = torch.autograd.grad(exact(x).sum(), leaves, allow_unused=True)
    along = [torch.randn_like(leaf) for leaf in leaves]
    slope = sum((g * a).sum() for g, a in zip(gradients, along, strict=True) if g is not None)
    step, ends = 1e-6, []
    for sign in (1, -2):
        for leaf, direction in zip(leaves, along, strict=True):
            leaf.data += sign * step * direction
        ends.append(exact(x).sum().item())
    expected = torch.tensor((ends[0] - ends[1]) / (2 * step))
    assert_close(slope, expected, rtol=1e-5, atol=1e-5)


def test_a_label_that_is_summed_out_leaves_the_exact_values_alone():
    recipe, data = find_recipe("mixture"), data_of("mixture")
    x = data.test["x"][:5]
    drawn, summed = (build(recipe, data, enumerate=each) for each in (False, True))
    assert_close(summed.elbo(x.double()), drawn.elbo(x.double()), rtol=0, atol=1e-12)
    terms = log_terms(summed.model, summed.guide, x.double())
    assert_close(terms.expected(terms.log_weight)[0], summed.elbo(x.double()), rtol=0, atol=1e-10)
    assert_close(terms.marginal[0], summed.log_evidence(x.double()), rtol=0, atol=1e-10)
