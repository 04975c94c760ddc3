"""Which draws a log-density depends on is found by following them, and never guessed too small."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import ENUMERATED, rows
from pyro.distributions.transforms import Planar
from torch import nn

from ppvae import ELBO, IWAE, log_terms
from ppvae.dependencies import dependencies

X = torch.linspace(-1.0, 1.0, 4).double()


def chain(read=False):
    """Guide: y enumerated, b1, z of b1, b2 of z and y, c; model: x of z, w of y, v of c.

    Args:
        read: whether the guide looks at b1 before it goes on.
    """

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.ones(3)))
            pyro.sample("b1", dist.Bernoulli(0.3))
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("b2", dist.Bernoulli(0.3))
            c = pyro.sample("c", dist.Bernoulli(0.3))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)
            pyro.sample("w", dist.Normal(torch.arange(3.0)[y], 1.0), obs=x)
            pyro.sample("v", dist.Normal(c, 1.0), obs=x)

    def guide(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.ones(len(x), 3)), infer=ENUMERATED)
            b1 = pyro.sample("b1", dist.Bernoulli(logits=x))
            if read and b1.sum() > 100:
                raise AssertionError
            z = pyro.sample("z", dist.Normal(b1, 1.0))
            pyro.sample("b2", dist.Bernoulli(logits=z + y))
            pyro.sample("c", dist.Bernoulli(logits=x))

    return model, guide


def found(pair, x=X):
    deps = dependencies(log_terms(*pair, x))
    return [{n: "".join(sorted(names)) for n, names in r.items()} for r in (deps.model, deps.guide)]


OF_MODEL = {
    "y": "y",
    "b1": "b1",
    "z": "b1z",
    "b2": "b1b2yz",
    "c": "c",
    "x": "b1z",
    "w": "y",
    "v": "c",
}
OF_GUIDE = {"y": "y", "b1": "b1", "z": "b1z", "b2": "b1b2yz", "c": "c"}


def test_draws_are_followed_through_later_draws():
    assert found(chain()) == [OF_MODEL, OF_GUIDE]


def test_what_the_host_has_read_may_decide_all_that_comes_after():
    of_model, of_guide = found(chain(read=True))
    assert of_guide == OF_GUIDE | {"c": "b1c"}
    assert all("b1" in draws for site, draws in of_model.items() if site != "y")


def test_a_density_that_cannot_be_followed_depends_on_all_draws_before():
    flow = [Planar(1)]

    def model(x):
        with rows(x):
            c = pyro.sample("c", dist.Bernoulli(0.3))
            z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("b", dist.Bernoulli(0.3))
            pyro.sample("x", dist.Normal(z[..., 0] + c, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("c", dist.Bernoulli(logits=x))
            base = dist.Normal(x.unsqueeze(-1), 1.0).to_event(1)
            pyro.sample("z", dist.TransformedDistribution(base, flow))
            pyro.sample("b", dist.Bernoulli(logits=x))

    # The density of a planar flow is known at its own draws alone, and a marked one is a copy.
    assert found((model, guide))[1] == {"c": "c", "z": "cz", "b": "b"}


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return 2 * value

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


NETWORKS = {
    "function": lambda: Doubled.apply,
    "linear": lambda: nn.Linear(1, 1),
    "batch-norm": lambda: nn.BatchNorm1d(1),
    "table": lambda: lambda bit: torch.tensor([2.0, 3.0])[bit.long()],
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_draws_are_followed_through_networks(make):
    network = make()

    def model(x):
        with rows(x):
            pyro.sample("b1", dist.Bernoulli(0.5))
            b2 = pyro.sample("b2", dist.Bernoulli(0.5))
            pyro.sample("x", dist.Normal(b2, 1.0), obs=x)

    def guide(x):
        with rows(x):
            b1 = pyro.sample("b1", dist.Bernoulli(logits=x))
            logits = network(b1.reshape(-1, 1)).reshape(b1.shape)
            pyro.sample("b2", dist.Bernoulli(logits=logits))

    of_model, of_guide = found((model, guide))
    assert of_guide["b2"] == of_model["x"] == "b1b2"


def test_finding_out_leaves_nothing_behind_and_is_done_once():
    norm, runs = nn.BatchNorm1d(1), []

    def model(x):
        runs.append("model")
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            loc = norm(z.reshape(-1, 1)).reshape(z.shape)
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x, 1.0))

    terms = log_terms(model, guide, X)
    statistics, state = norm.running_mean.clone(), torch.get_rng_state()
    first = dependencies(terms)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(norm.running_mean, statistics) and type(norm.running_mean) is torch.Tensor
    runs.clear()
    assert dependencies(terms) is first and not runs


def label_of_a_draw(x):
    with rows(x):
        z = pyro.sample("z", dist.Normal(x, 1.0))
        pyro.sample("y", dist.Bernoulli(logits=z), infer=ENUMERATED)


def labelled(x):
    with rows(x):
        y = pyro.sample("y", dist.Bernoulli(0.5))
        z = pyro.sample("z", dist.Normal(y, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def test_labels_of_draws_are_refused_outside_of_a_k_sample_bound():
    message = (
        r"IWAE\(expected=True\) must have labels that do not depend on a drawn site; "
        "got 'y', which depends on 'z'."
    )
    with pytest.raises(ValueError, match=message):
        IWAE(3, expected=True).loss(labelled, label_of_a_draw, X)
    for serves in (IWAE(3), ELBO(3)):
        assert (
            serves.bound(log_terms(labelled, label_of_a_draw, X, num_particles=3)).isfinite().all()
        )
