"""Small trainings of which the tests of fit, resume and failure know the answer."""

import random

import numpy
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows
from torch import nn

from ppvae import SVI, fit
from ppvae.checkpoint import Checkpoint
from ppvae.data import from_arrays
from ppvae.run import CHECKPOINT


def line_pair(offset=0.0, log_scale=0.0):
    """z ~ N(0, 1), x ~ N(z, 1) and q = N(slope x + offset, scale), named params alone.

    At offset 0 it is the exact posterior, and every bound is log p(x) = log N(x; 0, 2).
    """

    def model(x):
        # A parameter that changes nothing, for pairs whose guide is at its best.
        scale = pyro.param("scale", torch.tensor(1.0), constraint=dist.constraints.positive)
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, scale).to_event(1), obs=x)

    def guide(x):
        slope = pyro.param("slope", torch.tensor(0.5))
        shift = pyro.param("shift", torch.tensor(float(offset)))
        width = pyro.param("width", torch.tensor(0.5).sqrt().log() + log_scale).exp()
        with rows(x):
            pyro.sample("z", dist.Normal(slope * x + shift, width).to_event(1))

    return model, guide


def line_evidence(x):
    """Exact log p(x) of the line pair, nats, (N,)."""
    return dist.Normal(0.0, 2.0**0.5).log_prob(x).sum(-1)


def line_data(num_rows=60):
    """Rows from the line pair's own model: four fifths to train on, a tenth to validate."""
    generator = torch.Generator().manual_seed(1)
    return from_arrays({"x": 2**0.5 * torch.randn(num_rows, 1, generator=generator)})


ROWS = torch.rand(40, 6, generator=torch.Generator().manual_seed(0)).lt(0.4).double()


class Restless(nn.Module):
    """A network with all that a resume must bring back: dropout, batch norm, weights."""

    def __init__(self, width, out):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            first, last = nn.Linear(width, 5), nn.Linear(5, out)
        self.layers = nn.Sequential(first, nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.3), last)

    def forward(self, x):
        return self.layers(x)


def restless_pair(foreign=True):
    """Dropout, batch norm, and a named param that is drawn when the pair first runs.

    Its foreign draws, from Python's and NumPy's generators, cannot be captured.
    """
    encoder = Restless(6, 4)

    def model(x):
        weight = pyro.param("weight", lambda: torch.randn(2, 6))
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            noise = 0.0
            if foreign:
                noise = 0.01 * numpy.random.standard_normal() + 0.01 * random.gauss(0, 1)
            pyro.sample("x", dist.Bernoulli(logits=z @ weight + noise).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        loc, log_scale = encoder(x).chunk(2, -1)
        with rows(x):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    return model, guide


def quiet(pair, data, **settings):
    """A run without a word, of small batches unless told otherwise."""
    return fit(pair, data, **{"batch_size": 10, "progress": False, **settings})


def keep_every_state(monkeypatch):
    """Keep the state after every step and every epoch."""
    monkeypatch.setattr("ppvae.keeper._BETWEEN_EPOCHS", 0.0)
    monkeypatch.setattr("ppvae.keeper._WITHIN_EPOCH", 0.0)


def train(folder, pair=restless_pair, data=None, **settings):
    """Train a pair made anew, as a new process would make it, on 40 binary rows.

    32 of them are training rows: four steps an epoch, the last one of two rows.
    """
    return quiet(pair(), ROWS if data is None else data, folder=folder, **settings)


def stopped(monkeypatch, after, folder, **settings):
    """Train until the given number of steps was taken, and then as if by Ctrl-C no more."""
    left = iter(range(after))
    update = SVI.update_rows

    def stops(self, fields, rows):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return update(self, fields, rows)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SVI, "update_rows", stops)
        train(folder, **settings)


def assert_same_state(folder, other, *apart_from):
    """All that is kept: parameters, optimizer, generators, best state, history but seconds."""
    ours, theirs = (Checkpoint.load(each / CHECKPOINT) for each in (folder, other))
    assert ours.tensors.keys() == theirs.tensors.keys()
    different = [
        name
        for name, tensor in ours.tensors.items()
        if name != "history/seconds" and not _same_bits(tensor, theirs.tensors[name])
    ]
    assert not different
    apart = dict.fromkeys(("seconds", *apart_from))
    assert {**ours.values, **apart} == {**theirs.values, **apart}


def _same_bits(tensor, other):
    flat = [each.reshape(-1).view(torch.uint8) for each in (tensor, other)]
    return tensor.dtype == other.dtype and torch.equal(*flat)


def values_of(pair):
    """Copies of all that training moves, by name."""
    return {n: t.detach().clone() for n, t in (pair.leaves | pair.buffers).items()}


def assert_same_values(pair, other):
    ours, theirs = values_of(pair), values_of(other)
    assert ours.keys() == theirs.keys() and ours
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


def assert_same_history(run, other):
    """Bit for bit, but for the clock."""
    ours, theirs = run.history.drop_vars("seconds"), other.history.drop_vars("seconds")
    assert ours.identical(theirs), f"{ours}\n{theirs}"
