"""Small pairs of which the tests know the answer, and the parameters they share."""

from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

ENUMERATED = {"enumerate": "parallel"}


def rows(x, **settings):
    return pyro.plate("data", len(x), dim=-1, **settings)


def standard_normal(width):
    return dist.Normal(torch.zeros(width), 1.0).to_event(1)


def binary_vae(data_dim=6, latent_dim=2):
    """A shipped pair with weights of its own, in float64."""
    model = VAE(MLP(latent_dim, [4], data_dim), StandardNormal(latent_dim), BernoulliLikelihood())
    return model, GaussianGuide(MLP(data_dim, [4], 2 * latent_dim))


def binary_rows(batch_size=5, data_dim=6):
    return torch.rand(batch_size, data_dim).lt(0.4).double()


@dataclass(eq=False)
class LinearPair:
    """z ~ N(0, I), x ~ N(Wz, I), q = N(Vx + v, diag(s^2)), and the tensors in it."""

    weight: torch.Tensor
    slope: torch.Tensor
    shift: torch.Tensor
    log_scale: torch.Tensor

    def model(self, x):
        with rows(x):
            z = pyro.sample("z", standard_normal(self.weight.shape[1]))
            pyro.sample("x", dist.Normal(z @ self.weight.T, 1.0).to_event(1), obs=x)

    def guide(self, x):
        loc = x @ self.slope.T + self.shift
        with rows(x):
            pyro.sample("z", dist.Normal(loc, self.log_scale.exp()).to_event(1))

    @property
    def precision(self):
        return torch.eye(self.weight.shape[1]) + self.weight.T @ self.weight

    def log_evidence(self, x):
        cov = torch.eye(len(self.weight)) + self.weight @ self.weight.T
        return dist.MultivariateNormal(torch.zeros(len(self.weight)), cov).log_prob(x)

    def posterior(self, x):
        loc = torch.linalg.solve(self.precision, (x @ self.weight).T).T
        return dist.MultivariateNormal(loc, precision_matrix=self.precision)


def linear_pair(data_dim=4, latent_dim=2, offset=0.0):
    """W'W is diagonal, so that a diagonal Gaussian at offset 0 is the exact posterior."""
    orthogonal = torch.linalg.qr(torch.randn(data_dim, latent_dim)).Q
    lengths = torch.linspace(0.7, 1.3, latent_dim)
    weight = orthogonal * lengths
    precision = 1 + lengths**2
    leaves = (
        (weight.T / precision[:, None]).clone(),
        torch.full((latent_dim,), float(offset)),
        -0.5 * precision.log(),
    )
    return LinearPair(weight, *(leaf.requires_grad_() for leaf in leaves))


def wide_noise(noise=3.0):
    """z ~ N(0, I), x ~ N(z, noise I) in two dimensions, and the exact posterior."""

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z, noise**0.5).to_event(1), obs=x)

    def guide(x):
        scale = (noise / (1 + noise)) ** 0.5
        with rows(x):
            pyro.sample("z", dist.Normal(x / (1 + noise), scale).to_event(1))

    return model, guide


@dataclass(eq=False)
class LabelledPair:
    """Labels y and a code z given y: M2's structure, Gaussian throughout."""

    weight: torch.Tensor
    logits: torch.Tensor
    prior: torch.Tensor

    def model(self, x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(self.prior))
            z = pyro.sample("z", standard_normal(2))
            loc = z @ self.weight.T + y.unsqueeze(-1)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guide(self, x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(logits=x @ self.logits), infer=ENUMERATED)
            loc = x[:, :2] + 0.3 * y.unsqueeze(-1)
            pyro.sample("z", dist.Normal(loc, 0.5).to_event(1))

    def log_weight(self, x, z):
        """log p(x, y, z) - log q(y, z|x) of codes z, (C, K, B, 2), written out: (C, K, B)."""
        y = torch.arange(len(self.prior), dtype=x.dtype)[:, None, None, None]
        joint = self.prior.log()[:, None, None] + standard_normal(2).log_prob(z)
        joint = joint + dist.Normal(z @ self.weight.T + y, 1.0).log_prob(x).sum(-1)
        codes = dist.Normal(x[:, :2] + 0.3 * y, 0.5).log_prob(z).sum(-1)
        return joint - codes - self.log_labels(x)[:, None]

    def log_labels(self, x):
        return (x @ self.logits).log_softmax(-1).T


def labelled_pair(data_dim=4, classes=3):
    prior = torch.arange(1.0, classes + 1)
    return LabelledPair(
        torch.randn(data_dim, 2), torch.randn(data_dim, classes), prior / prior.sum()
    )


class Refuses(nn.Module):
    """A linear decoder that takes (B, D) and nothing wider, as many a hand-written network."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, z):
        return z.reshape(5, -1) @ self.weight.T
