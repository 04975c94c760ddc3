"""What would go silently wrong in a step that is replayed is right, or refused in words."""

import random
from types import SimpleNamespace

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from captured import adam, assert_equal_trainings, trained
from programs import rows
from torch import nn

import ppvae

BETA = 1.0
TABLE = {"beta": 1.0, "list": [1.0, 2.0]}


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


def closure():
    """A scale that a closure holds, and what changes it."""
    beta = 1.0

    def change(value):
        nonlocal beta
        beta = value

    return (lambda self: beta), change


def in_global(value):
    global BETA
    BETA = value


# Where a number stands: how the model reads it, and how it is changed between two steps.
NUMBERS = {
    "attribute": (lambda s: s.beta, lambda m, v: setattr(m, "beta", v)),
    "class": (lambda s: s.in_class, lambda m, v: setattr(Model, "in_class", v)),
    "global": (lambda s: BETA, lambda m, v: in_global(v)),
    "dictionary": (lambda s: TABLE["beta"], lambda m, v: TABLE.update(beta=v)),
    "list": (lambda s: TABLE["list"][0], lambda m, v: TABLE["list"].__setitem__(0, v)),
    "length": (lambda s: float(len(TABLE["list"])), lambda m, v: TABLE["list"].append(v)),
    "nested": (
        lambda s: s.nested.inner["beta"][1][0],
        lambda m, v: m.nested.inner["beta"][1].__setitem__(0, v),
    ),
    "slot": (lambda s: s.slotted.beta, lambda m, v: setattr(m.slotted, "beta", v)),
    "array": (lambda s: float(s.array[1]), lambda m, v: m.array.fill(v)),
    "tensor": (lambda s: s.tensor, lambda m, v: setattr(m, "tensor", torch.tensor(v))),
    "tensor in place": (lambda s: s.tensor, lambda m, v: m.tensor.fill_(v)),
    "buffer": (lambda s: s.buffer, lambda m, v: m.buffer.fill_(v)),
}


@pytest.fixture(autouse=True)
def numbers_put_back():
    yield
    in_global(1.0)
    Model.in_class = 1.0
    TABLE.clear()
    TABLE.update({"beta": 1.0, "list": [1.0, 2.0]})


@pytest.mark.parametrize("where", NUMBERS)
def test_a_number_that_changes_is_seen(where):
    read, change = NUMBERS[where]

    def before(model, guide, step):
        if step == 4:
            change(model, 0.5)

    def make():
        numbers = pair(read)()
        in_global(1.0)
        Model.in_class = 1.0
        TABLE.update({"beta": 1.0, "list": [1.0, 2.0]})
        return numbers

    svi = assert_equal_trainings(make, ppvae.ELBO, batches(), steps=9, before=before)
    assert svi.how == "replay"


def test_a_number_in_a_closure_is_seen():
    changes = []

    def make():
        read, change = closure()
        changes.append(change)
        return pair(read)()

    def before(model, guide, step):
        if step == 4:
            changes[-1](0.5)

    svi = assert_equal_trainings(make, ppvae.ELBO, batches(), steps=9, before=before)
    assert svi.how == "replay"


def switched(model, guide, step):
    model.train(step not in (4, 5))


def frozen(model, guide, step):
    guide.net.weight.requires_grad_(step < 4)


def other_bias(model, guide, step):
    if step == 4:
        model.net[0].bias = nn.Parameter(model.net[0].bias.detach().clone() + 1.0)


def hooked(model, guide, step):
    if step == 4:
        guide.net.register_forward_hook(lambda module, args, output: 2.0 * output)


def other_layer(model, guide, step):
    if step == 4:
        model.net[0] = nn.Linear(2, 4)


@pytest.mark.parametrize("before", [switched, hooked, frozen], ids=lambda f: f.__name__)
def test_a_module_that_changes_is_seen(before):
    svi = assert_equal_trainings(pair(), ppvae.ELBO, batches(), steps=9, before=before)
    assert svi.how == "replay"


@pytest.mark.parametrize("before", [other_bias, other_layer], ids=lambda f: f.__name__)
def test_a_parameter_in_the_place_of_another_is_seen(before):
    losses, _, _ = trained(pair(), ppvae.ELBO, "off", batches(), before=before)
    captured, _, _ = trained(pair(), ppvae.ELBO, "replay", batches(), before=before)
    assert torch.equal(losses, captured)


def test_batches_of_other_shapes_and_kinds_have_a_graph_each():
    svi = assert_equal_trainings(pair(), ppvae.ELBO, batches((5, 3, 5, 2)), steps=12)
    assert svi.how == "replay"
    mixed = [{"x": torch.randn(5, 4)}, {"x": torch.randn(4, 5).T}]
    assert assert_equal_trainings(pair(), ppvae.ELBO, mixed, steps=8).how == "replay"


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
    "generator": (lambda s: 1.0 + torch.rand((), generator=GENERATOR), "run as a graph"),
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
    assert len(warned) == 1 and reason in str(warned[0].message)
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
