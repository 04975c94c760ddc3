"""A linear layer of several inputs: nn.Linear on them side by side, each multiplied but once."""

import math
import re

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import ENUMERATED, rows, standard_normal
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from ppvae import ELBO, IWAE
from ppvae.networks import MLP, BroadcastLinear

OUT = 4
# Leading dimensions and widths of inputs, by what they are.
INPUTS = {
    "one": [(5, 3)],
    "a row": [(3,)],
    "labels summed out": [(5, 3), (6, 1, 2)],
    "labels first": [(6, 1, 2), (5, 3)],
    "particles and data": [(7, 5, 3), (5, 2)],
    "particles, data, labels": [(7, 5, 3), (5, 2), (6, 1, 1, 4)],
    "a row for all": [(3,), (7, 5, 2)],
    "one shape": [(5, 3), (5, 3)],
    "an empty batch": [(0, 3), (6, 1, 2)],
}
every_shape = pytest.mark.parametrize("shapes", INPUTS.values(), ids=INPUTS)


def side_by_side(inputs):
    leading = torch.broadcast_shapes(*(x.shape[:-1] for x in inputs))
    return torch.cat([x.expand(*leading, -1) for x in inputs], -1)


def inputs_of(shapes):
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def assert_equal_with_gradients(value, expected, leaves):
    assert value.shape == expected.shape
    assert_close(value, expected, rtol=0, atol=1e-12)
    slope = torch.randn(expected.shape)
    ours, theirs = (torch.autograd.grad((v * slope).sum(), leaves) for v in (value, expected))
    for gradient, by_cat in zip(ours, theirs, strict=True):
        assert_close(gradient, by_cat, rtol=0, atol=1e-12)


@every_shape
def test_it_is_one_linear_map_of_the_inputs_side_by_side(shapes):
    layer, inputs = BroadcastLinear([s[-1] for s in shapes], OUT), inputs_of(shapes)
    expected = nn.functional.linear(side_by_side(inputs), layer.weight, layer.bias)
    assert_equal_with_gradients(layer(*inputs), expected, [layer.weight, layer.bias, *inputs])


@every_shape
@pytest.mark.parametrize("hidden", [[], [6, 5]], ids=["affine", "two hidden layers"])
def test_an_mlp_of_several_inputs_is_the_mlp_of_them_side_by_side(shapes, hidden):
    widths = [s[-1] for s in shapes]
    network, inputs = MLP(widths, hidden, OUT), inputs_of(shapes)
    alone = MLP(sum(widths), hidden, OUT)
    alone.load_state_dict(network.state_dict())
    # One set of parameters for both, so that their gradients can be compared.
    leaves = dict(network.named_parameters())
    expected = torch.func.functional_call(alone, leaves, side_by_side(inputs))
    assert_equal_with_gradients(network(*inputs), expected, [*leaves.values(), *inputs])


def test_the_first_numbers_are_those_of_nn_linear_under_the_same_seed():
    pyro.set_rng_seed(3)
    layer = BroadcastLinear((784, 10), 50)
    pyro.set_rng_seed(3)
    linear = nn.Linear(794, 50)
    assert {*layer.state_dict()} == {*linear.state_dict()}
    assert all(torch.equal(layer.state_dict()[name], p) for name, p in linear.named_parameters())
    assert layer.weight.abs().max() <= 1 / math.sqrt(794)


def test_the_first_numbers_of_an_mlp_do_not_depend_on_how_its_inputs_are_split():
    states = []
    for widths in (6, [6], [4, 2]):
        pyro.set_rng_seed(3)
        states.append(MLP(widths, [5], 3).state_dict())
    assert list(states[0]) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.weight",
        "layers.2.bias",
    ]
    for state in states[1:]:
        assert list(state) == list(states[0])
        assert all(torch.equal(state[name], value) for name, value in states[0].items())


