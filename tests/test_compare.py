"""A comparison in earnest: small runs on real digits, and refusals."""

import csv
import itertools
import math

import numpy as np
import pyro.infer
import pytest
import torch
import xarray as xr

from ppvae import ELBO, IWAE, Estimator, Experiment, NotFiniteError
from ppvae.compare import Comparison, compare
from ppvae.compare.plan import entries
from ppvae.data import load
from ppvae.experiment import find_recipe
from ppvae.guides import DeltaGuide
from ppvae.models import LinearGaussian

SEEDS = (0, 1)
SMALL = {"seeds": SEEDS, "epochs": 3, "points": 3, "num_particles": 50, "device": "cpu"}
TWO = {"estimators": [ELBO(), IWAE(5)], "progress": False}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def comparison(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    found = compare(find_recipe("vae"), digits, **SMALL, **TWO, folder=folder)
    return found, folder


def exact(data) -> Experiment:
    """A linear-Gaussian model whose guide is its exact posterior."""
    model = LinearGaussian(torch.randn(data.data_dim, 3) / 4, bias=data.mean.to(torch.float64))
    return Experiment(
        model, model.exact_guide, epochs=2, batch_size=500, log_evidence=model.log_evidence
    )


def autoencoder(data) -> Experiment:
    model = LinearGaussian(torch.randn(data.data_dim, 2))
    guide = DeltaGuide(torch.nn.Linear(data.data_dim, 2))
    return Experiment(model, guide, epochs=1)


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


def test_the_held_out_curve_ends_near_the_final_estimate_on_the_same_rows(digits):
    data = type(digits)(digits.source, digits.train, digits.valid, digits.valid, grey=digits.grey)
    found = compare(find_recipe("vae"), data, **SMALL, **TWO).dataset.isel(estimator=0)
    difference = (found["curve"].isel(point=-1).values - found["log_evidence"].values).mean()
    errors = math.hypot(*(found["log_evidence_se"].values**2).sum(1) ** 0.5) / 400
    assert abs(difference) < 5 * errors + 0.1


def test_with_the_exact_posterior_every_column_is_log_p_x(digits):
    data = load("digits", binarize="none")
    estimators = [pyro.infer.Trace_ELBO(), ELBO(2), IWAE(5)]
    found = compare(exact, data, **SMALL | {"epochs": 2}, estimators=estimators, progress=False)
    for row in found.table():
        for name in ("own_bound", "elbo", "log_evidence"):
            assert row[name] == pytest.approx(row["log_evidence_exact"], abs=1e-8)


def test_the_estimate_on_linear_gaussian_lies_at_or_below_the_exact_log_p_x():
    recipe = find_recipe("linear-gaussian")
    found = compare(recipe, load(recipe.data), **SMALL, **TWO)
    dataset = found.dataset
    above = dataset["log_evidence"] - dataset["log_evidence_exact"]
    error = np.sqrt((dataset["log_evidence_se"] ** 2).sum("row")) / dataset.sizes["row"]
    assert (above.mean("row") < 5 * error).all()
    assert "exact" in str(found)


def test_the_table_survives_as_csv(comparison):
    found, folder = comparison
    with (folder / "table.csv").open() as file:
        read = list(csv.DictReader(file))
    for row, kept in zip(found.table(), read, strict=True):
        for name, value in row.items():
            if isinstance(value, str):
                assert kept[name] == value
            else:
                assert float(kept[name] or "nan") == pytest.approx(value, nan_ok=True, abs=0)


def test_the_whole_comparison_survives_as_netcdf_that_xarray_opens_alone(comparison):
    found, folder = comparison
    with xr.open_dataset(folder / "results.nc") as opened:
        xr.testing.assert_identical(opened.load(), found.dataset)
        again = Comparison(opened)
        assert str(again) == str(found)


def test_pictures_of_curves_and_samples_are_kept(comparison):
    _, folder = comparison
    for name in ("comparison.png", "samples.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_last_line_of_the_text_is_the_verdict(comparison):
    found, folder = comparison
    text = (folder / "comparison.txt").read_text()
    assert " ".join(text.split()).endswith(" ".join(found.verdict.split()))


def test_a_notebook_shows_every_estimator_and_the_verdict(comparison):
    found, _ = comparison
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

    arguments = SMALL | {"epochs": 1}
    found = compare([small, smaller], digits, **arguments, estimators=[ELBO()], progress=False)
    labels = list(found.dataset["estimator"].values)
    assert labels == ["small elbo", "smaller elbo"]
    assert [math.isnan(row["difference"]) for row in found.table()] == [True, False]
    assert "small elbo" in found.verdict


def test_experiments_on_other_data_get_a_verdict_each(digits):
    recipe = find_recipe("linear-gaussian")
    arguments = SMALL | {"epochs": 1}
    found = compare(
        [find_recipe("vae"), recipe], [digits, load(recipe.data)], **arguments, **TWO
    )
    assert len(found.verdict.splitlines()) == 2
    assert set(found.figures()) == {"comparison-vae", "comparison-linear-gaussian", "samples"}
    exact_values = [row["log_evidence_exact"] for row in found.table()]
    assert [math.isnan(value) for value in exact_values] == [True, True, False, False]


def test_an_estimator_that_meets_nan_is_named_and_the_others_are_compared(digits):
    estimators = [ELBO(), Broken(), IWAE(5)]
    found = compare(
        find_recipe("vae"), digits, **SMALL | {"epochs": 1}, estimators=estimators, progress=False
    )
    assert "Broken(num_particles=1) has no finite result." in found.verdict or (
        "Broken() has no finite result." in found.verdict
    )
    assert len(found.failures) == len(SEEDS)
    assert not math.isnan(found.table()[2]["difference"])


def test_nothing_is_compared_where_no_run_ends(digits):
    with pytest.raises(NotFiniteError, match="no run came to a finite end"):
        compare(find_recipe("vae"), digits, **SMALL, estimators=[Broken()], progress=False)


def test_one_line_announces_the_job_and_one_line_tells_of_each_run(digits, capsys):
    arguments = SMALL | {"epochs": 1}
    compare(find_recipe("vae"), digits, **arguments, estimators=TWO["estimators"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("compare: 4 runs of 11 steps (1 epochs), seeds 0, 1")
    runs = [line.split(": log")[0] for line in lines[1:]]
    assert runs == [
        "run 1/4: elbo, seed 0",
        "run 2/4: iwae:5, seed 0",
        "run 3/4: iwae:5, seed 1",
        "run 4/4: elbo, seed 1",
    ]
    assert all("left" in line for line in lines[1:-1])


def test_a_pair_without_a_density_is_refused(digits):
    with pytest.raises(ValueError, match=r"compare needs log p\(x\) of the test rows"):
        compare(autoencoder, load("digits", binarize="none"), **SMALL, **TWO)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": ()}, r"seeds must be at least one, each once; got \[\]"),
        ({"seeds": (1, 1)}, r"seeds must be at least one, each once; got \[1, 1\]"),
        ({"num_particles": 0}, "num_particles must be at least 1; got 0"),
        ({"points": 0}, "points must be at least 1; got 0"),
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"estimators": []}, "at least one experiment and one estimator; got none"),
        ({"estimators": [ELBO(), ELBO()]}, "must differ; got 'elbo' twice"),
    ],
)
def test_what_makes_no_comparison_is_refused(digits, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(find_recipe("vae"), digits, **{**SMALL, **TWO, **arguments})


def test_data_must_be_one_or_one_for_each_experiment(digits):
    with pytest.raises(ValueError, match="one for each of 1 experiments; got 2"):
        compare(find_recipe("vae"), [digits, digits], **SMALL, **TWO)


def test_an_estimator_must_be_an_elbo(digits):
    with pytest.raises(TypeError, match="estimators must be ELBOs; got str"):
        compare(find_recipe("vae"), digits, **SMALL, estimators=["elbo"])


def test_a_folder_that_cannot_be_written_is_refused_before_any_run(digits, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        compare(find_recipe("vae"), digits, **SMALL, folder=tmp_path / "file" / "below")
    assert capsys.readouterr().err == ""
