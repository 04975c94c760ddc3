"""Regressions with a prior over their weights, outside of the data plate: what is exact there."""

import pyro
import pyro.distributions as dist
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from ppvae.guides import GlobalMeanFieldGuide
from ppvae.models import BayesianLogisticRegression

NOISE = 0.7


class LinearRegression:
    """w ~ N(0, I), y ~ N(x'w, NOISE^2): the posterior is Gaussian.

    Args:
        num_rows: N.
        num_features: P.
    """

    def __init__(self, num_rows=20, num_features=3):
        self.x = torch.randn(num_rows, num_features)
        self.x[:, 1] = 0.8 * self.x[:, 0] + 0.6 * self.x[:, 1]
        self.y = self.x @ torch.randn(num_features) + NOISE * torch.randn(num_rows)
        precision = torch.eye(num_features) + self.x.T @ self.x / NOISE**2
        loc = torch.linalg.solve(precision, self.x.T @ self.y / NOISE**2)
        self.posterior = MultivariateNormal(loc, precision_matrix=precision)
        cov = NOISE**2 * torch.eye(num_rows) + self.x @ self.x.T
        self.log_evidence = MultivariateNormal(torch.zeros(num_rows), cov).log_prob(self.y)

    def model(self, x, y):
        w = pyro.sample("w", dist.Normal(x.new_zeros(x.shape[1]), 1.0).to_event(1))
        with pyro.plate("data", len(self.x), subsample=torch.arange(len(x)), dim=-1):
            pyro.sample("y", dist.Normal((x * w).sum(-1), NOISE), obs=y)

    def elbo(self, loc, scale_tril, rows=slice(None)):
        """Under q(w) = N(loc, scale_tril scale_tril'), from some rows for all, in nats, ()."""
        x, y = self.x[rows], self.y[rows]
        spread = (x @ scale_tril).square().sum(-1) / NOISE**2
        log_likelihood = dist.Normal(x @ loc, NOISE).log_prob(y) - 0.5 * spread
        prior = MultivariateNormal(torch.zeros_like(loc), torch.eye(len(loc)))
        kl = kl_divergence(MultivariateNormal(loc, scale_tril=scale_tril), prior)
        return len(self.x) / len(x) * log_likelihood.sum() - kl


def logistic(num_rows=60, num_features=4, plate=None):
    """A logistic regression whose mean-field guide is near its optimum, and its rows by field."""
    x = torch.randn(num_rows, num_features)
    y = (x.sum(1) + 0.5 * torch.randn(num_rows) > 0).to(x.dtype)
    model = BayesianLogisticRegression(num_features, plate or num_rows)
    start = torch.cat([torch.ones(num_features), torch.zeros(1)])
    return model, GlobalMeanFieldGuide({"w": start}, 0.3), {"x": x, "y": y}


def gradients(estimator, model, guide, batch, repeats, seed=1):
    """Gradients of the loss in all parameters of the guide side by side, (repeats, D)."""
    parameters = list(guide.parameters())
    pyro.set_rng_seed(seed)
    found = []
    for _ in range(repeats):
        loss = estimator.differentiable_loss(model, guide, **batch)
        each = torch.autograd.grad(loss, parameters)
        found.append(torch.cat([gradient.flatten() for gradient in each]))
    return torch.stack(found)


def assert_agree(first, second):
    """Hold the means of two samples of gradients against each other, at 5 standard errors.

    For a dozen numbers a false alarm comes once in a hundred thousand runs.
    """
    error = (first.var(0) / len(first) + second.var(0) / len(second)).sqrt()
    assert (first.mean(0) - second.mean(0)).abs().le(5 * error).all()


def assert_mean(sample, expected):
    """Hold the mean of a sample of gradients against the exact one, at 5 standard errors."""
    error = sample.std(0) / len(sample) ** 0.5
    assert (sample.mean(0) - expected).abs().le(5 * error).all()
