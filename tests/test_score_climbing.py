"""Score climbing: no bias where wake has one, and a state per row that only training moves."""

import copy
import math
from functools import partial

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae, labelled_pair, linear_pair, rows, standard_normal
from torch.testing import assert_close

from ppvae import IWAE, SVI
from ppvae.estimators import ReweightedWakeSleep, ScoreClimbing
from ppvae.testing.problems import linear

exactly = partial(assert_close, rtol=0, atol=1e-10)


def with_states(states, num_particles=1):
    """An estimator whose rows are in these states of site "z", (N, ...)."""
    estimator = ScoreClimbing(num_particles, len(states))
    estimator._make_room({"z": states[None]})
    estimator.state0.copy_(states)
    estimator.visited.fill_(True)
    return estimator


def surrogate_gradients(estimator, problem):
    """For each row, by parameter, each (R, ...)."""
    index = torch.arange(len(problem.x))
    terms = estimator.terms(problem.model, problem.guide, x=problem.x, index=index)
    total = estimator.surrogate(terms).sum()
    found = torch.autograd.grad(total, problem.parameters.values())
    return dict(zip(problem.parameters, found, strict=True))


def exact_gradients(problem):
    """Those of log p(x) and of E_p[log q] for the linear problem, of one row."""
    weight, loc, log_scale = (p[0].detach() for p in problem.parameters.values())
    weight = weight.clone().requires_grad_()
    cov = torch.eye(3) + weight @ weight.T
    evidence = dist.MultivariateNormal(torch.zeros(3), cov).log_prob(problem.x[0])
    precision = 1 + weight.detach().square().sum(0)
    away = (problem.x[0] @ weight.detach()) / precision - loc
    variance = (2 * log_scale).exp()
    return {
        "weight": torch.autograd.grad(evidence, weight)[0],
        "loc": away / variance,
        "log_scale": (1 / precision + away**2) / variance - 1,
    }


def test_from_a_draw_of_the_posterior_one_fresh_draw_has_no_bias_where_wake_has_one():
    problem = linear(20_000)
    precision = 1 + problem.parameters["weight"][0].detach().square().sum(0)
    loc = problem.x @ problem.parameters["weight"][0].detach() / precision
    climbing = with_states(loc + torch.randn(20_000, 2) / precision.sqrt())
    climbs = surrogate_gradients(climbing, problem)
    wakes = surrogate_gradients(ReweightedWakeSleep(2), problem)
    for name, exact in exact_gradients(problem).items():
        climb, wake = climbs[name], wakes[name]
        error = climb.std(0) / math.sqrt(len(climb))
        assert ((climb.mean(0) - exact).abs() < 5 * error + 1e-12).all()
        bias = (wake.mean(0) - exact).abs() / (wake.std(0) / math.sqrt(len(wake)) + 1e-12)
        assert bias.max() > 20


def skewed_pair():
    """z ~ N(1/2, 2^2) and x = 1 with probability Phi(5 (z - 1/2) / 2): p(z|1) is skew-normal.

    Location 1/2, scale 2, shape 5; the guide is N(0, 2^2) for every row.
    """

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.full((), 0.5), 2.0))
            chance = torch.special.ndtr(2.5 * (z - 0.5)).clamp(1e-300, 1 - 1e-16)
            pyro.sample("x", dist.Bernoulli(chance), obs=x)

    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0))
        with rows(x):
            pyro.sample("z", dist.Normal(loc, 2.0))

    return model, guide


def test_the_chains_of_a_skewed_target_have_its_moments():
    pair, num_rows = skewed_pair(), 4000
    fields = {"x": torch.ones(num_rows), "index": torch.arange(num_rows)}
    estimator = ScoreClimbing(1, num_rows)
    for _ in range(60):
        estimator.observe(estimator.terms(*pair, **fields))
    delta = 5 / math.sqrt(26)
    mean, variance = 0.5 + 2 * delta * math.sqrt(2 / math.pi), 4 * (1 - 2 * delta**2 / math.pi)
    z = estimator.state0
    error = math.sqrt(variance / num_rows)
    assert abs(z.mean() - mean) < 5 * error
    squares = (z - mean) ** 2
    assert abs(squares.mean() - variance) < 5 * squares.std() / math.sqrt(num_rows)
    # One draw chosen from two fresh ones, as wake weighs them, is far from that.
    drawn = estimator.terms(*pair, **fields)
    weights = drawn.log_weight.softmax(0)
    assert (weights * drawn.values["z"]).sum(0).mean() < mean - 0.5


