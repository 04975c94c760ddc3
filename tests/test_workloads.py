"""What the benchmark of a step compares is the same mathematics, whoever writes it."""

import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyro
import pytest
import torch
from torch.testing import assert_close

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from numpyro_child import NumPyro, has_numpyro
from workloads import MAKERS, conv_vae, m2, rows, vae

exactly = partial(assert_close, rtol=0, atol=1e-8)
SMALL = {
    "vae": vae(4),
    "vae, two layers": vae(3, hidden=(7, 5), latent_dim=2),
    "conv_vae": conv_vae(3),
    "m2": m2(4, classes=3, latent_dim=5, hidden=(6,)),
    "iwae": vae(4, num_particles=3),
}
every_workload = pytest.mark.parametrize("work", SMALL.values(), ids=SMALL)


def built(work, networks=""):
    """The pair of a workload in float64, its hand-written loss and a batch."""
    model, guide = (program.double() for program in work.pairs[networks]())
    by_hand = work.by_hand(model, guide) if not networks else None
    return model, guide, by_hand, rows(work.batch_size, seed=1).double()


def count(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@every_workload
def test_loss_and_gradient_by_hand_are_those_of_the_pair(work):
    model, guide, by_hand, x = built(work)
    loss = work.loss()
    loss.terms(model, guide, x)  # what is learned of a new pair draws nothing from here on
    pyro.set_rng_seed(3)
    of_pair = loss.differentiable_loss(model, guide, x)
    pyro.set_rng_seed(3)
    of_hand = by_hand(x)
    exactly(of_hand, of_pair)
    of_pair.backward()
    of_hand.backward()
    # The networks by hand are copies: encoders first, as the decoder is the model's.
    theirs = [p.grad for p in (*guide.parameters(), *model.parameters())]
    for own, other in zip(by_hand.parameters(), theirs, strict=True):
        exactly(own.grad, other)


@every_workload
def test_the_loss_of_pyro_is_the_same(work):
    model, guide, by_hand, x = built(work)
    loss = work.loss_of_pyro()
    loss.loss_and_grads(model, guide, x)  # the nesting of plates is guessed at first
    pyro.set_rng_seed(3)
    of_pyro = loss.loss_and_grads(model, guide, x)
    pyro.set_rng_seed(3)
    exactly(torch.tensor(of_pyro), by_hand(x).detach())


@every_workload
def test_nobody_has_a_parameter_more(work):
    model, guide, by_hand, _ = built(work)
    assert count(by_hand) == count(model, guide)
    for networks in work.pairs:
        assert count(*work.pairs[networks]()) == count(by_hand)


def test_the_layer_of_two_inputs_is_the_same_function_as_side_by_side():
    work = SMALL["m2"]
    model, guide, by_hand, x = built(work)
    layered_model, layered_guide, _, _ = built(work, "layer")
    layered_model.load_state_dict(model.state_dict())
    layered_guide.load_state_dict(guide.state_dict())
    loss = work.loss()
    loss.terms(layered_model, layered_guide, x)
    pyro.set_rng_seed(3)
    of_layers = loss.differentiable_loss(layered_model, layered_guide, x)
    pyro.set_rng_seed(3)
    exactly(of_layers, by_hand(x))


def linear(*widths):
    return sum((before + 1) * after for before, after in pairwise(widths))


SIZES = {
    "vae": linear(784, 400, 40) + linear(20, 400, 784),
    "iwae": linear(784, 400, 40) + linear(20, 400, 784),
    "m2": linear(784, 500, 10) + linear(794, 500, 100) + linear(60, 500, 784),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_workload_of_the_benchmark_has_the_size_of_its_name(name):
    work, kind = MAKERS[name](), name.partition("-")[0]
    assert work.batch_size == int(name.rpartition("-")[2])
    assert kind == "conv" or count(*work.pairs[""]()) == SIZES[kind]
    assert getattr(work.loss(), "num_particles", 1) == (
        int(name.split("-")[1]) if kind == "iwae" else 1
    )
    assert work.in_numpyro == (kind == "vae")


@pytest.mark.skipif(not has_numpyro(), reason="NumPyro is not installed")
def test_numpyro_has_the_same_loss(tmp_path):
    torch.set_default_dtype(torch.float32)
    work, repeats = vae(8), 300
    by_hand, data = work.by_hand(*work.pairs[""]()), rows(8, seed=1)
    weights = {}
    for name, parameter in by_hand.named_parameters():
        network, layer, kind = name.split(".")
        weights[f"{network}.{int(layer) // 2}.{kind}"] = parameter.detach().numpy().T
    np.savez(tmp_path / "weights.npz", **weights)
    with NumPyro(data, 8, threads=1) as child:
        theirs = torch.tensor(
            child.asked(what="loss", weights=str(tmp_path / "weights.npz"), repeats=repeats)
        )
    with torch.no_grad():
        ours = torch.stack([by_hand(data) for _ in range(repeats)])
    error = ((theirs.var() + ours.var()) / repeats).sqrt()
    # Raises a false alarm once in two million runs.
    assert (theirs.mean() - ours.mean()).abs() < 5 * error
