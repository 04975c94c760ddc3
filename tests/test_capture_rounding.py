"""Where a compiler rounds differently, and a slope jumps: what still counts as the same numbers."""

import functools
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import ppvae
from ppvae.capture import captured as captures
from ppvae.capture.entries import Seen
from ppvae.capture.graph import Graph
from ppvae.capture.verify import State
from ppvae.capturing import CannotCapture
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP


def slope_of(function):
    """A graph of the slope of a function's sum at some numbers."""

    def slope(x):
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(function(leaf).sum(), leaf)

    return Graph(slope, torch.randn(1, 4, 6), {})


KINKED = {
    "relu": torch.relu,
    "leaky relu": nn.functional.leaky_relu,
    "hardtanh": nn.functional.hardtanh,
    "clamp": lambda x: x.clamp(min=0.1),
    "abs": torch.abs,
    "max pool": lambda x: nn.functional.max_pool2d(x, 2),
}
SMOOTH = {"tanh": torch.tanh, "softplus": nn.functional.softplus, "square": torch.square}


@pytest.mark.parametrize("function", [*KINKED, *SMOOTH])
def test_kinks_are_known_by_their_slopes(function):
    assert slope_of((KINKED | SMOOTH)[function]).kinks == (function in KINKED)


def test_values_and_whole_numbers_have_no_kinks():
    assert not Graph(torch.relu, torch.randn(3), {}).kinks
    # Whether a row has a label, for one.
    assert not Graph(lambda y: (y >= 0) * 1.0, torch.tensor([-1, 2]), {}).kinks


def seen_by(kinks, *, loss=0.0, gradient=0.0, dtype=torch.float32):
    """Whether compiled code that is off by some part of each number is taken for right."""
    truth = (torch.ones((), dtype=dtype), [torch.ones(100, dtype=dtype)])
    given = (truth[0] * (1 + loss), [truth[1][0] * (1 + gradient)])
    unmoved = SimpleNamespace(changed=lambda: None)
    seen = Seen(unmoved, State({}), truth, State({}))
    graph = SimpleNamespace(compiled=True, rounds=False, kinks=kinks)
    graph = type("Code", (), {**vars(graph), "__call__": lambda self, batch: given})()
    try:
        seen.given_by(graph, None)
    except CannotCapture:
        return False
    return True


def test_a_jump_of_a_slope_is_no_fault_and_a_loss_has_none():
    assert seen_by(kinks=True, gradient=1e-2)
    assert not seen_by(kinks=False, gradient=1e-2)
    assert not seen_by(kinks=True, gradient=0.2)
    assert not seen_by(kinks=True, loss=1e-2)
    assert not seen_by(kinks=True, gradient=1e-4, dtype=torch.float64)


@pytest.mark.slow
def test_relu_networks_stay_compiled_in_single_precision(monkeypatch):
    """It was replayed after one check in two or three."""
    monkeypatch.setattr(captures, "_SPOT_CHECK", 3)
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    decoder = MLP(200, [500, 500], 784, activation=nn.ReLU)
    encoder = MLP(784, [500, 500], 400, activation=nn.ReLU)
    pair = VAE(decoder, StandardNormal(200), BernoulliLikelihood()), GaussianGuide(encoder)
    adam = functools.partial(torch.optim.Adam, lr=1e-3)
    svi = ppvae.SVI(*pair, adam, ppvae.IWAE(5), compile="inductor")
    x = torch.rand(5, 128, 784).lt(0.2).float()
    for step in range(60):
        svi.update(x[step % 5])
    assert svi.how == "inductor"
