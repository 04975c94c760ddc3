"""What evaluation leaves as it was, what it says, and what it refuses."""

import math
import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray
from programs import binary_rows, binary_vae, linear_pair, rows, standard_normal
from torch import nn

from ppvae import Experiment
from ppvae.data import from_arrays, load
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.evaluate import evaluate, summary
from ppvae.evaluate.evidence import estimate_evidence
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.pair import Pair


def restless():
    """A pair whose networks behave otherwise in training."""
    decoder = nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.5))
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    return VAE(decoder, StandardNormal(2), BernoulliLikelihood()), GaussianGuide(encoder)


def test_a_pair_and_the_generators_are_left_as_they_were():
    (model, guide), x = restless(), binary_rows(9)
    guide.encoder[0].eval()
    modes = [module.training for part in (model, guide) for module in part.modules()]
    state = {name: value.clone() for name, value in guide.state_dict().items()}
    drawn = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    evaluate((model, guide), x, num_particles=3)
    assert modes == [module.training for part in (model, guide) for module in part.modules()]
    assert all(torch.equal(value, state[name]) for name, value in guide.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), drawn[0])
    assert (np.random.get_state()[1] == drawn[1]).all()
    assert len(pyro.get_param_store()) == 0


def test_a_pair_is_judged_without_dropout():
    pair, x = restless(), binary_rows(9)
    found = evaluate(pair, x, num_particles=4)
    for part in pair:
        part.eval()
    assert found.identical(evaluate(pair, x, num_particles=4))


def test_one_seed_gives_one_result_and_another_another():
    pair, x = binary_vae(), binary_rows(9)
    first, again, other = (evaluate(pair, x, num_particles=4, seed=s) for s in (1, 1, 2))
    assert first.identical(again)
    assert not np.isclose(first["elbo"], other["elbo"]).any()


def test_a_data_set_is_cast_to_the_dtype_of_the_pair():
    data = load("digits")
    assert data.test["x"].dtype == torch.float32
    found = evaluate(binary_vae(data_dim=64), data, num_particles=2)
    as_double = evaluate(binary_vae(data_dim=64), data.to("cpu", torch.float64), num_particles=2)
    assert found.sizes["row"] == as_double.sizes["row"] == 300
    assert found.attrs["split"] == "test" and found.attrs["binarize"] == "dynamic"


def test_an_evaluation_survives_a_file(tmp_path):
    found = evaluate(binary_vae(), binary_rows(9), num_particles=4)
    found.to_netcdf(tmp_path / "found.nc")
    assert found.identical(xarray.load_dataset(tmp_path / "found.nc"))


def test_a_pair_of_plain_functions_without_parameters_is_evaluated():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))

    x = torch.randn(5)
    found = evaluate(Pair(model, guide), x, num_particles=3)
    np.testing.assert_allclose(found["elbo"], dist.Normal(0.0, 2**0.5).log_prob(x))


def test_one_draw_and_one_row_have_no_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(binary_vae(), binary_rows(1), num_particles=1)
    np.testing.assert_allclose(found["log_evidence"], found["elbo"], rtol=1e-12)
    assert all(np.isnan(found[name]).all() for name in ("elbo_se", "elbo_mean_se"))
    assert "active is left out: it needs at least 2 rows" in found.attrs["note"]


def test_a_datum_that_no_draw_explains_has_log_evidence_minus_infinity():
    weights = torch.tensor([[-1.0, -math.inf, -math.inf], [-1.0, -2.0, -math.inf]])
    found = estimate_evidence(weights)
    expected = torch.tensor([-1.0, -2.0 - math.log(2), -math.inf])
    torch.testing.assert_close(found.value, expected)
    torch.testing.assert_close(found.ess[:2], torch.tensor([2.0, 1.0]))


def test_bits_are_left_out_where_labels_are_observed_too():
    vae, guide = binary_vae()

    def model(x, y):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Bernoulli(logits=vae.decoder(z)).to_event(1), obs=x)
            pyro.sample("y", dist.Categorical(logits=z), obs=y)

    fields = {"x": binary_rows(4), "y": torch.tensor([0, 1, 0, 1])}
    found = evaluate((model, guide), fields, num_particles=2)
    assert "the model observes x and y, not x alone" in found.attrs["note"]


def test_the_summary_has_a_line_for_each_quantity_with_its_unit():
    model = linear_pair()
    data = from_arrays({"x": torch.randn(60, 4)}, name="toy")
    experiment = Experiment(model.model, model.guide, log_evidence=model.log_evidence)
    found = evaluate(experiment, data, num_particles=7, seed=5)
    lines = summary(found).splitlines()
    assert lines[0].startswith("6 test rows of toy, 7 draws each, seed 5")
    shown = f"{float(found['elbo_mean']):.3f} ± {float(found['elbo_mean_se']):.3f} nats"
    assert any(line.startswith("ELBO") and shown in line for line in lines)
    starts = ("log p(x) at least", "log p(x), exact", "reconstruction", "KL(q || p)")
    assert all(
        any(line.startswith(start) and " nats" in line for line in lines) for start in starts
    )
    active = int(found["active"].sum())
    assert any(line.startswith("active units") and f"{active} of 2" in line for line in lines)
    assert lines[-1] == found.attrs["note"]


def test_bits_are_left_out_of_a_density():
    pair = linear_pair()
    found = evaluate((pair.model, pair.guide), torch.randn(5, 4), num_particles=2)
    assert "bits_per_dim" not in found
    assert "p(x|z) is a density, whose bits depend on the scale of x" in found.attrs["note"]


def test_bits_are_counted_over_the_values_that_a_mask_leaves():
    vae, guide = binary_vae()

    def model(x, mask):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            likelihood = dist.Bernoulli(logits=vae.decoder(z)).mask(mask).to_event(1)
            pyro.sample("x", likelihood, obs=x)

    mask = torch.arange(6) < torch.tensor([[6], [3], [0]])
    found = evaluate((model, guide), {"x": binary_rows(3) * mask, "mask": mask}, num_particles=9)
    bits = -found["log_evidence"].values / math.log(2)
    np.testing.assert_allclose(found["bits_per_dim"][:2], bits[:2] / [6, 3])
    assert np.isnan(found["bits_per_dim"][2])
    assert float(found["bits_per_dim_mean"]) == pytest.approx(
        float(found["bits_per_dim"][:2].mean())
    )
