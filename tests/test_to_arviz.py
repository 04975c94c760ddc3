"""A pair in ArviZ's form: names, values, and what ArviZ makes of them."""

import math
import warnings

import arviz
import numpy as np
import pyro
import pyro.distributions as dist
import torch
import xarray
from programs import ENUMERATED, labelled_pair, linear_pair, rows, standard_normal, wide_noise

from ppvae import to_arviz
from ppvae.distributions import FlatPrior
from ppvae.evaluate.pareto import pareto_khat
from ppvae.guides import DeltaGuide
from ppvae.models import VAE

# 5 standard errors, computed from the sample, of at most 100 values.
WITHIN = 5.0


def values(found, group, name):
    """One variable by (draw, row, ...), of an InferenceData or a DataTree."""
    return torch.from_numpy(found[group][name].values[0].copy())


def psis(log_weight):
    """Smoothed log-weights and k-hat by row, as the installed ArviZ has them."""
    if arviz.__version__.startswith("0."):
        return arviz.psislw(log_weight.stack(__sample__=["chain", "draw"]))
    return (-log_weight).azstats.psislw(dim=["chain", "draw"])


def test_groups_have_named_dimensions_and_the_row_is_the_index():
    pair = linear_pair()
    fields = {"x": torch.randn(5, 4), "index": torch.arange(10, 15)}
    found = to_arviz(pair.model, pair.guide, fields, 7)
    sizes = {"chain": 1, "draw": 7, "row": 5}
    for group, name, event in [
        ("posterior", "z", {"z_dim": 2}),
        ("prior", "z", {"z_dim": 2}),
        ("posterior_predictive", "x", {"x_dim": 4}),
        ("prior_predictive", "x", {"x_dim": 4}),
        ("log_likelihood", "x", {}),
        ("sample_stats", "log_weight", {}),
    ]:
        array = found[group][name]
        assert dict(array.sizes) == sizes | event
        assert array["row"].values.tolist() == [10, 11, 12, 13, 14]
        assert array.attrs["long_name"]
    assert found["observed_data"]["x"].dims == ("row", "x_dim")
    np.testing.assert_array_equal(found["observed_data"]["x"], fields["x"])


def test_log_densities_carry_their_unit_and_all_groups_the_versions():
    found = to_arviz(*wide_noise(), torch.randn(3, 2), 4)
    assert found["log_likelihood"]["x"].attrs["units"] == "nats"
    assert found["sample_stats"]["log_weight"].attrs["units"] == "nats"
    for part in (found, found["posterior"]):
        assert part.attrs["inference_library_version"] == pyro.__version__
        assert part.attrs["arviz_version"] == arviz.__version__


def test_log_densities_are_those_of_the_draws_beside_them():
    pair, x = linear_pair(offset=0.3), torch.randn(5, 4)
    found = to_arviz(pair.model, pair.guide, x, 6)
    z = values(found, "posterior", "z")
    likelihood = dist.Normal(z @ pair.weight.T, 1.0).log_prob(x).sum(-1)
    posterior = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp()).to_event(1)
    weight = likelihood + standard_normal(2).log_prob(z) - posterior.log_prob(z)
    assert torch.allclose(values(found, "log_likelihood", "x"), likelihood, rtol=0, atol=1e-10)
    assert torch.allclose(values(found, "sample_stats", "log_weight"), weight, rtol=0, atol=1e-10)


def test_labels_marked_for_enumeration_are_drawn_and_scored_as_drawn():
    pair, x = labelled_pair(), torch.randn(5, 4)
    found = to_arviz(pair.model, pair.guide, x, 9)
    y, z = values(found, "posterior", "y"), values(found, "posterior", "z")
    # (C, K, B), with log q(y|x) taken off too; the drawn label is one of the C.
    by_label = pair.log_weight(x, z)
    expected = by_label.gather(0, y[None])[0]
    weight = values(found, "sample_stats", "log_weight")
    assert torch.allclose(weight, expected, rtol=0, atol=1e-10)


