"""What evaluation refuses, each in one sentence."""

from types import SimpleNamespace

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, linear_pair, rows, standard_normal
from torch import nn

from ppvae import Experiment
from ppvae.data import from_arrays
from ppvae.diagnose import NotFiniteError
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.evaluate import evaluate
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.pair import Pair


def plain_layers():
    model = VAE(nn.Linear(2, 6), StandardNormal(2), BernoulliLikelihood())
    return model, GaussianGuide(nn.Linear(6, 4))


def annealed(x):
    with rows(x):
        with pyro.poutine.scale(scale=0.5):
            z = pyro.sample("z", standard_normal(2))
        likelihood = dist.Normal(z.sum(-1, keepdim=True), 1.0).expand([*z.shape[:-1], 6])
        pyro.sample("x", likelihood.to_event(1), obs=x)


def loose(x):
    with rows(x):
        z = pyro.sample("z", standard_normal(2))
        pyro.sample("x", dist.Bernoulli(logits=z.sum(-1)[..., None].expand(x.shape)), obs=x)


def half_the_rows(program):
    return lambda x: program(x[::2])


def trained_on_six():
    data = from_arrays({"x": torch.rand(30, 6)})
    return SimpleNamespace(pair=Pair(*binary_vae()), data=data, experiment=None)


NAN = torch.tensor([[0.0] * 6, [float("nan")] * 6])
GREY = torch.cat([torch.ones(99, 6), torch.full((1, 6), 0.25)])
REFUSED = {
    "no draws": (dict(num_particles=0), ValueError, "num_particles must be at least 1; got 0"),
    "half a draw": (dict(num_particles=2.5), TypeError, "num_particles must be a whole .*got 2.5"),
    "a flag": (dict(num_particles=True), TypeError, "num_particles must be a whole .*got True"),
    "seed": (dict(seed=-1), ValueError, r"seed must be between 0 and 2\*\*32 - 1; got -1"),
    "chunk": (dict(chunk=0), ValueError, "chunk must be at least 1; got 0"),
    "split": (
        dict(split="tets"),
        ValueError,
        "split must be one of train, valid, test; got 'tets'",
    ),
    "run": (dict(run=3), TypeError, "run must be a run, a Pair or a tuple .*; got int"),
    "no data": (dict(data=None), ValueError, "data must be given"),
    "no rows": (dict(data=torch.empty(0, 6)), ValueError, r"rows x.*; got shape \(0, 6\)"),
    "no x": (dict(data={"y": torch.ones(3)}), ValueError, r"rows x.*; got fields \['y'\]"),
    "an array": (dict(data=np.ones((3, 6))), ValueError, "rows x.*; got ndarray"),
    "nan": (dict(data=NAN), ValueError, "x must be finite; got nan in row 1"),
    "grey": (
        dict(data=GREY),
        ValueError,
        "site 'x' must lie in the support of Bernoulli; got 0.25",
    ),
    "width": (dict(data=torch.ones(3, 5)), ValueError, "input must be 6 wide, .*got shape .3, 5."),
    "width of a plain layer": (
        dict(run=plain_layers, data=torch.ones(3, 5)),
        ValueError,
        "the pair must run on rows of this shape; got .*mat1 and mat2",
    ),
    "no to_event": (
        dict(run=lambda: (loose, binary_vae()[1]), data=binary_rows(6)),
        ValueError,
        ".to_event.1. is missing",
    ),
    "width of a run": (
        dict(run=trained_on_six, data=torch.ones(3, 5)),
        ValueError,
        r"trained on, \(6,\); got \(5,\)",
    ),
    "scale": (dict(run=lambda: (annealed, binary_vae()[1])), ValueError, "poutine.scale on 'z'"),
    "half the rows": (
        dict(run=lambda: tuple(map(half_the_rows, binary_vae()))),
        ValueError,
        "the data plate must hold the rows of the batch, 4; got 2",
    ),
}


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_in_one_sentence(given, kind, message):
    given = {"run": binary_vae, "data": binary_rows(4)} | given
    run = given.pop("run")
    run = run() if callable(run) else run
    with pytest.raises(kind, match=message) as caught:
        evaluate(run, given.pop("data"), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("part", "site"), [(0, "'x' of the model"), (1, "'z' of the guide")])
def test_nan_is_refused_with_the_name_of_its_site(part, site):
    pair = binary_vae()
    with torch.no_grad():
        next(pair[part].parameters()).fill_(float("nan"))
    with pytest.raises(NotFiniteError, match=f"got nan at site {site}"):
        evaluate(pair, binary_rows(4), num_particles=3)


def test_exact_values_of_another_shape_are_refused():
    pair, x = linear_pair(), torch.randn(3, 4)
    experiment = Experiment(pair.model, pair.guide, log_evidence=lambda x: x.sum())
    with pytest.raises(ValueError, match=r"must return \(3,\) for 3 rows; got shape \(\)"):
        evaluate(experiment, x, num_particles=2)
