"""Estimators agree with Pyro's, keep the order of theory, and serve every kind of training."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae, linear_pair
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, IWAE, Renyi, log_terms

exactly = partial(assert_close, rtol=0, atol=1e-10)


def pyros(kind, num_particles, **settings):
    return kind(
        num_particles=num_particles, vectorize_particles=True, max_plate_nesting=1, **settings
    )


AGREEING = {
    "trace": (ELBO, partial(pyros, Trace_ELBO)),
    "mean-field": (partial(ELBO, analytic_kl=True), partial(pyros, TraceMeanField_ELBO)),
    "renyi-zero": (partial(Renyi, 0.0), partial(pyros, RenyiELBO, alpha=0.0)),
    "renyi-half": (partial(Renyi, 0.5), partial(pyros, RenyiELBO, alpha=0.5)),
    "renyi-two": (partial(Renyi, 2.0), partial(pyros, RenyiELBO, alpha=2.0)),
    "iwae": (IWAE, partial(pyros, RenyiELBO, alpha=0.0)),
}
agreeing = pytest.mark.parametrize("ours, theirs", AGREEING.values(), ids=AGREEING)


def loss_and_gradients(estimator, pair, x):
    parameters = {
        f"{role}.{name}": p
        for role, program in zip(("model", "guide"), pair, strict=True)
        for name, p in program.named_parameters()
    }
    for p in parameters.values():
        p.grad = None
    pyro.set_rng_seed(7)
    loss = estimator.loss_and_grads(*pair, x)
    return torch.tensor(loss), {name: p.grad.clone() for name, p in parameters.items()}


@agreeing
@pytest.mark.parametrize("num_particles", [2, 5])
def test_value_and_gradient_agree_with_pyro(ours, theirs, num_particles):
    pair, x = binary_vae(), binary_rows()
    loss, gradients = loss_and_gradients(ours(num_particles=num_particles), pair, x)
    expected, expected_gradients = loss_and_gradients(theirs(num_particles), pair, x)
    exactly(loss, expected)
    exactly(gradients, expected_gradients)


@pytest.mark.parametrize("name", ["trace", "mean-field"])
def test_a_single_draw_agrees_with_pyro(name):
    (ours, theirs), pair, x = AGREEING[name], binary_vae(), binary_rows()
    loss, gradients = loss_and_gradients(ours(num_particles=1), pair, x)
    expected, expected_gradients = loss_and_gradients(theirs(1), pair, x)
    exactly(loss, expected)
    exactly(gradients, expected_gradients)


def test_every_bound_of_a_single_draw_is_its_log_weight():
    terms = log_terms(*binary_vae(), binary_rows())
    for estimator in (ELBO(), IWAE(1), Renyi(0.5), Renyi(-3.0)):
        exactly(estimator.bound(terms), terms.log_weight[0])


def test_renyi_of_order_zero_is_the_importance_weighted_bound():
    terms = log_terms(*binary_vae(), binary_rows(), num_particles=9)
    exactly(Renyi(0.0, 9).bound(terms), IWAE(9).bound(terms))


def test_renyi_falls_with_its_order():
    terms = log_terms(*binary_vae(), binary_rows(), num_particles=9)
    orders = [-2.0, 0.0, 0.5, 0.999, 1.001, 2.0, 5.0]
    bounds = torch.stack([Renyi(alpha, 9).bound(terms) for alpha in orders])
    assert (bounds.diff(dim=0) < 0).all()


def test_renyi_near_one_is_the_elbo():
    terms = log_terms(*binary_vae(), binary_rows(), num_particles=9)
    for alpha in (1 - 1e-7, 1 + 1e-7):
        assert_close(Renyi(alpha, 9).bound(terms), ELBO(9).bound(terms), rtol=0, atol=1e-5)


def test_iwae_rises_with_the_draws_towards_log_evidence():
    pair, x, repeats = linear_pair(offset=0.8), torch.randn(1, 4), 4000
    means, errors = {}, {}
    for k in (1, 5, 50):
        terms = log_terms(pair.model, pair.guide, x.expand(repeats, 4), num_particles=k)
        bounds = IWAE(k).bound(terms).detach()
        means[k], errors[k] = bounds.mean(), bounds.std() / repeats**0.5
    exact = pair.log_evidence(x)[0]
    for few, many in ((1, 5), (5, 50)):
        assert means[many] - means[few] > 5 * math.hypot(errors[few], errors[many])
    assert means[50] - exact < 5 * errors[50]
    # To first order the bias is var(w / p(x)) / 2K.
    assert exact - means[50] < 0.1 * (exact - means[1])


@pytest.mark.parametrize("num_particles", [2, 7])
def test_iwae_bound_is_the_log_of_the_mean_weight(num_particles):
    terms = log_terms(*binary_vae(), binary_rows(), num_particles=num_particles)
    exactly(IWAE(num_particles).bound(terms), terms.log_weight.exp().mean(0).log())


def test_a_weight_that_is_too_large_for_a_float_is_no_trouble():
    def model(x):
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 1e-3), obs=x)

    def guide(x):
        with pyro.plate("data", len(x), dim=-1):
            pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))

    terms = log_terms(model, guide, torch.tensor([3.0, -4.0]), num_particles=5)
    largest = terms.log_weight.max(0).values
    assert (largest < -1000).all()
    bound = IWAE(5).bound(terms)
    assert ((largest - math.log(5) <= bound) & (bound <= largest)).all()


@pytest.mark.parametrize(
    "estimator, kind",
    [(ELBO(), "lower"), (IWAE(2), "lower"), (Renyi(0.5), "lower"), (Renyi(-1.0), "none")],
)
def test_every_estimator_says_what_kind_of_bound_it_is(estimator, kind):
    assert estimator.bound_kind == kind


def trained(kind, estimator, x, steps=3):
    """The weights after three steps of Adam from seed 11, by one of three ways to train."""
    pyro.clear_param_store()
    pyro.set_rng_seed(11)
    model, guide = binary_vae()
    if kind == "torch":
        loss = estimator(model, guide)
        optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(x).backward()
            optimizer.step()
    else:
        svi = kind(model, guide, pyro.optim.Adam({"lr": 0.05}), estimator)
        for _ in range(steps):
            svi.step(x)
    return [p.detach() for program in (model, guide) for p in program.parameters()]


@pytest.mark.parametrize(
    "estimator",
    [ELBO(), ELBO(3, analytic_kl=True), IWAE(3), Renyi(0.5, 3)],
    ids=["elbo", "elbo-analytic", "iwae", "renyi"],
)
def test_an_estimator_trains_alike_under_pyros_svi_ours_and_torch(estimator):
    x = binary_rows()
    under_pyro, under_ours, under_torch = (
        trained(kind, estimator, x) for kind in (pyro.infer.SVI, ppvae.SVI, "torch")
    )
    assert_close(under_ours, under_pyro, rtol=0, atol=1e-9)
    assert_close(under_torch, under_pyro, rtol=0, atol=1e-9)


def test_training_under_torch_leaves_the_param_store_empty():
    trained("torch", IWAE(3), binary_rows())
    assert not list(pyro.get_param_store())


def test_the_loss_is_minus_the_scaled_sum_of_the_bound():
    def model(x):
        with pyro.plate("data", 30, subsample=torch.arange(3), dim=-1):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with pyro.plate("data", 30, subsample=torch.arange(3), dim=-1):
            pyro.sample("z", dist.Normal(x / 2, 0.7))

    x = torch.randn(3)
    for estimator in (ELBO(4), IWAE(4), Renyi(0.5, 4)):
        pyro.set_rng_seed(2)
        bound = estimator.bound(log_terms(model, guide, x, num_particles=4))
        pyro.set_rng_seed(2)
        loss = estimator.loss(model, guide, x)
        exactly(torch.tensor(loss), -10 * bound.sum())


def test_arguments_and_named_fields_may_be_mixed():
    def model(x, shift=0.0):
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z + shift, 1.0), obs=x)

    def guide(x, shift=0.0):
        with pyro.plate("data", len(x), dim=-1):
            pyro.sample("z", dist.Normal((x - shift) / 2, 0.5**0.5))

    x = torch.randn(3)
    loss = IWAE(2).loss(model, guide, x, shift=1.0)
    exactly(torch.tensor(loss), -dist.Normal(1.0, 2**0.5).log_prob(x).sum())
