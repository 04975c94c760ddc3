"""One linear pair, with its parameters owned in each of the ways that Pyro allows."""

import pyro
import pyro.distributions as dist
import torch
from programs import rows, standard_normal
from pyro.distributions import constraints
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroParam
from torch import nn


def generate(x, decoder, scale=1.0):
    with rows(x):
        z = pyro.sample("z", standard_normal(2))
        pyro.sample("x", dist.Normal(decoder(z), scale).to_event(1), obs=x)


def infer(x, encoder, scale=0.5):
    with rows(x):
        pyro.sample("z", dist.Normal(encoder(x), scale).to_event(1))


def functions_with_modules():
    """Two networks of one name, of which Pyro would train one."""
    decoder, encoder = nn.Linear(2, 6), nn.Linear(6, 2)

    def model(x):
        pyro.module("net", decoder)
        generate(x, decoder)

    def guide(x):
        pyro.module("net", encoder)
        infer(x, encoder)

    return model, guide


def functions_with_params():
    def model(x):
        weight = pyro.param("weight", lambda: 0.1 * torch.randn(2, 6))
        generate(x, lambda z: z @ weight)

    def guide(x):
        slope = pyro.param("slope", lambda: 0.1 * torch.randn(6, 2))
        scale = pyro.param("scale", torch.tensor(0.5), constraint=constraints.positive)
        infer(x, lambda x: x @ slope, scale)

    return model, guide


def modules_of(base, linear, contiguous=True):
    """A model and a guide as modules, each calling its network ``net``."""

    class Model(base):
        def __init__(self):
            super().__init__()
            self.net = linear(2, 6)
            if not contiguous:
                self.net.weight = nn.Parameter(0.1 * torch.randn(2, 6).t())

        def forward(self, x):
            generate(x, self.net)

    class Guide(base):
        def __init__(self):
            super().__init__()
            self.net = linear(6, 2)

        def forward(self, x):
            infer(x, self.net)

    return Model(), Guide()


def plain_modules():
    return modules_of(nn.Module, nn.Linear)


def pyro_modules():
    return modules_of(PyroModule, PyroModule[nn.Linear])


def not_contiguous():
    return modules_of(PyroModule, PyroModule[nn.Linear], contiguous=False)


def pyro_params():
    class Model(PyroModule):
        def __init__(self):
            super().__init__()
            self.decoder = PyroModule[nn.Linear](2, 6)
            self.noise = PyroParam(torch.tensor(1.0), constraints.positive)

        def forward(self, x):
            generate(x, self.decoder, self.noise)

    class Guide(PyroModule):
        def __init__(self):
            super().__init__()
            self.encoder = PyroModule[nn.Linear](6, 2)
            self.scale = PyroParam(torch.tensor(0.5), constraints.positive)

        def forward(self, x):
            infer(x, self.encoder, self.scale)

    return Model(), Guide()


def params_in_pyro_modules():
    class Model(PyroModule):
        def forward(self, x):
            weight = pyro.param("weight", lambda: 0.1 * torch.randn(2, 6))
            generate(x, lambda z: z @ weight)

    class Guide(PyroModule):
        def __init__(self):
            super().__init__()
            self.encoder = PyroModule[nn.Linear](6, 2)

        def forward(self, x):
            scale = pyro.param("scale", torch.tensor(0.5), constraint=constraints.positive)
            infer(x, self.encoder, scale)

    return Model(), Guide()


def autoguide():
    decoder = nn.Linear(2, 6)

    def model(x):
        pyro.module("decoder", decoder)
        generate(x, decoder)

    return model, AutoNormal(model)


OWNERS = {
    build.__name__: build
    for build in (
        functions_with_modules,
        functions_with_params,
        plain_modules,
        pyro_modules,
        pyro_params,
        params_in_pyro_modules,
        not_contiguous,
        autoguide,
    )
}
