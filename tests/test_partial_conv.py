"""Convolutions of images with holes."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ppvae.networks import ConvEncoder, MaskedConv2d, PartialConv2d, PartialConvEncoder

KINDS = {"masked": MaskedConv2d, "partial": PartialConv2d}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
GEOMETRIES = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": (1, 3), "bias": False},
]


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, 8)


@pytest.fixture
def mask():
    return torch.rand(2, 3, 8, 8) < 0.6


@every_kind
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_mask_of_ones_is_the_plain_convolution(kind, geometry, channels, x):
    conv = nn.Conv2d(3, 5, **geometry)
    out, seen = kind(conv)(x, torch.ones(2, channels, 8, 8).bool())
    assert_close(out, conv(x), rtol=0, atol=1e-12)
    assert seen.all() and seen.shape == (2, 1, *out.shape[2:])


@every_kind
@pytest.mark.parametrize("held", [torch.nan, torch.inf, 1e30])
def test_what_lies_in_a_hole_changes_no_value_and_no_gradient(kind, held, x, mask):
    layer = kind(nn.Conv2d(3, 5, 3, padding=1))

    def value_and_gradients(x):
        out, _ = layer(x, mask)
        return out, *torch.autograd.grad(out.square().sum(), list(layer.parameters()))

    found, expected = map(value_and_gradients, (x.masked_fill(~mask, held), x))
    assert all(value.isfinite().all() for value in found)
    assert all(map(torch.equal, found, expected))


def test_a_partial_convolution_is_the_formula_of_the_paper(x, mask):
    conv = nn.Conv2d(3, 1, 3)
    found, _ = PartialConv2d(conv)(x, mask)
    seen = mask[0, :, 2:5, 4:7]
    product = (conv.weight[0] * x[0, :, 2:5, 4:7] * seen).sum()
    by_hand = product * (27 / seen.sum()) + conv.bias[0]
    assert_close(found[0, 0, 2, 4], by_hand, rtol=0, atol=1e-12)


def test_a_masked_convolution_is_the_plain_one_of_zeros(x, mask):
    conv = nn.Conv2d(3, 5, 3, padding=1)
    found, _ = MaskedConv2d(conv)(x, mask)
    assert torch.equal(found, conv(x * mask))


def test_at_the_border_only_holes_are_made_up_for():
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(conv.weight)
    mask = torch.ones(1, 1, 4, 4).bool()
    mask[0, 0, 0, 0] = False
    found, _ = PartialConv2d(conv)(torch.ones(1, 1, 4, 4), mask)
    # In the corner three of the four places within the image are seen, and count as four.
    places = found[0, 0].diagonal()
    assert_close(places, torch.tensor([4.0, 9.0, 9.0, 4.0]), rtol=0, atol=1e-12)


@every_kind
def test_the_mask_grows_by_a_window_a_layer_until_nothing_is_missing(kind):
    layer = kind(nn.Conv2d(1, 1, 3, padding=1))
    image, mask = torch.randn(1, 1, 9, 9), torch.zeros(1, 1, 9, 9).bool()
    mask[0, 0, 4, 4] = True
    for reach in range(1, 5):
        image, mask = layer(image, mask)
        grown = torch.zeros(9, 9).bool()
        grown[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
        assert torch.equal(mask[0, 0], grown)
        if kind is PartialConv2d:
            assert (image[0, 0][~grown] == 0).all()


def test_nothing_observed_gives_zeros(x):
    out, seen = PartialConv2d(nn.Conv2d(3, 5, 3))(x, torch.zeros_like(x).bool())
    assert (out == 0).all() and not seen.any()


def test_the_encoder_is_the_plain_one_where_nothing_is_missing():
    encoder, plain = PartialConvEncoder((2, 8, 8), 6, channels=4), ConvEncoder((2, 8, 8), 6, 4)
    for mine, theirs in zip(encoder.parameters(), plain.parameters(), strict=True):
        theirs.data.copy_(mine)
    x = torch.randn(5, 3, 128)
    assert_close(encoder(x, torch.ones_like(x)), plain(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("held", [torch.nan, 7.0])
def test_the_encoder_sees_no_hole(held):
    encoder, x = PartialConvEncoder((1, 8, 8), 6, channels=4), torch.randn(5, 64)
    mask = torch.rand(5, 64) < 0.5
    held_there = encoder(x.masked_fill(~mask, held), mask)
    assert torch.equal(held_there, encoder(x, mask.double()))


def test_a_group_or_another_padding_is_refused():
    for conv in (nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, padding_mode="reflect")):
        with pytest.raises(ValueError, match="conv must be of one group and padded with zeros"):
            PartialConv2d(conv)


@every_kind
def test_a_mask_of_another_kind_is_refused(kind, x, mask):
    layer = kind(nn.Conv2d(3, 5, 3))
    with pytest.raises(TypeError, match=r"mask must be boolean, .*; got torch.float64"):
        layer(x, mask.double())
    for wrong in (mask[:1], mask[:, :2], mask[..., :1]):
        with pytest.raises(ValueError, match=r"mask must have the shape of x, \(2, 3, 8, 8\)"):
            layer(x, wrong)