def multiply_adds(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("count", [1, 10])
def test_the_product_with_the_data_is_computed_once_for_all_labels(count):
    layer, x, y = BroadcastLinear([784, 10], 500), torch.randn(128, 784), torch.randn(count, 1, 10)
    once = 500 * (128 * 784 + count * 10)
    assert multiply_adds(lambda: layer(x, y)) == once
    # As much again for the weight; neither input asks for a gradient.
    assert multiply_adds(lambda: layer(x, y).sum().backward()) == 2 * once


def test_the_product_with_the_data_is_computed_once_for_all_particles():
    layer, z, x = BroadcastLinear([3, 20], 5), torch.randn(50, 8, 3), torch.randn(8, 20)
    assert multiply_adds(lambda: layer(z, x)) == 5 * (50 * 8 * 3 + 8 * 20)


def test_an_mlp_multiplies_each_input_at_its_own_shape():
    network, x, y = MLP([784, 10], [20], 3), torch.randn(8, 784), torch.eye(10).unsqueeze(1)
    first, second = 20 * (8 * 784 + 10 * 10), 10 * 8 * 20 * 3
    assert multiply_adds(lambda: network(x, y)) == first + second


def test_an_activation_that_normalises_sees_the_rows_of_all_labels():
    # Batch normalisation would take the dimension of the rows for its channels, or refuse it.
    network = MLP([3, 2], [6], OUT, activation=lambda: nn.BatchNorm1d(6))
    x, y = torch.randn(5, 3), torch.eye(2).unsqueeze(1)
    first, norm, last = network.layers
    flat = side_by_side([x, y]).flatten(0, 1)
    expected = last(norm(nn.functional.linear(flat, first.weight, first.bias)))
    assert_close(network(x, y).flatten(0, 1), expected, rtol=0, atol=1e-12)


class Concatenating(nn.Module):
    """The network of [x, y], side by side, with the parameters of an MLP of x and y."""

    def __init__(self, network):
        super().__init__()
        self.layers = network.layers

    def forward(self, *inputs):
        first, *others = self.layers
        out = nn.functional.linear(side_by_side(inputs), first.weight, first.bias)
        for layer in others:
            out = layer(out)
        return out


def labelled(classifier, encoder, decoder, classes=3, latent_dim=2):
    """y one-hot and summed out, z given x and y, x given z and y."""

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.OneHotCategorical(logits=torch.zeros(classes)))
            z = pyro.sample("z", standard_normal(latent_dim))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z, y)).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            label = dist.OneHotCategorical(logits=classifier(x))
            y = pyro.sample("y", label, infer=ENUMERATED)
            loc, log_scale = encoder(x, y).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    return model, guide


@pytest.mark.parametrize("estimator", [ELBO(), ELBO(4), IWAE(4)], ids=["elbo", "elbo:4", "iwae:4"])
def test_a_pair_with_labels_summed_out_equals_the_one_that_repeats_the_data(estimator):
    networks = [MLP(6, [5], 3), MLP([6, 3], [5], 4), MLP([2, 3], [5], 6)]
    repeating = [networks[0], *map(Concatenating, networks[1:])]
    x = torch.rand(8, 6).round()
    parameters = [p for network in networks for p in network.parameters()]
    losses, gradients = [], []
    for parts in (networks, repeating):
        pyro.set_rng_seed(5)
        loss = estimator.differentiable_loss(*labelled(*parts), x)
        losses.append(loss.detach())
        gradients.append(torch.autograd.grad(loss, parameters))
    assert_close(*losses, rtol=0, atol=1e-10)
    for ours, theirs in zip(*gradients, strict=True):
        assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_it_says_its_widths():
    assert str(BroadcastLinear([3, 2], 4)) == "BroadcastLinear(in_features=(3, 2), out_features=4)"


REFUSED = {
    "too few": ([(5, 3)], "inputs must be 2, one for each of the widths (3, 2); got 1."),
    "too many": (
        [(5, 3), (5, 2), (5, 1)],
        "inputs must be 2, one for each of the widths (3, 2); got 3.",
    ),
    "a width": ([(5, 3), (5, 3)], "inputs must be (3, 2) wide; got shapes [(5, 3), (5, 3)]."),
    "a width of 1": ([(5, 3), (5, 1)], "inputs must be (3, 2) wide; got shapes [(5, 3), (5, 1)]."),
    "a number": ([(), (2,)], "inputs must be (3, 2) wide; got shapes [(), (2,)]."),
    "rows": (
        [(5, 3), (4, 2)],
        "inputs must have leading dimensions that broadcast; got shapes [(5, 3), (4, 2)].",
    ),
}


@pytest.mark.parametrize(
    "build", [BroadcastLinear, lambda w, o: MLP(w, [6], o)], ids=["layer", "mlp"]
)
@pytest.mark.parametrize("shapes, message", REFUSED.values(), ids=REFUSED)
def test_other_inputs_are_refused(build, shapes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build([3, 2], OUT)(*map(torch.randn, shapes))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: BroadcastLinear([], 4), "in_features must hold at least one width; got ()."),
        (lambda: MLP([], [5], 4), "in_features must hold at least one width; got ()."),
        (
            lambda: BroadcastLinear([3, 0], 4),
            "widths of a BroadcastLinear must be at least 1; got (3, 0) and 4.",
        ),
        (
            lambda: BroadcastLinear([3, 2], 0),
            "widths of a BroadcastLinear must be at least 1; got (3, 2) and 0.",
        ),
        (lambda: MLP([3, 0], [5], 4), "widths of an MLP must be at least 1; got [3, 0, 5, 4]."),
    ],
)
def test_other_widths_are_refused(build, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build()


def test_an_mlp_of_one_width_refuses_a_second_input():
    with pytest.raises(ValueError, match=r"^an MLP of one width must have one input; got 2\.$"):
        MLP(3, [5], 4)(torch.randn(5, 3), torch.randn(5, 2))
