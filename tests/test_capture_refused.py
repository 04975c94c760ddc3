"""What cannot be captured runs as Python, with one warning that says why."""

import contextlib
import random
import re
from types import SimpleNamespace

import numpy as np
import pyro
import pytest
import torch
from captured import adam, assert_equal_trainings, trained
from hazards import batches, pair
from torch import nn

import ppvae

REFUSED = {
    "if on a value": (lambda s: 1.0 if s.net[0].bias.sum() > 0 else 2.0, "an `if` on the value"),
    "numpy": (lambda s: float(s.net[0].bias.detach().numpy()[0]) ** 2 + 1, "a NumPy array made"),
    "float": (
        lambda s: float(s.net[0].bias[0].detach()) ** 2 + 1,
        "a Python number made from a tensor",
    ),
    "float of a constant": (lambda s: 1 + float(s.tensor), "a Python number made from a tensor"),
    "mask": (lambda s: s.net[0].bias[s.net[0].bias > -9].mean().exp(), "as many values as"),
    "python": (lambda s: 1 + random.random(), "draws from Python's or NumPy's generator"),
    "numpy draw": (lambda s: 1 + np.random.rand(), "draws from Python's or NumPy's generator"),
    "counter": (lambda s: count(s), "beta changes while the pair runs"),
    "seed": (lambda s: 1.0 + 0.0 * torch.manual_seed(3).initial_seed(), "run as a graph"),
    "generator": (
        lambda s: 1.0 + torch.rand((), generator=GENERATOR),
        # Some versions of torch trace it, and then the graph's numbers differ.
        "run as a graph|a draw from a generator of its own",
    ),
    "one_hot": (
        lambda s: 1.0 + nn.functional.one_hot(torch.arange(4)).sum(),
        "one_hot without a number of classes",
    ),
}
GENERATOR = torch.Generator().manual_seed(0)


def count(model):
    model.beta += 1.0
    return 1.0


@pytest.mark.parametrize("hazard", REFUSED)
def test_what_cannot_be_captured_runs_as_python_with_one_warning(hazard):
    read, reason = REFUSED[hazard]
    random.seed(0)
    np.random.seed(0)
    GENERATOR.manual_seed(0)
    losses, tensors, _ = trained(pair(read), ppvae.ELBO, "off", batches())
    random.seed(0)
    np.random.seed(0)
    GENERATOR.manual_seed(0)
    with pytest.warns(UserWarning, match="each step runs as Python, since .*") as warned:
        captured, moved, svi = trained(pair(read), ppvae.ELBO, "replay", batches())
    assert len(warned) == 1 and re.search(reason, str(warned[0].message))
    assert svi.how == "eager"
    if hazard != "generator":
        assert torch.equal(captured, losses)
        assert all(torch.equal(moved[name], tensor) for name, tensor in tensors.items())


def test_a_number_that_changes_in_every_step_is_named():
    def before(model, guide, step):
        model.beta = 1.0 / (1 + step)

    with pytest.warns(UserWarning, match=r"since model\.beta has another value again and again"):
        svi = assert_equal_trainings(
            pair(lambda s: s.beta), ppvae.ELBO, batches(), steps=20, before=before
        )
    assert svi.how == "eager"


def test_a_batch_that_holds_an_object_is_refused():
    network, encoder = pair()()

    def model(x, extra):
        pyro.module("network", network)
        network(x)

    def guide(x, extra):
        pyro.module("encoder", encoder)
        encoder(x)

    svi = ppvae.SVI(model, guide, adam, ppvae.ELBO(), compile="replay")
    with pytest.warns(UserWarning, match="the batch holds a SimpleNamespace"):
        svi.update(x=torch.randn(5, 4), extra=SimpleNamespace(a=1))


def with_table():
    model, guide = pair(lambda s: 1.0)()
    model.table = np.zeros(5000)
    return model, guide


@pytest.mark.parametrize("mode", ["auto", "replay"])
def test_what_cannot_be_watched_matters_where_a_capture_is_due(mode):
    svi = ppvae.SVI(*with_table(), adam, ppvae.ELBO(), compile=mode)
    svi.begin(steps=5, rows=5)
    warned = pytest.warns(UserWarning, match="the NumPy array model.table is too large")
    with warned if mode == "replay" else contextlib.nullcontext():
        for _ in range(5):
            svi.update(**batches()[0])
    assert svi.how == "eager"
