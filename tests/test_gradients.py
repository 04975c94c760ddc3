"""The bench of gradients on pairs whose gradients are known, and what a call leaves behind."""

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
import xarray as xr
from programs import binary_rows, binary_vae, rows
from pyro.nn import PyroModule
from torch import nn

import ppvae
from ppvae import ELBO, IWAE, Experiment
from ppvae.bench import sampling
from ppvae.estimators import MIWAE, ReweightedWakeSleep
from ppvae.estimators.gradients import DoublyReparameterized, StickingTheLanding
from ppvae.exact import ExactGaussian
from ppvae.generators import generator_states
from ppvae.guides import AffineGuide
from ppvae.models import GaussianToy
from ppvae.netcdf import save_dataset

quiet = {"num_timed": 0, "progress": False}


def toy(num_rows=6):
    model = GaussianToy(torch.tensor([0.4, -0.3]))
    guide = AffineGuide(0.6 * torch.eye(2), torch.tensor([0.1, 0.2]), 0.8)
    exact = ExactGaussian(model.log_evidence, model.posterior, guide.distribution)
    known = {n: getattr(exact, n) for n in ("log_evidence", "elbo", "cross_entropy")}
    return Experiment(model, guide, **known), torch.randn(num_rows, 2)


class Line(PyroModule):
    """z ~ N(0, 1), x ~ N(w z, 1)."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
            pyro.sample("x", dist.Normal(self.slope * z, 1.0), obs=x)


class Point(PyroModule):
    """q = N(a, s^2) for all data."""

    def __init__(self):
        super().__init__()
        self.loc = nn.Parameter(torch.tensor(0.7))
        self.log_scale = nn.Parameter(torch.tensor(-0.5))

    def forward(self, x):
        with rows(x):
            pyro.sample("z", dist.Normal(self.loc.expand(len(x)), self.log_scale.exp()))


def line_variance(x, w=1.5, a=0.7, log_s=-0.5):
    """By hand, per datum with z = a + s e: of dELBO/dw = (x - w z) z, of
    dELBO/da = w x - (1 + w^2) z, and of dELBO/dlog s = (w x - (1 + w^2) z) s e + 1."""
    s2, c = torch.tensor(2 * log_s).exp(), 1 + w**2
    m = w * x - c * a
    of_w = (x - 2 * w * a) ** 2 * s2 + 2 * w**2 * s2**2
    of_guide = c**2 * s2 + m**2 * s2 + 2 * c**2 * s2**2
    return {"model": of_w.sum() / len(x) ** 2, "guide": of_guide.sum() / len(x) ** 2}


@pytest.mark.parametrize("together", [True, False])
def test_the_variance_is_that_of_the_hand_vectorized_or_not(together, monkeypatch):
    if not together:
        monkeypatch.setattr(sampling, "_AT_ONCE", 1)
    x = torch.tensor([0.5, -1.0, 2.0])
    number = 20_000 if together else 200
    found = ppvae.gradients((Line(), Point()), x, [ELBO()], number, **quiet)
    assert (int(found["at_once"][0]) > 1) == together
    for block, truth in line_variance(x).items():
        one = found.sel(block=block).isel(estimator=0)
        assert abs(float(one["variance"]) - float(truth)) < 5 * float(one["variance_se"])


def test_unbiased_estimators_lie_within_five_standard_errors_of_the_exact_gradient():
    experiment, x = toy()
    estimators = [
        *(ELBO(), ELBO(3), IWAE(1), ELBO(gradient=StickingTheLanding())),
        pyro.infer.Trace_ELBO(),
    ]
    found = ppvae.gradients(experiment, x, estimators, 200, **quiet)
    assert (found["reference"] == "exact").all()
    assert (found["target"] == "ELBO").all()
    assert (found["bias_z"] < 5).all()
    elbo = float(experiment.elbo(x).mean().detach())
    assert (abs(found["bound"] - elbo) < 5 * found["bound_se"]).all()


def test_a_biased_estimator_is_found_out():
    experiment, x = toy()
    found = ppvae.gradients(experiment, x, [ReweightedWakeSleep(2)], 2000, **quiet)
    guide = found.sel(block="guide").isel(estimator=0)
    assert str(guide["target"].item()) == "inclusive KL"
    assert float(guide["bias_z"]) > 5
    # Biased by its two draws, but on the way.
    assert float(guide["cosine"]) > 0.9


def test_without_an_exact_gradient_the_least_noisy_unbiased_one_is_the_reference():
    experiment, x = toy()
    estimators = [
        IWAE(4),
        IWAE(4, gradient=DoublyReparameterized()),
        IWAE(4, gradient=StickingTheLanding()),
        IWAE(8),
    ]
    found = ppvae.gradients(experiment, x, estimators, 2000, **quiet).sel(block="guide")
    assert found["reference"].values.tolist() == ["iwae:4+dreg", "itself", "iwae:4+dreg", "itself"]
    plain, _, path, _ = found["bias_z"].values
    assert plain < 5 < path
    assert found["biased_for"].values[[0, 1, 3]].tolist() == ["", "", ""]
    assert "KL(p(z|x)" in str(found["biased_for"].values[2])


def test_a_biased_estimator_is_no_reference_however_little_noise_it_has():
    experiment, x = toy()
    estimators = [IWAE(4), IWAE(4, gradient=StickingTheLanding())]
    found = ppvae.gradients(experiment, x, estimators, 50, **quiet).sel(block="guide")
    assert float(found["variance"][1]) < float(found["variance"][0])
    assert found["reference"].values.tolist() == ["itself", "iwae:4"]


def test_deviations_from_another_estimator_are_in_standard_errors():
    experiment, x = toy(2)
    # With noise in common, draw s of the first would be tied to draw s / 2 of the second.
    estimators = [IWAE(3), MIWAE(2, 3)]
    found = [
        ppvae.gradients(experiment, x, estimators, 40, seed=seed, **quiet) for seed in range(30)
    ]
    off = xr.concat(found, "seed")["bias_z"].sel(estimator="iwae:3", block="model")
    # Mean 0, and standard deviation 1.03 with 38 degrees of freedom.
    assert abs(float(off.mean())) < 5 * 1.03 / 30**0.5
    assert float(off.std()) < 1.03 * (1 + 5 / 60**0.5)


def test_equal_seeds_give_equal_numbers():
    experiment, x = toy()
    first, again, other = (
        ppvae.gradients(experiment, x, [IWAE(2)], 50, seed=seed, **quiet) for seed in (3, 3, 4)
    )
    assert first.equals(again)
    assert not first.equals(other)


class Noisy(nn.Module):
    """An encoder with a dropout mask and running statistics."""

    def __init__(self, width, codes):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.3)
        self.linear = nn.Linear(width, 2 * codes)

    def forward(self, x):
        return self.linear(self.drop(self.norm(x)))


@pytest.mark.filterwarnings("ignore:gradients of .* are drawn one by one")
def test_a_call_changes_nothing():
    from ppvae.guides import GaussianGuide

    model, _ = binary_vae()
    guide, x = GaussianGuide(Noisy(6, 2)), binary_rows()
    for parameter in guide.parameters():
        parameter.grad = torch.ones_like(parameter)
    learning = ppvae.estimators.BetaELBO(ppvae.schedules.Schedule(0.0, 1.0, steps=9))
    before = {
        **{n: t.clone() for n, t in model.state_dict().items()},
        **{f"guide.{n}": t.clone() for n, t in guide.state_dict().items()},
        **{f"beta.{n}": t.clone() for n, t in learning.state_dict().items()},
    }
    noise = generator_states()
    found = ppvae.gradients((model, guide), x, [learning, ELBO()], 5, num_timed=2, progress=False)
    after = {
        **model.state_dict(),
        **{f"guide.{n}": t for n, t in guide.state_dict().items()},
        **{f"beta.{n}": t for n, t in learning.state_dict().items()},
    }
    assert found["variance"].notnull().all()
    assert all(torch.equal(before[n], after[n]) or before[n].isnan().all() for n in after)
    again = generator_states()
    assert all(torch.equal(noise[n], again[n]) for n in ("torch", "numpy", "python"))
    assert all(bool((p.grad == 1).all()) for p in guide.parameters())
    assert all(p.grad is None for p in model.parameters())
    assert guide.training
    assert learning.training


def test_every_variable_has_words_and_a_unit_and_the_file_opens_alone(tmp_path):
    experiment, x = toy()
    found = ppvae.gradients(experiment, x, [ELBO(), IWAE(2)], 10, num_timed=1, progress=False)
    for name, variable in found.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs.get("units") or variable.dtype.kind in "OU", name
    save_dataset(found, tmp_path / "bench.nc")
    with xr.open_dataset(tmp_path / "bench.nc", engine="h5netcdf") as read:
        assert read.load().equals(found)


def test_time_and_memory_are_those_of_single_gradients():
    experiment, x = toy(200)
    few, many = IWAE(2), IWAE(200)
    found = ppvae.gradients(experiment, x, [few, many], 3, num_timed=5, progress=False)
    assert (found["ms_low"] <= found["ms"]).all()
    assert (found["ms"] <= found["ms_high"]).all()
    # One tensor of all draws: K x B x D numbers of 8 bytes; a hundred times as many draws.
    assert float(found["peak_bytes"][1]) > 200 * 200 * 2 * 8
    assert 50 < float(found["peak_bytes"][1] / found["peak_bytes"][0]) < 150
    product = found["variance"] * found["ms"]
    xr.testing.assert_allclose(found["variance_time"].drop_attrs(), product.drop_attrs())
