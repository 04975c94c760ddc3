"""Reweighted wake-sleep: right per datum, for every kind of site, and near the inclusive KL."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import labelled_pair, linear_pair, rows
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.estimators import IWAE, ReweightedWakeSleep
from ppvae.exact import ExactSum
from ppvae.testing.enumerated import expected_gradient
from ppvae.testing.problems import bits, labelled, layered, linear

exactly = partial(assert_close, rtol=0, atol=1e-10)
DReG = partial(ReweightedWakeSleep, doubly_reparameterized=True)


def gradients(estimator, problem, seed=0):
    """The surrogate's gradient for each row, by parameter, each (R, ...)."""
    pyro.set_rng_seed(seed)
    terms = estimator.terms(problem.model, problem.guide, problem.x)
    total = estimator.surrogate(terms).sum()
    return dict(
        zip(
            problem.parameters, torch.autograd.grad(total, problem.parameters.values()), strict=True
        )
    )


def inclusive(problem):
    """The gradient of E_p[log q] of the linear problem's guide, (2,) for each parameter."""
    weight, loc, log_scale = (p[0].detach() for p in problem.parameters.values())
    precision = 1 + weight.square().sum(0)
    away = (problem.x[0] @ weight) / precision - loc
    variance = (2 * log_scale).exp()
    return {"loc": away / variance, "log_scale": (1 / precision + away**2) / variance - 1}


def test_under_subsampling_the_gradient_is_the_scaled_sum_of_each_datums_own():
    pair, x = linear_pair(offset=0.5), torch.randn(3, 4)
    tensors = [pair.weight.requires_grad_(), pair.slope, pair.shift, pair.log_scale]

    def plate(x):
        return pyro.plate("data", 30, subsample=torch.arange(3), dim=-1)

    def model(x):
        with plate(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ pair.weight.T, 1.0).to_event(1), obs=x)

    def guide(x):
        q = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp()).to_event(1)
        with plate(x):
            pyro.sample("z", q)

    estimator = ReweightedWakeSleep(5)
    pyro.set_rng_seed(1)
    found = torch.autograd.grad(estimator.differentiable_loss(model, guide, x), tensors)
    pyro.set_rng_seed(1)
    z = estimator.terms(model, guide, x).values["z"]
    joint = dist.Normal(0.0, 1.0).log_prob(z).sum(-1)
    joint = joint + dist.Normal(z @ pair.weight.T, 1.0).log_prob(x).sum(-1)
    log_q = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp()).log_prob(z).sum(-1)
    weights = (joint - log_q).detach().softmax(0)
    by_hand = -10 * (weights * (joint + log_q)).sum()
    exactly(found, torch.autograd.grad(by_hand, tensors))


def test_an_enumerated_label_is_summed_inside_of_the_weights():
    pair, x = labelled_pair(), torch.randn(6, 4)
    tensors = [pair.weight.requires_grad_(), pair.logits.requires_grad_()]
    estimator = ReweightedWakeSleep(3)
    terms = estimator.terms(pair.model, pair.guide, x)
    found = torch.autograd.grad(estimator.surrogate(terms).sum(), tensors)
    z, labels = terms.values["z"], pair.log_labels(x)[:, None]
    y = torch.arange(3.0)[:, None, None, None]
    log_codes = dist.Normal(x[:, :2] + 0.3 * y, 0.5).log_prob(z).sum(-1)
    log_joint = pair.log_weight(x, z) + log_codes + labels
    weights = (log_joint - log_codes).detach().flatten(0, 1).softmax(0).reshape(3, 3, 6)
    by_hand = (weights * (log_joint + log_codes + labels)).sum()
    exactly(found, torch.autograd.grad(by_hand, tensors))


def test_a_label_that_the_model_rules_out_has_no_part():
    logits = torch.randn(3, requires_grad=True)

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.tensor([0.5, 0.0, 0.5])))
            pyro.sample("x", dist.Normal(y.to(x), 1.0), obs=x)

    def guide(x):
        with rows(x):
            infer = {"enumerate": "parallel"}
            pyro.sample("y", dist.Categorical(logits=logits), infer=infer)

    estimator, x = ReweightedWakeSleep(2), torch.randn(4)
    terms = estimator.terms(model, guide, x)
    found = torch.autograd.grad(estimator.surrogate(terms).sum(), logits)[0]
    posterior = (
        torch.tensor([0.0, -torch.inf, 0.0]) - (x[:, None] - torch.arange(3.0)) ** 2 / 2
    ).softmax(1)
    exactly(found, (posterior - logits.detach().softmax(0)).sum(0))


def test_draws_that_keep_their_path_give_the_gradient_of_detached_ones():
    problem = layered(5)
    pyro.set_rng_seed(0)
    terms = log_terms(problem.model, problem.guide, problem.x, num_particles=3)
    total = ReweightedWakeSleep(3).surrogate(terms).sum()
    found = torch.autograd.grad(total, problem.parameters.values())
    exactly(found, tuple(gradients(ReweightedWakeSleep(3), problem).values()))


