"""Estimators that are compared if they take the pair: `ppvae compare --estimators all`."""

from pathlib import Path

import pytest
import torch
import xarray as xr

from ppvae import ELBO, IWAE, Estimator
from ppvae.cli import main
from ppvae.compare import compare
from ppvae.data import load
from ppvae.experiment import find_recipe

SHORT = {"seeds": (0,), "steps": 3, "num_particles": 50, "device": "cpu", "progress": False}
TINY = ["--steps", "2", "--num-particles", "30", "--seeds", "0", "--threads", "1"]

# A discrete code that is neither enumerated nor scored by every estimator.
DISCRETE = """
import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppvae import Experiment
from ppvae.data import Data


def coins(data: Data) -> Experiment:
    decoder, encoder = nn.Linear(2, 64), nn.Linear(64, 2)

    def model(x):
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Bernoulli(0.5 * torch.ones(2)).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Bernoulli(logits=encoder(x)).to_event(1))

    return Experiment(model, guide)
"""


class Refusing(Estimator):
    """An estimator that takes no pair at all."""

    def bound(self, terms):
        raise ValueError("Refusing needs another pair; got this one.")


def small(data):
    return find_recipe("vae").function(data, latent_dim=2, hidden=8)


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture
def discrete(tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    Path("coins.py").write_text(DISCRETE)


def test_an_optional_estimator_that_refuses_the_pair_is_left_out_with_its_reason(digits):
    found = compare(small, digits, **SHORT, estimators=[ELBO()], optional=[Refusing(), IWAE(5)])
    assert list(found.dataset["estimator"].values) == ["elbo", "iwae:5"]
    assert found.notes == ["Refusing() is left out: Refusing needs another pair; got this one."]
    assert found.notes[0] in str(found)


def test_an_estimator_that_was_asked_for_ends_the_comparison(digits):
    with pytest.raises(ValueError, match="Refusing needs another pair; got this one"):
        compare(small, digits, **SHORT, estimators=[ELBO(), Refusing()])


def test_nothing_is_compared_where_every_optional_estimator_refuses(digits):
    message = r"needs an estimator that takes the pair; Refusing\(\) is left out: Refusing needs"
    with pytest.raises(ValueError, match=message):
        compare(small, digits, **SHORT, estimators=[], optional=[Refusing()])


def test_an_estimator_that_is_named_and_optional_is_refused_as_twice_the_same(digits):
    with pytest.raises(ValueError, match="must differ; got 'elbo' twice"):
        compare(small, digits, **SHORT, estimators=[ELBO()], optional=[ELBO()])


def test_all_stands_for_the_estimators_that_take_the_experiment(discrete, monkeypatch, capsys):
    monkeypatch.setattr("ppvae.named.ALL", ("elbo", "elbo:5+score-all", "iwae:5+vimco"))
    names = ["iwae:5+vimco", "all"]
    assert main(["compare", "coins.py", "--estimators", *names, *TINY, "--out", "found"]) == 0
    with xr.open_dataset("found/results.nc") as kept:
        # What is named comes first, and once.
        assert list(kept["estimator"].values) == ["iwae:5+vimco", "elbo:5+score-all"]
        assert kept.attrs["notes"].startswith("elbo is left out: ELBO needs reparameterized")
    said = capsys.readouterr().out
    assert said.startswith("ppvae compare: coins on digits, every estimator, 1 seed ...")
    assert "elbo is left out: ELBO needs reparameterized" in " ".join(said.split())


def test_a_named_estimator_that_refuses_the_experiment_ends_with_code_2(discrete, capsys):
    names = ["elbo", "all"]
    assert main(["compare", "coins.py", "--estimators", *names, *TINY, "--out", "found"]) == 2
    assert "ELBO needs reparameterized" in capsys.readouterr().err
    assert not Path("found").exists()
