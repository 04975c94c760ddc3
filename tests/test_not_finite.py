"""A training that meets NaN or infinity says where, and keeps its last good state."""

import functools
import math

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from programs import rows, standard_normal
from torch import nn
from trainings import line_data, line_pair, quiet, values_of

from ppvae import ELBO, IWAE, NotFiniteError, Pair
from ppvae.checkpoint import Checkpoint
from ppvae.diagnose import bad_gradient, bad_parameter, bad_site
from ppvae.run import CHECKPOINT
from ppvae.svi import SVI

NAN, INF = math.nan, math.inf
# Five steps an epoch.
DATA = line_data()


class Spoiled(nn.Module):
    """A network that counts its training steps and, after so many of them, returns what is told."""

    def __init__(self, after, spoil):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("steps", torch.tensor(0))
        self.after, self.spoil = after, spoil

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            self.steps += 1
        value = self.weight * x
        return self.spoil(value) if self.steps > self.after else value


def spoiled_pair(after, in_model=lambda value: value, in_scale=lambda value: value):
    decoder, width = Spoiled(after, in_model), Spoiled(after, in_scale)

    def model(x):
        pyro.module("decoder", decoder)
        with rows(x):
            z = pyro.sample("z", standard_normal(1))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("width", width)
        with rows(x):
            scale = width(torch.ones(len(x), 1))
            pyro.sample("z", dist.Normal(0.5 * x, scale).to_event(1))

    return model, guide


def negative_log(value):
    return (value - 1.0).log()


BAD = {
    "nan decoder": ({"in_model": lambda v: v * NAN}, "site 'x' of the model has loc nan"),
    "inf decoder": ({"in_model": lambda v: v * INF}, "site 'x' of the model has loc infinite"),
    "huge": ({"in_model": lambda v: v * 1e200}, "site 'x' of the model has log-density infinite"),
    "scale": ({"in_scale": negative_log}, "site 'z' of the guide has scale nan"),
    "both": (
        {"in_model": lambda v: v * NAN, "in_scale": negative_log},
        "site 'z' of the guide has scale nan",
    ),
    "root": ({"in_model": lambda v: (v * 0).sqrt() + v}, "the gradient of parameter '.*' is nan"),
}


@pytest.fixture
def eager(monkeypatch):
    """Keep the state after every step and every epoch."""
    monkeypatch.setattr("ppvae.keeper._BETWEEN_EPOCHS", 0.0)
    monkeypatch.setattr("ppvae.keeper._WITHIN_EPOCH", 0.0)


@pytest.mark.parametrize("after", [0, 7, 10])
@pytest.mark.parametrize(("bad", "where"), BAD.values(), ids=BAD)
def test_the_step_and_what_went_bad_in_it_are_named(bad, where, after):
    epoch = after // 5 + 1
    message = rf"^training met a value that is not finite in step {after + 1} \(epoch {epoch}\): "
    with pytest.raises(NotFiniteError, match=message + where):
        quiet(spoiled_pair(after, **bad), DATA, epochs=3)


@pytest.mark.filterwarnings("ignore:Encountered NaN")
@pytest.mark.parametrize(
    "estimator",
    [IWAE(3), ELBO(analytic_kl=True), pyro.infer.Trace_ELBO()],
    ids=["iwae", "elbo-kl", "Pyro's"],
)
def test_it_is_named_under_every_estimator(estimator):
    pair = spoiled_pair(7, in_model=lambda value: value * NAN)
    with pytest.raises(NotFiniteError, match=r"step 8 \(epoch 2\): site 'x' of the model has loc"):
        quiet(pair, DATA, estimator=estimator, epochs=3)


def test_it_is_named_where_nothing_is_validated():
    pair = spoiled_pair(7, **BAD["scale"][0])
    with pyro.validation_enabled(False), pytest.raises(NotFiniteError, match="scale nan"):
        quiet(pair, DATA, epochs=3)


def test_a_learning_rate_that_is_too_large_ends_in_words():
    sgd = functools.partial(torch.optim.SGD, lr=1e200)
    with pytest.raises(NotFiniteError, match=r"not finite in step 2 \(epoch 1\): site 'z' of the"):
        quiet(line_pair(1.0), DATA, epochs=3, optim=sgd)


def test_a_last_step_that_throws_a_parameter_out_of_range_is_named():
    sgd = functools.partial(torch.optim.SGD, lr=1e308)
    message = r"step 1 \(epoch 1\): parameter '.*' is infinite\. The state after step 0 is kept"
    with pytest.raises(NotFiniteError, match=message):
        quiet(line_pair(3.0), DATA, steps=1, optim=sgd)


