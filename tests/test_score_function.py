"""The score function: what is left out of a signal, what is subtracted, and what is refused."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from gradient_problems import apart, bits, drawn_gradients, exact_gradient, two_bits
from programs import ENUMERATED, rows
from pyro.infer import TraceGraph_ELBO
from torch import nn
from torch.testing import assert_close

from ppvae import ELBO, IWAE, SVI, log_terms
from ppvae.dependencies import Dependencies
from ppvae.estimators import (
    VIMCO,
    LeaveOneOut,
    MovingAverage,
    NeuralBaseline,
    ScoreFunction,
)
from ppvae.state import live_tensors

exactly = partial(assert_close, rtol=0, atol=1e-10)
X = torch.linspace(-1.0, 1.0, 5).double()


def chain():
    """A scored bit, a code with a path given it, a scored bit given that."""
    p = torch.tensor([0.2, 0.5, -0.4, 0.7]).requires_grad_()

    def model(x):
        with rows(x):
            b = pyro.sample("b", dist.Bernoulli(0.4))
            z = pyro.sample("z", dist.Normal(b, 1.0))
            c = pyro.sample("c", dist.Bernoulli(logits=z))
            pyro.sample("x", dist.Normal(z - c, 1.0), obs=x)

    def guide(x):
        with rows(x):
            b = pyro.sample("b", dist.Bernoulli(logits=p[0] * x))
            z = pyro.sample("z", dist.Normal(p[1] * x + b, p[2].exp()))
            pyro.sample("c", dist.Bernoulli(logits=p[3] * z))

    return model, guide, p


def beside_a_global():
    """A code of all data with a path, and a scored bit for each of half of the rows."""
    p = torch.tensor([0.2, 0.5]).requires_grad_()

    def half(x):
        return pyro.plate("data", 2 * len(x), subsample=torch.arange(len(x)), dim=-1)

    def model(x):
        w = pyro.sample("w", dist.Normal(torch.zeros(()), 1.0))
        with half(x):
            b = pyro.sample("b", dist.Bernoulli(logits=w))
            pyro.sample("x", dist.Normal(w - b, 1.0), obs=x)

    def guide(x):
        w = pyro.sample("w", dist.Normal(p[0], 0.5))
        with half(x):
            pyro.sample("b", dist.Bernoulli(logits=p[1] * w * x))

    return model, guide, p


@pytest.mark.parametrize("make", [two_bits, chain, beside_a_global])
def test_gradient_agrees_with_trace_graph_elbo(make):
    model, guide, p = make()
    found = []
    for loss in (ELBO(gradient=ScoreFunction()), TraceGraph_ELBO(max_plate_nesting=1)):
        p.grad = None
        pyro.set_rng_seed(3)
        loss.loss_and_grads(model, guide, X)
        found.append(p.grad.clone())
    exactly(*found)
    assert found[0].abs().min() > 0


def test_terms_that_do_not_depend_on_a_site_leave_its_mean_and_take_its_noise(monkeypatch):
    exact, plain = exact_gradient(apart, ELBO()), ELBO(gradient=ScoreFunction())
    fine = drawn_gradients(apart, plain)
    everything = dict.fromkeys("bcxw", frozenset("bc"))
    coarse = Dependencies(everything, everything)
    where = "ppvae.estimators.gradients.score_sites.dependencies"
    monkeypatch.setattr(where, lambda terms: coarse)
    rough = drawn_gradients(apart, plain)
    for drawn in (fine, rough):
        for site, gradient in drawn.items():
            error = gradient.std() / len(gradient) ** 0.5
            assert (gradient.mean() - exact[site]).abs() < 5 * error
    assert all(fine[site].var() < 0.8 * rough[site].var() for site in fine)


def test_a_rows_gradient_does_not_depend_on_the_other_rows():
    found = []
    for away in (0.0, 5.0):
        pyro.set_rng_seed(2)
        problem = bits(4)
        x = problem.x + torch.tensor([0.0, away, away, away])
        terms = log_terms(problem.model, problem.guide, x, num_particles=3)
        total = ELBO(3, gradient=ScoreFunction(LeaveOneOut())).surrogate(terms).sum()
        found.append(torch.autograd.grad(total, problem.parameters["logits"])[0])
    exactly(found[1][0], found[0][0])
    assert not torch.equal(found[1][1], found[0][1])


def test_a_label_that_is_ruled_out_leaves_the_gradient_finite():
    logits = torch.zeros(3).requires_grad_()

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.ones(3)))
            b = pyro.sample("b", dist.Bernoulli(0.4))
            pyro.sample("x", dist.Normal(y - b, 1.0), obs=x)

    def guide(x):
        known = torch.tensor([0.0, -torch.inf, 0.3]).expand(len(x), 3)
        with rows(x):
            y = pyro.sample("y", dist.Categorical(logits=known), infer=ENUMERATED)
            pyro.sample("b", dist.Bernoulli(logits=logits[y]))

    for estimator in (
        ELBO(2, gradient=ScoreFunction(LeaveOneOut())),
        IWAE(2, gradient=VIMCO(), expected=True),
        IWAE(2, gradient=ScoreFunction(), expected=True),
    ):
        surrogate = estimator.surrogate(log_terms(model, guide, X, num_particles=2))
        (gradient,) = torch.autograd.grad(surrogate.sum(), logits)
        assert gradient.isfinite().all() and gradient[1] == 0 and gradient[0] != 0


def test_a_moving_average_learns_from_training_steps_alone():
    model, guide, _ = two_bits()
    baselines = {"b": MovingAverage(0.75), "c": MovingAverage(0.75)}
    estimator = ELBO(2, gradient=ScoreFunction(baselines))
    signals = []
    for seed in range(3):
        pyro.set_rng_seed(seed)
        estimator.differentiable_loss(model, guide, X)
        pyro.set_rng_seed(seed)
        terms = log_terms(model, guide, X, num_particles=2)
        own = terms.prior["b"] + terms.likelihood["x"] - terms.posterior["b"]
        signals.append(own.mean().detach())
    with torch.no_grad():
        estimator.differentiable_loss(model, guide, X)
    estimator.loss(model, guide, X)
    estimator.eval().differentiable_loss(model, guide, X)
    weights = torch.tensor([0.75**2, 0.75, 1.0])
    average = (weights * torch.stack(signals)).sum() / weights.sum()
    exactly(baselines["b"](torch.zeros(()), None), average)
    assert MovingAverage()(torch.zeros(()), None) == 0


def test_a_neural_baseline_is_trained_with_the_pair_and_changes_no_other_gradient():
    model, guide, logits = two_bits()
    network = nn.Sequential(nn.Unflatten(0, (-1, 1)), nn.Linear(1, 1), nn.Flatten(0))
    estimator = ELBO(8, gradient=ScoreFunction(NeuralBaseline(network)))
    svi = SVI(model, lambda x: (pyro.param("logits", logits), guide(x)), Adam, estimator)
    assert set(network.parameters()) <= set(estimator.parameters())
    for _ in range(120):
        svi.step(X)
    terms = log_terms(model, guide, X, num_particles=4000)
    kinds = [terms.prior, terms.likelihood, terms.posterior]
    signal = (kinds[0]["b"] + kinds[1]["x"] - kinds[2]["b"]).mean(0)
    signal = (signal + (kinds[0]["c"] + kinds[1]["w"] - kinds[2]["c"]).mean(0)) / 2
    line = torch.stack([torch.ones_like(X), X], 1)
    fitted = line @ torch.linalg.lstsq(line, signal.detach()[:, None]).solution[:, 0]
    assert_close(network(X).detach(), fitted, rtol=0, atol=0.3)


def Adam(parameters):
    return torch.optim.Adam(parameters, lr=0.2)


def test_a_checkpoint_holds_what_baselines_have_learned():
    model, guide, _ = two_bits()
    estimator = ELBO(gradient=ScoreFunction({"b": MovingAverage(), "c": MovingAverage()}))
    svi = SVI(model, guide, Adam, estimator)
    learned = {name for name in live_tensors(svi) if name.endswith(".average")}
    assert learned == {f"loss.gradient.baselines.{site}.average" for site in "bc"}
