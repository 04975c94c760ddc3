"""Pairs whose K-sample bounds, and with them their gradients, are sums over known states.

Rows are all the same datum, with parameters of their own: one backward pass is as many
independent draws of a gradient. The exact gradient is autograd of the sum over states.
"""

import itertools
import math

import pyro
import pyro.distributions as dist
import torch
from programs import ENUMERATED, rows
from pyro import poutine
from torch.nn.functional import one_hot

from ppvae import log_terms
from ppvae.exact import ExactSum
from ppvae.testing.problems import Problem, bits, layered

BIT = torch.tensor([0.0, 1.0], dtype=torch.float64)
GRID = torch.linspace(-7.0, 7.0, 113, dtype=torch.float64)
STEP = math.log(14.0 / 112)


def problem(name, make, x, rows, **parameters):
    own = {
        key: torch.tensor(value).expand(rows, *torch.tensor(value).shape).clone().requires_grad_()
        for key, value in parameters.items()
    }
    model, guide = make(own)
    return Problem(name, model, guide, torch.tensor(x).expand(rows), own, torch.zeros(rows))


def squared(rows_):
    """x ~ N(a z^2, 0.7), whose posterior has two modes."""

    def make(p):
        def model(x):
            with rows(x):
                z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
                pyro.sample("x", dist.Normal(p["height"] * z**2, 0.7), obs=x)

        def guide(x):
            with rows(x):
                pyro.sample("z", dist.Normal(p["loc"], p["log_scale"].exp()))

        return model, guide

    return problem("squared", make, 1.1, rows_, height=0.9, loc=0.5, log_scale=-0.6)


def mixed(rows_):
    """An enumerated label, a scored bit given it, a code with a path, a scored bit given that."""

    def make(p):
        def model(x):
            with rows(x):
                y = pyro.sample("y", dist.Bernoulli(torch.tensor(0.4)))
                b = pyro.sample("b", dist.Bernoulli(torch.tensor(0.3) + 0.2 * y))
                z = pyro.sample("z", dist.Normal(p["height"] * b, 1.0))
                c = pyro.sample("c", dist.Bernoulli(logits=0.5 * z))
                pyro.sample("x", dist.Normal(y + z - c, 1.0), obs=x)

        def guide(x):
            with rows(x):
                y = pyro.sample("y", dist.Bernoulli(logits=p["label"]), infer=ENUMERATED)
                b = pyro.sample("b", dist.Bernoulli(logits=p["bit"] + y))
                z = pyro.sample("z", dist.Normal(p["loc"] + 0.5 * b, p["log_scale"].exp()))
                pyro.sample("c", dist.Bernoulli(logits=p["slope"] * z))

        return model, guide

    return problem(
        *("mixed", make, 0.8, rows_),
        **dict(height=0.6, label=0.3, bit=-0.4, loc=0.2, log_scale=-0.4, slope=0.7),
    )


def label_and_bit(rows_):
    """A label of three, enumerated, and a scored bit given it; the model has heights for both."""

    def make(p):
        def model(x):
            with rows(x):
                y = pyro.sample("y", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])))
                b = pyro.sample("b", dist.Bernoulli(torch.tensor(0.4)))
                pyro.sample("x", dist.Normal(p["height"] * y - b, 1.0), obs=x)

        def guide(x):
            with rows(x):
                y = pyro.sample("y", dist.Categorical(logits=p["label"]), infer=ENUMERATED)
                own = (one_hot(y, 3) * p["bit"]).sum(-1)
                pyro.sample("b", dist.Bernoulli(logits=own))

        return model, guide

    settings = dict(height=0.8, label=[0.3, -0.2, 0.1], bit=[0.5, -0.5, 0.2])
    return problem("label and bit", make, 0.8, rows_, **settings)


