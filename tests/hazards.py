"""A pair whose scale comes from wherever a test says, with dropout and batch norm in it."""

from types import SimpleNamespace

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from programs import rows
from torch import nn

__all__ = ["Guide", "Model", "batches", "pair"]


class Slotted:
    __slots__ = ("beta",)

    def __init__(self):
        self.beta = 1.0


class Guide(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def forward(self, x):
        with rows(x):
            pyro.sample("z", dist.Normal(self.net(x), 0.5).to_event(1))


class Model(nn.Module):
    """Scores x with a scale that comes from somewhere."""

    in_class = 1.0

    def __init__(self, scale=lambda self: 1.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
        self.net.append(nn.Linear(4, 4))
        self.scale = scale
        self.beta = 1.0
        self.nested = SimpleNamespace(inner={"beta": (1.0, [1.0])})
        self.slotted = Slotted()
        self.array = np.ones(3)
        self.tensor = torch.ones(())
        self.register_buffer("buffer", torch.ones(()))

    def forward(self, x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.net(z), self.scale(self)).to_event(1), obs=x)


def batches(sizes=(5, 5)):
    torch.manual_seed(0)
    return [{"x": torch.randn(size, 4)} for size in sizes]


def pair(scale=lambda self: 1.0):
    return lambda: (Model(scale), Guide())
