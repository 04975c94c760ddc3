"""The score function for sites outside of the data plate: exact gradients, and their noise."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from regressions import (
    LinearRegression,
    assert_agree,
    assert_mean,
    gradients,
    logistic,
)
from torch.testing import assert_close

from ppvae import ELBO, IWAE, ScoreFunction, StickingTheLanding
from ppvae.estimators import ControlVariates, LeaveOneOut, MovingAverage
from ppvae.guides import GlobalFullRankGuide, GlobalMeanFieldGuide

REPEATS = 120
PLAIN = ScoreFunction(reparameterize=False)
SCORES = {
    "plain": PLAIN,
    "leave-one-out": ScoreFunction(LeaveOneOut(), reparameterize=False),
    "moving-average": ScoreFunction(MovingAverage(), reparameterize=False),
    "control-variates": ControlVariates(),
}
every_score = pytest.mark.parametrize("gradient", SCORES.values(), ids=SCORES)


def batch_of(regression, rows=slice(None)):
    return {"x": regression.x[rows], "y": regression.y[rows]}


def near(regression):
    """A mean-field guide a little off the exact posterior."""
    return GlobalMeanFieldGuide({"w": regression.posterior.loc + 0.1}, 0.25)


@pytest.mark.parametrize("rows", [20, 5])
@every_score
def test_scores_have_the_expectation_of_the_exact_gradient(gradient, rows):
    regression = LinearRegression()
    guide, batch = near(regression), batch_of(regression, slice(rows))
    found = gradients(ELBO(5, gradient=gradient), regression.model, guide, batch, REPEATS)
    scale_tril = torch.diag(guide.log_scales["w"].exp())
    elbo = regression.elbo(guide.locs["w"], scale_tril, slice(rows))
    assert_mean(found, torch.cat(torch.autograd.grad(-elbo, list(guide.parameters()))))


@pytest.mark.parametrize("gradient", [PLAIN, ControlVariates()], ids=["plain", "control-variates"])
def test_scores_of_a_full_rank_guide_have_it_too(gradient):
    regression = LinearRegression()
    guide = GlobalFullRankGuide(regression.posterior.loc + 0.1, 0.25)
    batch = batch_of(regression)
    found = gradients(ELBO(5, gradient=gradient), regression.model, guide, batch, REPEATS)
    elbo = regression.elbo(guide.centre, guide.distribution().scale_tril)
    exact = torch.autograd.grad(-elbo, list(guide.parameters()))
    assert_mean(found, torch.cat([each.flatten() for each in exact]))


def test_scores_of_a_k_sample_bound_agree_with_paths():
    regression = LinearRegression()
    guide, batch = near(regression), batch_of(regression)
    paths = gradients(IWAE(3), regression.model, guide, batch, REPEATS, seed=2)
    scores = gradients(IWAE(3, gradient=PLAIN), regression.model, guide, batch, REPEATS)
    assert_agree(scores, paths)


def switched(x):
    s = pyro.sample("s", dist.Bernoulli(torch.tensor(0.3)))
    with pyro.plate("data", 12, subsample=torch.arange(len(x)), dim=-1):
        z = pyro.sample("z", dist.Normal(s, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


class Switch(torch.nn.Module):
    """q(s) of one bit for all data, and q(z|x, s) of each row."""

    def __init__(self):
        super().__init__()
        self.logit = torch.nn.Parameter(torch.tensor(0.4))
        self.slope = torch.nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        s = pyro.sample("s", dist.Bernoulli(logits=self.logit))
        with pyro.plate("data", 12, subsample=torch.arange(len(x)), dim=-1):
            pyro.sample("z", dist.Normal(self.slope * x + 0.5 * s, 0.8))

    def elbo(self, x):
        """Summed over both states, each expectation of z by its formula, in nats."""
        prior, q = torch.tensor([0.7, 0.3]), torch.stack([-self.logit, self.logit]).sigmoid()
        total = -(q * (q / prior).log()).sum()
        half = 0.5 * torch.log(torch.tensor(2 * torch.pi))
        for s in (0, 1):
            loc = self.slope * x + 0.5 * s
            likelihood = -half - 0.5 * ((x - loc) ** 2 + 0.64)
            log_prior = -half - 0.5 * ((loc - s) ** 2 + 0.64)
            entropy = dist.Normal(loc, 0.8).entropy()
            total = total + q[s] * (12 / len(x)) * (likelihood + log_prior + entropy).sum()
        return total


@pytest.mark.parametrize("rows", [12, 4])
def test_a_discrete_site_outside_of_the_plate_is_scored_beside_paths_inside(rows):
    x, guide = torch.randn(rows) + 0.5, Switch()
    estimator = ELBO(4, gradient=ScoreFunction(LeaveOneOut()))
    found = gradients(estimator, switched, guide, {"x": x}, REPEATS)
    exact = torch.autograd.grad(-guide.elbo(x), list(guide.parameters()))
    assert_mean(found, torch.stack(exact))


def two_means(x):
    a = pyro.sample("a", dist.Normal(torch.zeros(()), 1.0))
    pyro.sample("b", dist.Normal(torch.zeros(()), 1.0))
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("x", dist.Normal(a, 1.0), obs=x)


def test_what_a_site_has_nothing_to_do_with_is_no_part_of_its_signal():
    x = torch.randn(6)
    guide = GlobalMeanFieldGuide({"a": torch.tensor(0.2), "b": torch.tensor(-0.4)}, 0.5)
    pyro.set_rng_seed(7)
    drawn = guide(x)
    a, b = drawn["a"].detach(), drawn["b"].detach()
    q = {name: dist.Normal(guide.locs[name], 0.5) for name in "ab"}
    rows = dist.Normal(a, 1.0).log_prob(x).sum()
    led_to = {
        "a": rows + dist.Normal(0.0, 1.0).log_prob(a) - q["a"].log_prob(a),
        "b": dist.Normal(0.0, 1.0).log_prob(b) - q["b"].log_prob(b),
    }
    score = {"a": (a - 0.2) / 0.25, "b": (b + 0.4) / 0.25}
    pyro.set_rng_seed(7)
    loss = ELBO(gradient=PLAIN).differentiable_loss(two_means, guide, x)
    for name in "ab":
        (found,) = torch.autograd.grad(loss, guide.locs[name], retain_graph=True)
        expected = -led_to[name] * score[name]
        assert_close(found, expected.detach(), rtol=1e-10, atol=1e-10)


def test_control_variates_are_those_of_the_other_draws():
    x = torch.randn(6)
    guide = GlobalMeanFieldGuide({"a": torch.tensor(0.2), "b": torch.tensor(-0.4)}, 0.5)
    pyro.set_rng_seed(7)
    with pyro.plate("particles", 4, dim=-2):
        a = guide(x)["a"].detach().flatten()
    rows = dist.Normal(a[:, None], 1.0).log_prob(x).sum(1)
    q = dist.Normal(0.2, 0.5)
    signal = rows + dist.Normal(0.0, 1.0).log_prob(a) - q.log_prob(a)
    score = (a - 0.2) / 0.25
    by_hand = 0.0
    for k in range(4):
        others = [j for j in range(4) if j != k]
        weight = score[others] ** 2
        by_hand -= score[k] * (signal[k] - (weight * signal[others]).sum() / weight.sum()) / 4
    pyro.set_rng_seed(7)
    loss = ELBO(4, gradient=ControlVariates()).differentiable_loss(two_means, guide, x)
    (found,) = torch.autograd.grad(loss, guide.locs["a"])
    assert_close(found, by_hand, rtol=1e-10, atol=1e-10)


def test_control_variates_lower_the_variance_on_the_logistic_regression_threefold():
    model, guide, batch = logistic()
    noisy, *calm = (
        gradients(ELBO(10, gradient=SCORES[name]), model, guide, batch, REPEATS)
        for name in ("plain", "leave-one-out", "control-variates")
    )
    for each in calm:
        assert_agree(noisy, each)
        # The variance of all parameters together; in fact it is lower by far more.
        assert noisy.var(0).sum() > 3 * each.var(0).sum()


def test_paths_have_the_gradient_of_scores_on_the_logistic_regression():
    model, guide, batch = logistic()
    scores, paths = (
        gradients(ELBO(10, gradient=gradient), model, guide, batch, REPEATS, seed)
        for seed, gradient in ((1, SCORES["control-variates"]), (2, StickingTheLanding()))
    )
    assert_agree(scores, paths)
