"""Gradients computed together are those computed one by one; where they cannot be, it is said."""

import numpy as np
import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae, labelled_pair, linear_pair, rows
from torch import nn
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, IWAE, SVI, Pair, Renyi
from ppvae.bench.blocks import blocks_of
from ppvae.bench.sampling import Sampler
from ppvae.estimators import ReweightedWakeSleep
from ppvae.estimators.gradients import VIMCO, DoublyReparameterized, ScoreFunction
from ppvae.guides import GaussianGuide
from ppvae.live_bytes import Live
from ppvae.networks import MLP
from ppvae.pair import as_batch
from ppvae.tracing import rehearse

quiet = {"num_timed": 0, "progress": False}


def with_named_params():
    """Plain functions; the guide's parameters are named ones, one of them positive."""
    pair = linear_pair()

    def guide(x):
        slope = pyro.param("slope", pair.slope.detach().clone())
        scale = pyro.param("scale", torch.ones(2), constraint=dist.constraints.positive)
        with rows(x):
            pyro.sample("z", dist.Normal(x @ slope.T, scale).to_event(1))

    return (pair.model, guide), torch.randn(3, 4)


def with_dropout():
    network = nn.Sequential(nn.Dropout(0.4), MLP(6, [4], 4))
    return (binary_vae()[0], GaussianGuide(network)), binary_rows()


def with_labels():
    pair = labelled_pair()
    logits = nn.Parameter(pair.logits)

    def guide(x):
        pair.logits = pyro.param("logits", logits)
        pair.guide(x)

    return (pair.model, guide), torch.randn(3, 4)


def bits():
    """A discrete site that is drawn, and so scored."""
    logits, weight = nn.Parameter(torch.randn(4, 2)), torch.randn(2, 4)

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Bernoulli(torch.full((2,), 0.4)).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight, 1.0).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Bernoulli(logits=x @ pyro.param("logits", logits)).to_event(1))

    return (model, guide), torch.randn(3, 4)


def vae():
    return binary_vae(), binary_rows()


CASES = {
    "elbo": (vae, ELBO()),
    "closed kl": (vae, ELBO(2, analytic_kl=True)),
    "iwae": (vae, IWAE(3)),
    "renyi": (vae, Renyi(0.5, 3)),
    "dreg": (vae, IWAE(3, gradient=DoublyReparameterized())),
    "wake": (vae, ReweightedWakeSleep(3)),
    "named params": (with_named_params, IWAE(3)),
    "dropout": (with_dropout, ELBO()),
    "labels": (with_labels, ELBO(2)),
    "labels outside": (with_labels, IWAE(2, expected=True)),
    "score": (bits, ELBO(2, gradient=ScoreFunction())),
    "vimco": (bits, IWAE(3, gradient=VIMCO())),
}


def sampler_of(pair, x, estimator):
    joined, batch = Pair(*pair), as_batch(x)
    with joined.entered():
        rehearse(joined, batch)
        return Sampler(joined, batch, estimator, blocks_of(joined, batch, None).leaves)


@pytest.mark.parametrize("make, estimator", CASES.values(), ids=CASES)
def test_one_gradient_of_those_together_is_the_ordinary_one(make, estimator):
    pair, x = make()
    sampler = sampler_of(pair, x, estimator)
    assert sampler.at_once > 1
    pyro.set_rng_seed(7)
    ((together, value),) = sampler.draw(1)
    svi = SVI(*pair, torch.optim.Adam, estimator.eval())
    pyro.set_rng_seed(7)
    loss = svi.gradients(x)
    assert_close(value[0], -loss / len(x), rtol=0, atol=1e-12)
    for name, leaf in svi.pair.leaves.items():
        ordinary = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        assert_close(together[name][0], -ordinary / len(x), rtol=0, atol=1e-12)


def test_draws_together_are_independent():
    pair, x = vae()
    ((gradients, _),) = sampler_of(pair, x, ELBO()).draw(1000)
    each = gradients["guide.encoder.layers.0.bias"][:, 0]
    following = torch.stack([each[:-1], each[1:]])
    # The correlation of 999 independent pairs has a standard error of 1 / sqrt(999).
    assert abs(float(torch.corrcoef(following)[0, 1])) < 5 / 999**0.5


def test_a_pair_that_looks_at_its_draws_is_looped_and_says_so():
    model, guide = binary_vae()

    def branching(x):
        z = guide(x)
        return z if bool(z.sum() > 0) else -z

    pair = (model, branching)
    with pytest.warns(UserWarning, match="gradients of ELBO are drawn one by one, since"):
        found = ppvae.gradients(pair, binary_rows(), [ELBO()], 5, **quiet)
    assert int(found["at_once"][0]) == 1
    assert found["variance"].notnull().all()


def test_a_pair_that_draws_from_numpy_is_looped_and_says_so():
    model, guide = binary_vae()

    def noisy(x):
        return guide(x + 0.1 * np.random.standard_normal())

    with pytest.warns(UserWarning, match="since the pair draws from NumPy or Python"):
        found = ppvae.gradients((model, noisy), binary_rows(), [ELBO()], 5, **quiet)
    assert int(found["at_once"][0]) == 1


def test_an_estimator_of_pyro_is_looped_without_a_word():
    found = ppvae.gradients(*vae(), [pyro.infer.TraceMeanField_ELBO()], 5, **quiet)
    assert int(found["at_once"][0]) == 1


def test_live_bytes_are_counted():
    before = torch.zeros(1000)
    with Live() as live:
        first = before * 2
        view = first.view(10, 100)
        second = view + 1
        del first, view
        assert (live.now, live.peak) == (8000, 16000)
        third = before.view(100, 10)
        third.add_(1)
        del second
    assert (live.now, live.peak) == (0, 16000)