def test_the_gradient_is_the_weighed_sum_over_retained_and_fresh_draws():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    tensors = [pair.weight.requires_grad_(), pair.slope, pair.shift, pair.log_scale]
    states, index = torch.randn(8, 2), torch.tensor([6, 0, 3])
    estimator = with_states(states, num_particles=4)
    terms = estimator.terms(pair.model, pair.guide, x=x, index=index)
    found = torch.autograd.grad(estimator.surrogate(terms).sum(), tensors)
    z = torch.cat([states[index][None], terms.values["z"]])
    log_p = standard_normal(2).log_prob(z) + dist.Normal(z @ pair.weight.T, 1.0).log_prob(x).sum(-1)
    log_q = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp()).log_prob(z).sum(-1)
    by_hand = ((log_p - log_q).detach().softmax(0) * (log_p + log_q)).sum()
    exactly(found, torch.autograd.grad(by_hand, tensors))
    exactly(estimator.bound(terms), IWAE(4).bound(terms))


def pinned_pair():
    """The state of row i is known: x_i = i, and z = i is the only code that explains it."""

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 100.0))
            pyro.sample("x", dist.Normal(z, 1e-4), obs=x)

    def guide(x):
        loc = pyro.param("loc", torch.tensor(0.0))
        with rows(x):
            pyro.sample("z", dist.Normal(loc, 100.0))

    return model, guide


def test_a_row_finds_its_state_by_its_index_whatever_the_order():
    states = torch.arange(12.0)
    estimator, pair = with_states(states), pinned_pair()
    for _ in range(5):
        for index in torch.randperm(12).split(5):
            estimator.differentiable_loss(*pair, x=states[index], index=index)
    assert torch.equal(estimator.state0, states)


def test_a_row_that_was_not_visited_begins_with_its_first_draw():
    estimator, index = ScoreClimbing(1, 6), torch.tensor([4, 1])
    fields = {"x": torch.tensor([4.0, 1.0]), "index": index}
    terms = estimator.terms(*pinned_pair(), **fields)
    estimator.observe(terms)
    assert torch.equal(estimator.state0[index], terms.values["z"][0])
    assert estimator.visited.tolist() == [False, True, False, False, True, False]


def test_evaluation_moves_no_state():
    estimator, pair = with_states(torch.randn(5)), pinned_pair()
    before = copy.deepcopy(estimator.state_dict())
    fields = {"x": torch.zeros(5), "index": torch.arange(5)}
    estimator.loss(*pair, **fields)
    estimator.eval()
    estimator.differentiable_loss(*pair, **fields)
    assert all(torch.equal(value, before[n]) for n, value in estimator.state_dict().items())


def test_it_trains_under_pyros_svi_as_under_ours():
    found = []
    fields = {"x": binary_rows(), "index": torch.arange(5)}
    for kind in (pyro.infer.SVI, SVI):
        pyro.clear_param_store()
        pyro.set_rng_seed(5)
        estimator = ScoreClimbing(2, 6)
        svi = kind(*binary_vae(), pyro.optim.Adam({"lr": 0.05}), estimator)
        losses = [svi.step(**fields) for _ in range(4)]
        found.append((torch.tensor(losses), estimator.state0))
    assert_close(*found, rtol=0, atol=1e-9)


def refused(message, pair=None, num_rows=6, **fields):
    estimator = ScoreClimbing(2, num_rows)
    with pytest.raises(ValueError, match=message):
        estimator.differentiable_loss(*(pair or pinned_pair()), **fields)


def test_batches_that_do_not_say_which_rows_they_hold_are_refused():
    x, index = torch.zeros(3), torch.arange(3)
    refused(r"must find the field 'index', .* got \['x'\]", x=x)
    refused("must find the field 'index'", x=x, index=torch.arange(2))
    refused("index must be below num_rows, 6; got 8", x=x, index=index * 4)
    refused("num_rows must be given where no fit tells", num_rows=None, x=x, index=index)
    with pytest.raises(ValueError, match="num_rows must be at least 1; got 0"):
        ScoreClimbing(1, 0)


def test_sites_without_one_drawn_value_per_row_are_refused():
    labels = labelled_pair()
    index = torch.arange(3)
    refused(
        "must draw every latent site, in the data plate; got 'y', which is enumerated",
        (labels.model, labels.guide),
        x=torch.zeros(3, 4),
        index=index,
    )

    def shared(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with rows(x):
            z = pyro.sample("z", dist.Normal(mu, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def nested(x):
        data = rows(x)
        with pyro.plate("parts", 2, dim=-2), data:
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        with data:
            pyro.sample("x", dist.Normal(z.sum(-2), 1.0), obs=x)

    for pair, message in (
        (shared, "in the data plate; got one outside of it"),
        (nested, r"got 'z' in plates \['data', 'parts'\]"),
    ):
        guide = pyro.poutine.block(pair, hide=["x"])
        refused(message, (pair, guide), x=torch.zeros(3), index=index)
