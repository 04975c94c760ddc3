"""The bench of gradients replays and compiles its draws, and says what its clock has timed."""

import math
import warnings

import numpy as np
import pyro.infer
import pytest
import torch
import xarray as xr
from programs import binary_rows, binary_vae, labelled_pair, linear_pair

import ppvae
from ppvae import ELBO, IWAE, Pair
from ppvae.bench import sampling
from ppvae.bench.table import as_text, costs
from ppvae.capture import Captured
from ppvae.capture.work import Switches
from ppvae.cli import main
from ppvae.estimators import ReweightedWakeSleep
from ppvae.estimators.gradients import VIMCO, DoublyReparameterized, StickingTheLanding

quiet = {"num_timed": 0, "progress": False}
CLOCK = {"ms", "ms_low", "ms_high", "variance_time", "variance_time_se", "timed_as"}


@pytest.fixture
def ways(monkeypatch):
    """How each computation that might be captured was done, in order."""
    found, call = [], Captured.__call__

    def noted(self, batch):
        outputs = call(self, batch)
        found.append(self.how)
        return outputs

    monkeypatch.setattr(Captured, "__call__", noted)
    return found


def few_at_once(monkeypatch, numbers):
    monkeypatch.setattr(sampling, "_AT_ONCE", numbers)


def assert_same(found, expected, rtol=0.0):
    """Hold all but the clock of one bench against another's."""
    assert set(found) == set(expected)
    for name in set(map(str, found)) - CLOCK:
        if found[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected[name], rtol=rtol, err_msg=name)
        else:
            assert (found[name] == expected[name]).all(), name


def one_by_one():
    pair = labelled_pair()
    for leaf in (pair.weight, pair.logits):
        leaf.requires_grad_()
    return (pair.model, pair.guide), torch.randn(5, 4), pyro.infer.TraceEnum_ELBO()


DRAWN = {
    "together": lambda: (binary_vae(), binary_rows(), ELBO()),
    "weighed": lambda: (binary_vae(), binary_rows(), IWAE(3)),
    "path": lambda: (binary_vae(), binary_rows(), ELBO(gradient=StickingTheLanding())),
    "doubly": lambda: (
        (linear_pair().model, linear_pair().guide),
        torch.randn(5, 4),
        IWAE(3, gradient=DoublyReparameterized()),
    ),
    "score": lambda: (binary_vae(), binary_rows(), IWAE(3, gradient=VIMCO())),
    "asleep": lambda: (binary_vae(), binary_rows(), ReweightedWakeSleep(3)),
    "Pyro's": lambda: (binary_vae(), binary_rows(), pyro.infer.Trace_ELBO()),
    "one by one": one_by_one,
}


def named(pair):
    """The same pair with its tensors as parameters that an optimizer finds."""
    return pair


@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_replayed_draws_are_those_of_python_bit_for_bit(make, monkeypatch, ways):
    few_at_once(monkeypatch, 1000)
    found = {}
    for mode in ("off", "replay"):
        torch.manual_seed(0)
        pair, x, estimator = make()
        ways.clear()
        found[mode] = ppvae.gradients(pair, x, [estimator], 31, compile=mode, **quiet)
    assert "replay" in ways and "inductor" not in ways
    assert_same(found["replay"], found["off"])