def apart(rows_):
    """Two bits that have nothing to do with each other, each with data of its own."""

    def make(p):
        def model(x):
            with rows(x):
                b = pyro.sample("b", dist.Bernoulli(torch.tensor(0.4)))
                c = pyro.sample("c", dist.Bernoulli(torch.tensor(0.3)))
                pyro.sample("x", dist.Normal(3 * b, 1.0), obs=x)
                pyro.sample("w", dist.Normal(2 * c, 1.0), obs=x)

        def guide(x):
            with rows(x):
                pyro.sample("b", dist.Bernoulli(logits=p["b"]))
                pyro.sample("c", dist.Bernoulli(logits=p["c"]))

        return model, guide

    return problem("apart", make, 0.8, rows_, b=0.2, c=-0.3)


STATES = {
    apart: {"b": BIT, "c": BIT},
    bits: {"b1": BIT, "b2": BIT},
    layered: {"z1": GRID, "z2": GRID},
    squared: {"z": GRID},
    mixed: {"y": BIT, "b": BIT, "z": GRID, "c": BIT},
    label_and_bit: {"y": torch.arange(3), "b": BIT},
}


def exact_sum(make):
    """Log p and log q of all states of one row, labels outermost, (C, S), and the row itself."""
    row, states = make(1), STATES[make]
    joint = itertools.product(*(values.tolist() for values in states.values()))
    columns = zip(*joint, strict=True)
    flat = {name: torch.tensor(column) for name, column in zip(states, columns, strict=True)}
    volume = STEP * sum(values is GRID for values in states.values())
    found = ExactSum(row.model, row.guide, flat, volume)
    labels = len(states["y"]) if "y" in states else 1
    return row, (found.log_joint(row.x).view(labels, -1), found.log_guide(row.x).view(labels, -1))


def exact_gradient(make, estimator):
    """The gradient of the expected bound by parameter: K = 2 draws, or the mean of any number."""
    row, (log_joint, log_guide) = exact_sum(make)
    log_weight = log_joint - log_guide
    if estimator.averages:
        bound = (log_guide.exp() * log_weight).sum()
    else:
        labels = log_guide.logsumexp(1)
        shares = (log_guide - labels[:, None]).exp()
        pairs = torch.stack(
            [
                log_weight.unsqueeze(2).expand(-1, -1, log_weight.shape[1]),
                log_weight.unsqueeze(1).expand(-1, log_weight.shape[1], -1),
            ],
            -2,
        )
        by_label = torch.einsum("ci,cj,cij->c", shares, shares, estimator.of_weights(pairs))
        bound = (labels.exp() * by_label).sum()
    return gradients(row, bound)


def gradients(problem, target):
    """By parameter, (R, ...)."""
    leaves = list(problem.parameters.values())
    found = torch.autograd.grad(target.sum(), leaves, allow_unused=True, materialize_grads=True)
    return dict(zip(problem.parameters, found, strict=True))


def drawn_gradients(make, estimator, draws=20_000, seed=1):
    """As many independent gradients that an estimator follows, by parameter, (draws, ...)."""
    pyro.set_rng_seed(seed)
    many = make(draws)
    terms = log_terms(many.model, many.guide, many.x, num_particles=estimator.num_particles)
    return gradients(many, estimator.surrogate(terms))


def two_bits(scale=1.0, auxiliary=False):
    """Independent bits b and c, each seen through data of its own; q has a logit for each."""
    logits = torch.zeros(2).requires_grad_()

    def model(x):
        with rows(x):
            with poutine.scale(scale=scale):
                b = pyro.sample("b", dist.Bernoulli(0.4))
            c = pyro.sample("c", dist.Bernoulli(0.3))
            pyro.sample("x", dist.Normal(3 * b, 1.0), obs=x)
            pyro.sample("w", dist.Normal(2 * c, 1.0), obs=x)

    def guide(x):
        with rows(x):
            with poutine.scale(scale=scale):
                b = pyro.sample("b", dist.Bernoulli(logits=logits[0].expand(len(x))))
            pyro.sample("c", dist.Bernoulli(logits=logits[1].expand(len(x))))
            if auxiliary:
                pyro.sample("a", dist.Normal(b, 1.0), obs=x, infer={"auxiliary": True})

    return model, guide, logits
