"""Networks: flat in and out, particle dimensions apart, wrong widths refused, no work twice."""

import math

import pytest
import torch
from pairs import PAIRS, fields_for, rows_for
from torch import nn

from ppvae import log_terms
from ppvae.distributions import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
)
from ppvae.networks import MLP, ConvDecoder, ConvEncoder

NETWORKS = {
    "mlp": (lambda: MLP(6, [5, 4], 3), 6, 3),
    "conv-encoder-28": (lambda: ConvEncoder((1, 28, 28), 3, channels=2), 784, 3),
    "conv-encoder-32": (lambda: ConvEncoder((3, 32, 32), 3, channels=2), 3072, 3),
    "conv-encoder-oblong": (lambda: ConvEncoder((2, 8, 12), 3, channels=2), 192, 3),
    "conv-decoder-28": (lambda: ConvDecoder(6, (1, 28, 28), channels=8), 6, 784),
    "conv-decoder-32": (lambda: ConvDecoder(6, (3, 32, 32), channels=8), 6, 3072),
    "conv-decoder-oblong": (lambda: ConvDecoder(6, (2, 8, 12), channels=8), 6, 192),
}
every_network = pytest.mark.parametrize("build, wide, out", NETWORKS.values(), ids=NETWORKS)


@every_network
@pytest.mark.parametrize("num_particles", [1, 7])
def test_particles_pass_as_if_looped(build, wide, out, num_particles):
    network, x = build(), torch.randn(num_particles, 4, wide)
    looped = torch.stack([torch.stack([network(row) for row in particle]) for particle in x])
    assert looped.shape == (num_particles, 4, out)
    torch.testing.assert_close(network(x), looped, rtol=0, atol=1e-14)


@every_network
def test_an_empty_batch_keeps_its_shape(build, wide, out):
    assert build()(torch.randn(7, 0, wide)).shape == (7, 0, out)


@every_network
def test_float32_agrees_with_float64(build, wide, out):
    network, x = build(), torch.randn(4, wide)
    exact = network(x)
    network.float()
    assert network(x.float()).dtype == torch.float32
    torch.testing.assert_close(network(x.float()).double(), exact, rtol=1e-4, atol=1e-5)


@every_network
def test_every_output_depends_on_the_input_and_every_input_is_read(build, wide, out):
    network, x = build(), torch.randn(32, wide).requires_grad_()
    outputs = network(x)
    assert (outputs.std(0) > 0).all()
    (outputs @ torch.randn(out)).sum().backward()
    assert (x.grad.abs().amax(0) > 0).all()


@every_network
def test_a_state_dict_restores_the_function(build, wide, out):
    first, second, x = build(), build(), torch.randn(4, wide)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


@every_network
def test_a_wrong_width_is_refused(build, wide, out):
    message = rf"input must be {wide} wide, \(\.\.\., {wide}\); got shape \(4, {wide + 1}\)\."
    with pytest.raises(ValueError, match=message):
        build()(torch.randn(4, wide + 1))


def test_an_mlp_is_tanh_between_affine_maps():
    network, x = MLP(6, [5], 3), torch.randn(4, 6)
    w1, b1, w2, b2 = network.parameters()
    torch.testing.assert_close(network(x), torch.tanh(x @ w1.T + b1) @ w2.T + b2)


def test_an_mlp_without_hidden_layers_is_affine():
    network, x = MLP(6, [], 3), torch.randn(4, 6)
    weight, bias = network.parameters()
    torch.testing.assert_close(network(x), x @ weight.T + bias)


def test_an_mlp_takes_another_activation():
    network, x = MLP(6, [5], 3, activation=nn.ReLU), torch.randn(4, 6)
    w1, b1, w2, b2 = network.parameters()
    torch.testing.assert_close(network(x), torch.relu(x @ w1.T + b1) @ w2.T + b2)


def test_flat_images_are_read_channel_row_column():
    network = ConvEncoder((2, 8, 12), 3, channels=2)
    images = torch.randn(4, 2, 8, 12)
    torch.testing.assert_close(network(images.reshape(4, 192)), network.layers(images))


def test_flat_images_are_written_channel_row_column():
    network, z = ConvDecoder(6, (2, 8, 12), channels=8), torch.randn(4, 6)
    before = network(z).reshape(4, 2, 8, 12)
    with torch.no_grad():
        network.layers[-2].bias[1] += 1.0
    raised = network(z).reshape(4, 2, 8, 12) - before
    torch.testing.assert_close(raised[:, 1], torch.ones(4, 8, 12))
    torch.testing.assert_close(raised[:, 0], torch.zeros(4, 8, 12))