def test_labels_that_only_the_model_enumerates_are_summed_out():
    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Bernoulli(0.3), infer=ENUMERATED)
            z = pyro.sample("z", dist.Normal(2 * y, 1.0))
            pyro.sample("x", dist.Normal(z + y, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    x = torch.randn(4)
    found = to_arviz(model, guide, x, 6)
    z, y = values(found, "posterior", "z"), torch.tensor([0.0, 1.0])[:, None, None]
    prior = torch.tensor([0.7, 0.3]).log()[:, None, None] + dist.Normal(2 * y, 1.0).log_prob(z)
    joint = prior + dist.Normal(z + y, 1.0).log_prob(x)
    weight = joint.logsumexp(0) - dist.Normal(x / 2, 1.0).log_prob(z)
    likelihood = joint.logsumexp(0) - prior.logsumexp(0)
    assert torch.allclose(values(found, "sample_stats", "log_weight"), weight)
    assert torch.allclose(values(found, "log_likelihood", "x"), likelihood)
    assert "y" not in found["posterior"] and "y" in found["prior"]


def test_draws_have_the_moments_of_guide_prior_and_likelihood():
    model, guide = wide_noise()
    x, k = torch.tensor([[-4.0, 0.0], [8.0, 2.0]]), 4000
    found = to_arviz(model, guide, x, k)
    for group, name, loc, variance in [
        ("posterior", "z", x / 4, 0.75),
        ("prior", "z", torch.zeros(2, 2), 1.0),
        ("posterior_predictive", "x", x / 4, 3.75),
        ("prior_predictive", "x", torch.zeros(2, 2), 4.0),
    ]:
        drawn = values(found, group, name)
        assert ((drawn.mean(0) - loc).abs() < WITHIN * drawn.std(0) / k**0.5).all()
        spread = (drawn - loc).square()
        assert ((spread.mean(0) - variance).abs() < WITHIN * spread.std(0) / k**0.5).all()


def test_a_seed_gives_the_same_draws_whatever_was_drawn_before():
    pair, x = wide_noise(), torch.randn(3, 2)
    first = to_arviz(pair, x, num_draws=5, seed=1)
    state = torch.random.get_rng_state()
    again, other = (to_arviz(pair, x, num_draws=5, seed=seed) for seed in (1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    drawn = [values(each, "posterior", "z") for each in (first, again, other)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_pareto_k_hat_of_arviz_is_that_of_evaluate():
    model, guide = wide_noise()
    found = to_arviz((model, lambda x: guide(x / 2)), torch.randn(6, 2), num_draws=400)
    log_weight = found["sample_stats"]["log_weight"]
    _, khat = psis(log_weight)
    ours = pareto_khat(torch.from_numpy(log_weight.values[0].copy()))
    np.testing.assert_allclose(khat, ours, rtol=1e-10)


def leave_one_out(found):
    with warnings.catch_warnings():
        # Of 50 k-hats around 1/4 a few may pass for large.
        warnings.simplefilter("ignore", UserWarning)
        loo = arviz.loo(found, pointwise=True)
    return np.array(loo.elpd_i if hasattr(loo, "elpd_i") else loo.loo_i), np.array(loo.pareto_k)


def test_leaving_a_row_out_gives_its_exact_evidence():
    """Codes of other rows tell nothing of a row: what is left of it without x is p(x)."""
    x, k = 2 * torch.randn(50, 2), 1000
    found = to_arviz(*wide_noise(), x, k)
    by_row, _ = leave_one_out(found)
    exact = dist.Normal(0.0, 2.0).log_prob(x).sum(-1)
    ratio = (-values(found, "log_likelihood", "x")).exp()
    error = ratio.std(0) / ratio.mean(0) / k**0.5
    assert ((torch.from_numpy(by_row) - exact).abs() < WITHIN * error).all()


def test_the_k_hat_of_leaving_a_row_out_is_the_tail_index_of_its_weights():
    """The weights 1 / p(x|z) take N(0, 3/4) to N(0, 1) in two dimensions: k = 1/4."""
    k = 1000
    _, khat = leave_one_out(to_arviz(*wide_noise(), torch.zeros(50, 2), k))
    tail = 3 * k**0.5
    expected = (tail / 4 + 5) / (tail + 10)
    assert abs(khat.mean() - expected) < WITHIN * khat.std(ddof=1) / math.sqrt(50)


def test_arviz_summarises_the_posterior():
    table = arviz.summary(to_arviz(*wide_noise(), torch.zeros(2, 2), 50), var_names=["z"])
    assert len(table) == 2 * 2


def test_a_file_of_it_is_opened_by_arviz_and_by_xarray_alone(tmp_path):
    found = to_arviz(*wide_noise(), torch.randn(3, 2), 4)
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    opened = arviz.from_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    np.testing.assert_array_equal(opened["posterior"]["z"], found["posterior"]["z"])
    with xarray.open_dataset(tmp_path / "found.nc", group="sample_stats") as alone:
        np.testing.assert_array_equal(alone["log_weight"], found["sample_stats"]["log_weight"])
        assert alone["log_weight"].attrs["units"] == "nats"


def test_a_latent_site_outside_of_the_data_plate_has_one_value_a_draw_and_all_rows_one_weight():
    def model(x):
        mu = pyro.sample("mu", standard_normal(3))
        with rows(x):
            pyro.sample("x", dist.Normal(mu.sum(-1), 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(torch.zeros(3), 0.5).to_event(1))

    x = torch.randn(4)
    found = to_arviz(model, guide, x, 6)
    mu = values(found, "posterior", "mu")
    assert found["posterior"]["mu"].dims == ("chain", "draw", "mu_dim")
    likelihood = dist.Normal(mu.sum(-1), 1.0).log_prob(x[:, None]).sum(0)
    weight = likelihood + standard_normal(3).log_prob(mu) - dist.Normal(0, 0.5).log_prob(mu).sum(-1)
    assert torch.allclose(values(found, "sample_stats", "log_weight"), weight)


def test_an_autoencoder_has_no_prior_and_no_weights_and_says_so():
    model = VAE(torch.nn.Linear(2, 3), FlatPrior(2), lambda loc: dist.Normal(loc, 1.0).to_event(1))
    found = to_arviz(model, DeltaGuide(torch.nn.Linear(3, 2)), torch.randn(4, 3), 5)
    for group in ("prior", "prior_predictive", "sample_stats"):
        assert not hasattr(found, group)
    assert "sample_stats is left out: the prior of 'z' is improper" in found.attrs["note"]
    assert (
        "prior is left out: a flat prior scores codes and cannot draw them" in found.attrs["note"]
    )
    assert found["posterior_predictive"]["x"].shape == (1, 5, 4, 3)
