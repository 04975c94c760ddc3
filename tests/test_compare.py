"""A comparison in earnest: small runs on real digits, and refusals."""

import contextlib
import csv
import io
import itertools
import math

import arviz
import numpy as np
import pyro.infer
import pytest
import torch
import xarray as xr

from ppvae import ELBO, IWAE, Estimator, Experiment, NotFiniteError, Pair
from ppvae.compare import Comparison, compare
from ppvae.compare.measure import CURVE_PARTICLES, HeldOut
from ppvae.compare.plan import entries
from ppvae.compare.statistics import UNITS
from ppvae.data import load
from ppvae.evaluate import evaluate
from ppvae.experiment import find_recipe
from ppvae.models import LinearGaussian

SEEDS = (0, 1)
SMALL = {
    "seeds": SEEDS,
    "epochs": 3,
    "batch_size": 128,
    "points": 3,
    "num_particles": 50,
    "device": "cpu",
}
SHORT = SMALL | {"epochs": None, "steps": 3, "progress": False}
BOTH = [ELBO(), IWAE(5)]


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def comparison(digits, tmp_path_factory):
    """A comparison, its folder, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("comparison")
    with contextlib.redirect_stderr(io.StringIO()) as said:
        found = compare(find_recipe("vae"), digits, **SMALL, estimators=BOTH, folder=folder)
    return found, folder, said.getvalue().splitlines()


def exact(data) -> Experiment:
    """A linear-Gaussian model whose guide is its exact posterior."""
    model = LinearGaussian(torch.randn(data.data_dim, 3) / 4, bias=data.mean.to(torch.float64))
    return Experiment(
        model, model.exact_guide, epochs=2, batch_size=500, log_evidence=model.log_evidence
    )


class Broken(Estimator):
    def bound(self, terms):
        return terms.log_weight.mean(0) * math.nan


def test_a_seed_gives_every_estimator_the_same_initial_weights(digits):
    planned = entries(find_recipe("vae"), digits, None)
    states = [
        [p for part in (e.model, e.guide) for p in part.parameters()]
        for e in (entry.build(seed=3) for entry in planned)
    ]
    assert len(states) == 6
    for ours, theirs in itertools.pairwise(states):
        assert all(torch.equal(a, b) and a is not b for a, b in zip(ours, theirs, strict=True))


def test_another_seed_gives_other_initial_weights(digits):
    entry = entries(find_recipe("vae"), digits, [ELBO()])[0]
    first, second = (next(entry.build(seed).model.parameters()) for seed in (0, 1))
    assert not torch.equal(first, second)


def test_every_run_has_an_estimator_of_its_own(digits):
    entry = entries(find_recipe("vae"), digits, [ELBO()])[0]
    assert entry.build(0).estimator is not entry.build(1).estimator


def test_the_held_out_curves_of_a_seed_start_at_the_same_point(comparison):
    start = comparison[0].dataset["curve"].isel(point=0)
    assert (start.isel(estimator=0) == start.isel(estimator=1)).all()
    assert (start.isel(seed=0) != start.isel(seed=1)).any()


def test_a_point_of_the_held_out_curve_is_the_estimate_of_evaluate(digits):
    experiment = find_recipe("vae").function(digits)
    pair = Pair(experiment.model, experiment.guide)
    held_out = HeldOut(digits.valid, looks=[0])
    with torch.no_grad():
        mean = held_out(pair)["held_out"]
    found = evaluate(pair, digits, split="valid", num_particles=CURVE_PARTICLES, seed=1)
    error = math.sqrt(2) * float(found["log_evidence_mean_draws_se"])
    assert abs(mean - float(found["log_evidence_mean"])) < 5 * error


def test_with_the_exact_posterior_every_column_is_log_p_x(digits):
    data = load("digits", binarize="none")
    estimators = [pyro.infer.Trace_ELBO(), ELBO(2), IWAE(5)]
    found = compare(exact, data, **SHORT, estimators=estimators)
    for row in found.table():
        for name in ("own_bound", "elbo", "log_evidence"):
            assert row[name] == pytest.approx(row["log_evidence_exact"], abs=1e-8)
        assert (row["gap"], row["gap_exact"]) == pytest.approx((0.0, 0.0), abs=1e-8)
        assert (row["khat"], row["khat_above"]) == (-math.inf, 0.0)


def test_the_estimate_on_linear_gaussian_lies_at_or_below_the_exact_log_p_x():
    recipe = find_recipe("linear-gaussian")
    found = compare(recipe, load(recipe.data), **SHORT, estimators=BOTH)
    dataset = found.dataset
    above = dataset["log_evidence"] - dataset["log_evidence_exact"]
    error = np.sqrt((dataset["log_evidence_se"] ** 2).sum("row")) / dataset.sizes["row"]
    assert (above.mean("row") < 5 * error).all()
    assert "exact" in str(found)


def test_the_table_survives_as_csv(comparison):
    found, folder, *_ = comparison
    with (folder / "table.csv").open() as file:
        read = list(csv.DictReader(file))
    for row, kept in zip(found.table(), read, strict=True):
        for name, value in row.items():
            if isinstance(value, str):
                assert kept[name] == value
            else:
                assert float(kept[name] or "nan") == pytest.approx(value, nan_ok=True, abs=0)


def test_the_whole_comparison_survives_as_netcdf_that_xarray_opens_alone(comparison):
    found, folder, *_ = comparison
    with xr.open_dataset(folder / "results.nc") as opened:
        xr.testing.assert_identical(opened.load(), found.dataset)
        again = Comparison(opened)
        assert str(again) == str(found)


def test_the_table_is_opened_by_arviz_and_by_xarray_alone_with_units(comparison):
    found, folder, *_ = comparison
    opened = arviz.from_netcdf(folder / "results.nc", engine="h5netcdf")
    with xr.open_dataset(folder / "results.nc", group="table") as table:
        for name, unit in UNITS.items():
            assert table[name].attrs["units"] == opened["table"][name].attrs["units"] == unit
            assert table[name].attrs["long_name"]
            expected = found.dataset["summary"].sel(statistic=name)
            np.testing.assert_array_equal(opened["table"][name], expected)


def test_pictures_of_curves_and_samples_are_kept(comparison):
    _, folder, *_ = comparison
    for name in ("comparison.png", "samples.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_last_line_of_the_text_is_the_verdict(comparison):
    found, folder, *_ = comparison
    text = (folder / "comparison.txt").read_text()
    assert " ".join(text.split()).endswith(" ".join(found.verdict.split()))


def test_a_notebook_shows_every_estimator_and_the_verdict(comparison):
    found = comparison[0]
    html = found._repr_html_()
    assert html.count("<tr>") == 1 + len(found.table())
    assert found.verdict in html


def test_ms_per_step_and_seconds_agree(comparison):
    for row in comparison[0].table():
        # Three epochs of 11 steps; a loaded machine may stretch one of them.
        assert 0.1 < row["seconds"] / (33 * row["ms_per_step"] / 1000) < 10


def test_the_same_experiments_on_the_same_data_share_one_first_estimator(digits):
    def small(data):
        return find_recipe("vae").function(data, latent_dim=2, hidden=10)

    def smaller(data):
        return find_recipe("vae").function(data, latent_dim=1, hidden=10)

    found = compare([small, smaller], digits, **SHORT, estimators=[ELBO()])
    labels = list(found.dataset["estimator"].values)
    assert labels == ["small elbo", "smaller elbo"]
    assert [math.isnan(row["difference"]) for row in found.table()] == [True, False]
    assert "small elbo" in found.verdict


def test_experiments_on_other_data_get_a_verdict_each(digits):
    recipe = find_recipe("linear-gaussian")
    data = [digits, load(recipe.data)]
    found = compare([find_recipe("vae"), recipe], data, **SHORT, estimators=BOTH)
    assert len(found.verdict.splitlines()) == 2
    assert set(found.figures()) == {"comparison-vae", "comparison-linear-gaussian", "samples"}
    exact_values = [row["log_evidence_exact"] for row in found.table()]
    assert [math.isnan(value) for value in exact_values] == [True, True, False, False]


def test_densities_of_grey_rows_and_of_binarised_ones_are_not_compared(digits):
    def grey(data):
        return exact(data)

    def binary(data):
        return exact(data)

    data = [load("digits", binarize="none"), digits]
    found = compare([grey, binary], data, **SHORT, estimators=[ELBO()])
    assert [math.isnan(row["difference"]) for row in found.table()] == [True, True]


def test_an_estimator_that_meets_nan_is_named_and_the_others_are_compared(digits):
    estimators = [ELBO(), Broken(), IWAE(5)]
    found = compare(find_recipe("vae"), digits, **SHORT, estimators=estimators)
    assert "Broken() has no finite result." in found.verdict
    assert len(found.notes) == len(SEEDS)
    assert not math.isnan(found.table()[2]["difference"])


def test_nothing_is_compared_where_no_run_ends(digits):
    with pytest.raises(NotFiniteError, match="no run came to a finite end"):
        compare(find_recipe("vae"), digits, **SHORT, estimators=[Broken()])


def test_the_first_line_says_what_will_be_done(comparison):
    assert comparison[2][0] == ("compare: 4 runs of 33 steps (3 epochs): elbo, iwae:5; seeds 0, 1")


def test_runs_take_turns_within_a_seed_and_each_tells_how_much_time_is_left(comparison):
    lines = comparison[2][1:]
    assert [line.split(": log")[0] for line in lines] == [
        "run 1/4: elbo, seed 0",
        "run 2/4: iwae:5, seed 0",
        "run 3/4: iwae:5, seed 1",
        "run 4/4: elbo, seed 1",
    ]
    assert ["left" in line for line in lines] == [True, True, True, False]