@pytest.mark.parametrize("shape", [(1, 30, 28), (1, 28, 30), (28, 28), (0, 28, 28)], ids=str)
@pytest.mark.parametrize("build", [lambda s: ConvEncoder(s, 3), lambda s: ConvDecoder(3, s)])
def test_an_image_shape_that_cannot_be_halved_twice_is_refused(build, shape):
    message = r"image_shape must be \(C, H, W\) with H and W multiples of 4; got \("
    with pytest.raises(ValueError, match=message):
        build(shape)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: MLP(6, [0], 3), r"widths of an MLP must be at least 1; got \[6, 0, 3\]\."),
        (lambda: ConvEncoder((1, 8, 8), 0), r"out_features must be at least 1; got 0\."),
        (lambda: ConvDecoder(0, (1, 8, 8)), r"in_features must be at least 1; got 0\."),
        (lambda: ConvEncoder((1, 8, 8), 2, channels=0), r"channels must be at least 1; got 0\."),
        (lambda: ConvDecoder(2, (1, 8, 8), channels=0), r"channels must be at least 1; got 0\."),
    ],
)
def test_an_empty_width_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_default_convolutions_fit_mnist():
    encoder, decoder = ConvEncoder((1, 28, 28), 40), ConvDecoder(20, (1, 28, 28))
    images = decoder(encoder(torch.randn(2, 784))[..., :20])
    assert images.shape == (2, math.prod((1, 28, 28)))


def reader_of(guide):
    """The network of a guide that reads the data, if it has one."""
    for name in ("encoder", "lower"):
        if hasattr(guide, name):
            return getattr(guide, name)
    return next(iter(getattr(guide, "encoders", getattr(guide, "upward", []))), None)


WITH_ENCODER = {name: build for name, build in PAIRS.items() if reader_of(build()[1])}
# Of likelihoods that take a pixel's parameter as it comes.
STRAIGHT = (BernoulliLikelihood, GaussianLikelihood, ContinuousBernoulliLikelihood)
WITH_LIKELIHOOD = {
    name: build
    for name, build in PAIRS.items()
    if isinstance(getattr(build()[0], "likelihood", None), STRAIGHT)
}


@pytest.mark.parametrize("build", WITH_ENCODER.values(), ids=WITH_ENCODER)
def test_an_encoder_reads_the_rows_once_for_all_draws(build):
    model, guide = build()
    x, seen = rows_for((model, guide)), []
    fields = fields_for((model, guide), x)
    # The first time a pair is tried out, with few draws.
    log_terms(model, guide, fields, num_particles=50)
    reader_of(guide).register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    terms = log_terms(model, guide, fields, num_particles=50)
    # A label that is ruled out has an infinite weight, and no part in any sum.
    assert terms.marginal.isfinite().all()
    # A prior may read rows of its own, pseudo-inputs.
    assert [shape for shape in seen if shape == x.shape] == [x.shape]


def test_every_guide_with_an_encoder_is_among_those():
    guides = {type(build()[1]).__name__ for build in WITH_ENCODER.values()}
    drawing = {"GaussianGuide", "DeltaGuide", "BernoulliGuide", "CategoricalGuide"}
    drawing |= {"CVAEGuide", "M2Guide", "M1M2Guide"}
    drawing |= {"FullGaussianGuide", "MixtureGuide", "FlowGuide"}
    assert guides == drawing | {
        *("LayeredGaussianGuide", "LadderGuide", "HamiltonianGuide", "MaskedGuide"),
        *("BinaryConcreteGuide", "ConcreteGuide", "VQGuide"),
    }


@pytest.mark.parametrize("build", WITH_LIKELIHOOD.values(), ids=WITH_LIKELIHOOD)
def test_a_likelihood_is_scored_from_what_the_decoder_gives(build):
    """Of bits from logits: probabilities round to 0 and 1, and cost a pass over all pixels."""
    model, guide = build()
    made = []
    model.likelihood.register_forward_hook(lambda _, params, out: made.append((*params, out)))
    fields = fields_for((model, guide), rows_for((model, guide)))
    assert log_terms(model, guide, fields, num_particles=3).marginal.isfinite().all()
    for params, likelihood in made:
        held = vars(likelihood.base_dist)
        assert "probs" not in held
        assert torch.equal(held["logits" if "logits" in held else "loc"], params)