def test_what_is_reported_is_the_importance_weighted_bound():
    for estimator, problem in ((ReweightedWakeSleep(4), bits(5)), (DReG(4), linear(5))):
        terms = estimator.terms(problem.model, problem.guide, problem.x)
        exactly(estimator.bound(terms), IWAE(4).bound(terms))
        assert estimator.bound_kind == "lower"


def test_wake_of_discrete_draws_nears_the_inclusive_gradient_as_one_over_k():
    problem, states = bits(1), torch.cartesian_prod(*2 * [torch.tensor([0.0, 1.0])])
    exact = ExactSum(problem.model, problem.guide, {"b1": states[:, 0], "b2": states[:, 1]})
    towards = torch.autograd.grad(
        -exact.cross_entropy(problem.x).sum(), problem.parameters["logits"]
    )[0][0]
    # Summed over all draws, 4^K of them: these are expectations without error.
    wake = {k: expected_gradient(ReweightedWakeSleep(k), bits)[0]["logits"] for k in (1, 3, 6)}
    exactly(wake[1], torch.zeros(3))
    assert 1.8 < (wake[3] - towards).norm() / (wake[6] - towards).norm() < 2.2
    # Without the term in 1 / K: 2 g_6 - g_3.
    assert (2 * wake[6] - wake[3] - towards).norm() < (wake[6] - towards).norm() / 4


@pytest.mark.parametrize("wake", [ReweightedWakeSleep, DReG], ids=["score", "path"])
def test_wake_of_gaussian_draws_nears_the_inclusive_gradient_as_one_over_k(wake):
    problem = linear(20_000, offset=0.2)
    few, many = (gradients(wake(k), problem, seed=k) for k in (8, 32))
    for name, towards in inclusive(problem).items():
        # The terms in 1 / K fall out of (4 g_32 - g_8) / 3, and those in 1 / K^2 are left.
        near = (4 * many[name] - few[name]) / 3
        error = near.std(0) / math.sqrt(len(near))
        bias = (few[name].mean(0) - towards).abs()
        assert (bias > 5 * few[name].std(0) / math.sqrt(len(near))).all()
        assert ((near.mean(0) - towards).abs() < 5 * error + bias / 8).all()


@pytest.mark.parametrize("make", [linear, layered])
def test_doubly_reparameterized_wake_has_the_mean_of_wake(make):
    problem = make(20_000)
    score, path = gradients(ReweightedWakeSleep(4), problem), gradients(DReG(4), problem)
    for name in problem.parameters:
        paired = path[name] - score[name]
        error = paired.std(0) / math.sqrt(len(paired))
        assert (paired.mean(0).abs() < 5 * error + 1e-12).all()


@pytest.mark.parametrize("make", [linear, layered])
def test_doubly_reparameterized_wake_is_zero_at_the_exact_posterior(make):
    problem = make(50, offset=0.0)
    found = gradients(DReG(5), problem)
    for name in problem.parameters.keys() - {"weight", "slope"}:
        assert found[name].abs().max() < 1e-12
    scored = gradients(ReweightedWakeSleep(5), problem)
    assert min(scored[n].abs().max() for n in found.keys() - {"weight", "slope"}) > 0.1


def test_the_weights_are_of_all_rows_together_where_a_site_is_shared_by_them():
    x, loc = torch.randn(4), torch.tensor(0.3, requires_grad=True)
    slope = torch.tensor(0.4, requires_grad=True)

    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with rows(x):
            z = pyro.sample("z", dist.Normal(mu, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(loc, 0.7))
        with rows(x):
            pyro.sample("z", dist.Normal(slope * x, 0.8))

    estimator = ReweightedWakeSleep(5)
    terms = estimator.terms(model, guide, x)
    mu, z = terms.values["mu"].reshape(5, 1), terms.values["z"]
    log_q = dist.Normal(loc, 0.7).log_prob(mu)[:, 0] + dist.Normal(slope * x, 0.8).log_prob(z).sum(
        1
    )
    log_p = dist.Normal(0.0, 1.0).log_prob(mu)[:, 0]
    log_p = log_p + (dist.Normal(mu, 1.0).log_prob(z) + dist.Normal(z, 1.0).log_prob(x)).sum(1)
    by_hand = ((log_p - log_q).detach().softmax(0) * log_q).sum()
    found = torch.autograd.grad(estimator.surrogate(terms).sum(), [loc, slope])
    exactly(found, torch.autograd.grad(by_hand, [loc, slope]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ReweightedWakeSleep(0), "num_particles must be at least 1; got 0"),
        (lambda: ReweightedWakeSleep(2, 1.5), "insomnia must be between 0 and 1; got 1.5"),
        (lambda: ReweightedWakeSleep(2, math.nan), "insomnia must be between 0 and 1; got nan"),
        (lambda: DReG(2, 0.0), "doubly_reparameterized must go with an insomnia above 0"),
    ],
)
def test_settings_outside_of_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make, message",
    [
        (bits, "sites alone; got 'b1', which is scored"),
        (labelled, "sites alone; got 'y', which is enumerated"),
    ],
)
def test_doubly_reparameterized_wake_refuses_sites_without_a_path(make, message):
    with pytest.raises(ValueError, match=message):
        gradients(DReG(2), make(3))
