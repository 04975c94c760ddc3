"""The gradient of a bound's limit from weights over their own sum: its value, bias and use."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import linear_pair, rows
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.estimators import CUBO, TVO, UpperTVO
from ppvae.estimators.of_means import OfMeans
from ppvae.exact import grid
from ppvae.testing.enumerated import expected_gradient
from ppvae.testing.problems import bits, linear

exactly = partial(assert_close, rtol=0, atol=1e-12)
POINTS = (0.0, 0.3, 1.0)


def cubo_limit(log_q, log_weight):
    return (log_q + 2.0 * log_weight).logsumexp(0) / 2.0


def sum_limit(log_q, log_weight, betas):
    """Sum over the two intervals of width .3 and .7 of E_beta[log w]."""
    means = [((log_q + beta * log_weight).softmax(0) * log_weight).sum(0) for beta in betas]
    return 0.3 * means[0] + 0.7 * means[1]


# What the guide raises as K grows, from log q + log volume and log w of all states.
LIMITS = {
    "tvo": (partial(TVO, POINTS), partial(sum_limit, betas=(0.0, 0.3))),
    "tvo-upper": (partial(UpperTVO, POINTS), lambda *logs: -sum_limit(*logs, betas=(0.3, 1.0))),
    "cubo": (partial(CUBO, 2.0), lambda *logs: -cubo_limit(*logs)),
}
limits = pytest.mark.parametrize("make, limit", LIMITS.values(), ids=LIMITS)


@limits
def test_the_self_normalized_gradient_of_gaussians_is_that_of_the_limit(make, limit):
    # A guide that is wider than p(z|x): under a narrow one the powers of w have no variance.
    repeats, draws = 400, 1000
    problem, one = linear(repeats, offset=-0.4), linear(1, offset=-0.4)
    terms = log_terms(problem.model, problem.guide, problem.x, num_particles=draws)
    names = ["loc", "log_scale"]
    total = make(draws).surrogate(terms).sum()
    found = torch.autograd.grad(total, [problem.parameters[name] for name in names])

    points, log_volume = grid(6.0, 121, dims=2)
    weight, loc, log_scale = (one.parameters[n][0] for n in ("weight", "loc", "log_scale"))
    joint = dist.Normal(0.0, 1.0).log_prob(points).sum(-1)
    joint = joint + dist.Normal(points @ weight.T, 1.0).log_prob(one.x).sum(-1)
    log_q = dist.Normal(loc, log_scale.exp()).log_prob(points).sum(-1)
    exact = limit(log_q + log_volume, joint - log_q)
    wanted = torch.autograd.grad(exact, [one.parameters[name] for name in names])
    for gradient, truth in zip(found, wanted, strict=True):
        error = gradient.std(0) / repeats**0.5
        # The bias, of order 1 / 1000, is below these errors.
        assert ((gradient.mean(0) - truth[0]).abs() < 5 * error).all()
        assert (truth.abs() > 10 * error).any()


@pytest.mark.parametrize(
    "estimator, power, factor",
    [(UpperTVO(1, 5), 1.0, 1.0), (CUBO(3.0, 5), 3.0, 2 / 3)],
    ids=["wake-phi", "cubo"],
)
def test_the_guide_learns_its_own_draws_by_their_weights(estimator, power, factor):
    pair, x = linear_pair(offset=0.7), torch.randn(6, 4)
    leaves = [pair.slope, pair.shift, pair.log_scale]
    terms = log_terms(pair.model, pair.guide, x, num_particles=5)
    followed = torch.autograd.grad(estimator.surrogate(terms).sum(), leaves)
    q = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp())
    scores = q.log_prob(terms.values["z"].detach()).sum(-1)
    shares = (power * terms.log_weight.detach()).softmax(0) - 1 / 5
    wanted = torch.autograd.grad(factor * 5 / 4 * (shares * scores).sum(), leaves)
    assert_close(followed, wanted, rtol=0, atol=1e-10)


def limit_of_bits(limit):
    """The gradient of the limit, summed over the four states of the two bits."""
    problem = bits(1)
    heights, logits = (problem.parameters[name][0] for name in ("heights", "logits"))
    b1, b2 = torch.cartesian_prod(*2 * [torch.tensor([0.0, 1.0])]).T
    log_q = dist.Bernoulli(logits=logits[0]).log_prob(b1)
    log_q = log_q + dist.Bernoulli(logits=logits[1] * b1 + logits[2] * (1 - b1)).log_prob(b2)
    joint = (torch.where(b1 > 0, 0.4, 0.6) * 0.5).log()
    joint = joint + dist.Normal(heights[0] * b1 + heights[1] * b2, 1.0).log_prob(problem.x)
    exact = limit(log_q, joint - log_q)
    return torch.autograd.grad(exact, problem.parameters["logits"])[0][0]


@limits
def test_the_self_normalized_gradient_of_discrete_draws_nears_the_limit_as_one_over_k(make, limit):
    truth, biases = limit_of_bits(limit), {}
    for draws in (2, 4, 6):
        followed, _ = expected_gradient(make(draws), bits)
        biases[draws] = followed["logits"] - truth
    # From 2 to 4 draws 1 / K falls to 0.5, from 4 to 6 to 0.67; 1 / sqrt(K) to 0.71 and 0.82.
    assert biases[4].norm() < 0.65 * biases[2].norm()
    assert biases[6].norm() < 0.72 * biases[4].norm()


@pytest.mark.parametrize("draws", [2, 5])
def test_the_self_normalized_gradient_of_one_partition_is_that_of_the_elbo(draws):
    followed, of_bound = expected_gradient(TVO(1, draws), bits)
    for name, gradient in of_bound.items():
        exactly(followed[name], gradient)


def trained(estimator, steps=150):
    """Where q = N(m, s^2) ends, from m = .4 and s = .45, given p(z|x) = N(0, 1/2)."""
    m, log_s = (torch.tensor(v, requires_grad=True) for v in (0.4, math.log(0.45)))
    x = torch.zeros(16)

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(m.expand(len(x)), log_s.exp()))

    optimizer = torch.optim.Adam([m, log_s], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        estimator.differentiable_loss(model, guide, x).backward()
        optimizer.step()
    return m.detach(), log_s.exp().detach()


@pytest.mark.parametrize("estimator", [CUBO(2.0, 5), UpperTVO(2, 5)], ids=["cubo", "tvo-upper"])
def test_a_guide_that_lowers_an_upper_bound_finds_the_posterior(estimator):
    loc, scale = trained(estimator)
    assert_close(loc, torch.tensor(0.0), rtol=0, atol=5e-3)
    assert_close(scale, torch.tensor(0.5**0.5), rtol=0, atol=5e-3)


@pytest.mark.parametrize("estimator", [CUBO(2.0, 5), UpperTVO(2, 5)], ids=["cubo", "tvo-upper"])
def test_one_that_lowers_the_estimate_itself_shrinks_to_a_point(estimator):
    class Lowered(OfMeans):
        def surrogate(self, terms):
            return -self.bound(terms)

    # If this fails, the reason given in UpperEstimate for its gradient has to go.
    _, scale = trained(Lowered(estimator.means, 5))
    assert scale < 1e-3
