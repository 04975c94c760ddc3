"""What would go silently wrong in a step that is replayed is seen."""

import pytest
import torch
from captured import assert_equal_trainings, trained
from hazards import Model, batches, pair
from torch import nn

import ppvae

BETA = 1.0
TABLE = {"beta": 1.0, "list": [1.0, 2.0]}


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