@pytest.mark.parametrize("bad", ["nan decoder", "root"])
def test_the_last_good_state_is_kept_in_the_folder_and_the_pair(tmp_path, eager, bad):
    pair = spoiled_pair(7, **BAD[bad][0])
    with pytest.raises(NotFiniteError, match=f"The state after step 7 is kept in {tmp_path}"):
        quiet(pair, DATA, epochs=3, folder=tmp_path)
    kept = Checkpoint.load(tmp_path / CHECKPOINT)
    assert kept.values["step"] == 7
    assert all(bool(tensor.isfinite().all()) for tensor in kept.group("state").values())
    held = values_of(Pair(*pair))
    assert held.keys() == kept.group("state").keys()
    assert all(torch.equal(held[name], tensor) for name, tensor in kept.group("state").items())


def test_without_a_folder_the_last_good_state_is_kept_in_the_pair():
    pair = spoiled_pair(7, in_model=lambda value: value * NAN)
    with pytest.raises(NotFiniteError, match=r"The state after step 0 is kept in the pair\.$"):
        quiet(pair, DATA, epochs=3)
    assert {float(v) for n, v in values_of(Pair(*pair)).items() if "weight" in n} == {0.5}


def test_a_pair_that_failed_can_be_trained_again():
    pair = line_pair(1.0)
    with pytest.raises(NotFiniteError):
        quiet(pair, DATA, epochs=3, optim=functools.partial(torch.optim.SGD, lr=1e200))
    again, first = quiet(pair, DATA, epochs=1), quiet(line_pair(1.0), DATA, epochs=1)
    assert again.history["valid_bound"].equals(first.history["valid_bound"])


def test_another_error_of_the_users_network_is_left_as_it_is():
    def shape(value):
        return value @ torch.ones(3, 3)

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        quiet(spoiled_pair(7, in_model=shape), DATA, epochs=3)


def test_an_error_of_watch_is_left_as_it_is_and_nothing_is_trained_beyond_it(monkeypatch):
    def watch(pair):
        if pair.params["shift"] != 1.0:
            raise ValueError("my own")
        return {}

    steps, gradients = [], SVI.gradients
    monkeypatch.setattr(SVI, "gradients", lambda self, **b: steps.append(0) or gradients(self, **b))
    with pytest.raises(ValueError, match="my own"):
        quiet(line_pair(1.0), DATA, epochs=300, watch=watch)
    assert len(steps) <= 5 + 6


def test_nan_in_the_data_is_refused_before_anything_is_written(tmp_path):
    x = DATA.train["x"].clone()
    x[7] = NAN
    with pytest.raises(ValueError, match=r"x in arrays must be finite .* got nan in row 7"):
        quiet(line_pair(), x, epochs=1, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_pair_that_begins_with_nan_is_refused(tmp_path):
    message = "a pair must begin with finite values; site 'z' of the guide has loc nan"
    with pytest.raises(ValueError, match=message):
        quiet(line_pair(NAN), DATA, epochs=1, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def layered(**factors):
    """Sites a, b, x in the model's order, b before a in the guide's; factors of what they get."""
    of = {"guide_a": 1.0, "guide_b": 1.0, "model_a": 1.0, "model_b": 1.0, "x": 1.0, **factors}

    def model(x):
        with rows(x):
            pyro.sample("a", dist.Normal(torch.zeros(len(x)), of["model_a"]))
            b = pyro.sample("b", dist.Normal(torch.zeros(len(x)), of["model_b"]))
            pyro.sample("x", dist.Bernoulli(logits=of["x"] * b), obs=torch.ones(len(x)))

    def guide(x):
        with rows(x):
            pyro.sample("b", dist.LogNormal(torch.zeros(len(x)), of["guide_b"]))
            pyro.sample("a", dist.Normal(torch.zeros(len(x)), of["guide_a"]))

    return Pair(model, guide)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({}, None),
        ({"guide_a": NAN}, "site 'a' of the guide has scale nan"),
        ({"guide_a": NAN, "guide_b": NAN}, "site 'b' of the guide has scale nan"),
        ({"guide_b": 1e6}, "site 'b' of the guide has value infinite"),
        ({"guide_a": INF, "x": NAN}, "site 'a' of the guide has scale infinite"),
        ({"model_a": NAN, "model_b": NAN}, "site 'a' of the model has scale nan"),
        ({"model_b": NAN, "x": NAN}, "site 'b' of the model has scale nan"),
        ({"x": NAN}, "site 'x' of the model has logits nan"),
        ({"model_a": 1e-200}, "site 'a' of the model has log-density infinite"),
    ],
)
def test_the_first_bad_site_in_the_order_of_running_is_named(factors, words):
    pair = layered(**factors)
    assert bad_site(pair, ((torch.zeros(4),), {})) == words


def test_a_bad_gradient_and_a_bad_parameter_are_named():
    leaves = {"good": torch.ones(2), "bad": torch.tensor([0.0, INF])}
    for leaf in leaves.values():
        leaf.grad = leaf.clone()
    leaves["unmoved"] = torch.zeros(2)
    assert bad_gradient(leaves) == "the gradient of parameter 'bad' is infinite"
    assert bad_parameter(leaves) == "parameter 'bad' is infinite"
    assert bad_gradient({"unmoved": leaves["unmoved"]}) is None
    assert bad_parameter({"good": leaves["good"]}) is None
