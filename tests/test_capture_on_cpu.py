"""What compiled code does in its own way on a CPU is the same up to a few roundings."""

import functools

import pytest
import torch
from captured import assert_equal_trainings
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

import ppvae
from ppvae.capture.internals import compiled
from ppvae.capture.on_cpu import log1p, through_onednn
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

PRODUCT = torch.ops.mkldnn._linear_pointwise.default
has_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_log1p_is_right_to_five_roundings(dtype):
    # Goldberg's bound; the truth is torch's own in double precision, and in double torch's own.
    x = torch.cat(
        [
            sign * torch.logspace(-44, top, 20_001, dtype=torch.float64)
            for sign, top in ((1, 30), (-1, -1e-6))
        ]
    ).to(dtype)
    truth = x.double().log1p()
    error = (log1p(x).double() - truth).abs()
    assert (error <= 5 * torch.finfo(dtype).eps * truth.abs()).all()


def test_log1p_at_the_ends():
    x = torch.tensor([0.0, -1.0, torch.inf, torch.nan, -2.0])
    assert_close(log1p(x), x.log1p(), equal_nan=True, rtol=0, atol=0)


def products_of(function, *inputs):
    graph = make_fx(function)(*inputs)
    faster = through_onednn(graph, PRODUCT)
    assert_close(faster(*inputs), graph(*inputs), rtol=1e-4, atol=1e-4)
    return sum(node.target is PRODUCT for node in faster.graph.nodes)


@has_onednn
@pytest.mark.parametrize(
    ("shapes", "taken"),
    [
        (((64, 784), (784, 400)), 1),
        (((400, 1024), (1024, 20)), 1),
        (((128, 20), (20, 400)), 0),
        (((20, 4096), (4096, 20)), 0),
    ],
)
def test_large_products_of_float32_are_taken_by_onednn(shapes, taken):
    for dtype, expected in ((torch.float32, taken), (torch.float64, 0)):
        left, right = (torch.randn(shape, dtype=dtype) for shape in shapes)
        assert products_of(torch.mm, left, right) == expected
        assert (
            products_of(lambda a, b: torch.mm(a.t().contiguous().t(), b), left, right) == expected
        )


@has_onednn
@pytest.mark.parametrize("rows", [32, 65])
@pytest.mark.parametrize("bias", [True, False])
def test_few_rows_are_packed_in_place_of_a_weight(rows, bias):
    inputs = [torch.randn(shape).float() for shape in ((rows, 784), (400, 784), (400,))]
    inputs = inputs if bias else inputs[:2]
    graph = make_fx(torch.nn.functional.linear)(*inputs)
    faster = through_onednn(graph, PRODUCT)
    found = faster(*inputs)
    assert_close(found, graph(*inputs), rtol=1e-4, atol=1e-3)
    assert found.is_contiguous()
    (product,) = (node for node in faster.graph.nodes if node.target is PRODUCT)
    packed, (first, *_) = product.args[1], faster.graph.nodes
    assert (packed is first) == (rows == 32)


@has_onednn
@pytest.mark.parametrize("joined", [torch.add, torch.sub], ids=["sum", "difference"])
def test_a_product_and_another_tensor_are_compiled_where_the_weight_is_no_constant(joined):
    x, weight, other = (
        torch.randn(shape).float() for shape in ((128, 784), (400, 784), (128, 400))
    )
    graph = make_fx(lambda x, w, y: [joined(x @ w.t(), y)])(x, weight, other)
    function = compiled(graph, [x, weight, other])
    assert_close(function(x, weight, other)[0], graph(x, weight, other)[0], rtol=1e-4, atol=1e-3)


@has_onednn
def test_columns_of_a_wider_matrix_are_copied_first():
    # oneDNN would fall back to loops that take a hundred times as long.
    wide, right = torch.randn(64, 800).float(), torch.randn(800, 400).float()
    graph = make_fx(lambda a, b: torch.mm(a[:, :784], b[:784, :390]))(wide, right)
    faster = through_onednn(graph, PRODUCT)
    (product,) = (node for node in faster.graph.nodes if node.target is PRODUCT)
    left, turned, *_ = product.args
    assert left.target is turned.args[0].target is torch.ops.aten.clone.default
    assert_close(faster(wide, right), graph(wide, right), rtol=1e-4, atol=1e-4)


@has_onednn
def test_a_bias_goes_with_the_product():
    bias, left, right = torch.randn(400), torch.randn(64, 784), torch.randn(784, 400)
    inputs = [tensor.float() for tensor in (bias, left, right)]
    assert products_of(torch.addmm, *inputs) == 1
    # A matrix in the place of the bias, or factors of it, are left to ATen.
    inputs[0] = torch.randn(64, 400).float()
    assert products_of(torch.addmm, *inputs) == 0
    assert products_of(lambda *each: torch.addmm(*each, beta=0.5), *inputs) == 0


def large_vae():
    decoder, encoder = MLP(20, (400,), 784), MLP(784, (400,), 40)
    return VAE(decoder, StandardNormal(20), BernoulliLikelihood()), GaussianGuide(encoder)


@pytest.mark.parametrize("optim", [torch.optim.Adam, torch.optim.SGD])
def test_compiled_gradients_lie_as_their_parameters(optim):
    # A fused optimizer reads a gradient in the order of its memory, whatever its strides say.
    torch.set_default_dtype(torch.float32)
    batches = [{"x": torch.rand(64, 784).lt(0.3).float()} for _ in range(2)]
    svi = assert_equal_trainings(
        large_vae,
        lambda: ppvae.IWAE(20),
        batches,
        mode="inductor",
        tolerance=1e-4,
        steps=8,
        optim=functools.partial(optim, lr=1e-3, fused=True),
    )
    assert svi.how == "inductor"
    svi.gradients(**batches[0])
    for name, leaf in svi.pair.leaves.items():
        assert leaf.grad.stride() == leaf.stride(), name


def test_compiled_steps_of_large_networks_agree_to_rounding():
    torch.set_default_dtype(torch.float32)
    batches = [{"x": torch.rand(32, 784).lt(0.3).float()} for _ in range(2)]
    svi = assert_equal_trainings(
        large_vae, ppvae.ELBO, batches, mode="inductor", tolerance=1e-4, steps=8
    )
    assert svi.how == "inductor"
