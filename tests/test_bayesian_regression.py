"""The experiments on VI over parameters and on amortization, run as anybody would run them."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import ppvae
from ppvae import plot
from ppvae.arviz_bridge import convergence
from ppvae.cli import main
from ppvae.data import from_arrays, load
from ppvae.examples.bayesian_regression import METHODS, fitted, sampled
from ppvae.experiment import build, find_recipe
from ppvae.guides import GaussianGuide, GlobalFullRankGuide, GlobalMeanFieldGuide, PerDatumGuide


@pytest.fixture(autouse=True)
def in_float32(fixed_start):
    # Experiments are run in float32.
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def data():
    return load("breast_cancer")


@pytest.mark.parametrize(
    "full_rank, guide", [(True, GlobalFullRankGuide), (False, GlobalMeanFieldGuide)]
)
def test_a_regression_trains_is_kept_loaded_and_resumed(data, tmp_path, full_rank, guide):
    experiment = build(find_recipe("bayesian-regression"), data, full_rank=full_rank)
    assert type(experiment.guide) is guide
    settings = {"progress": False, "compile": "off"}
    run = ppvae.fit(experiment, data, epochs=6, folder=tmp_path, **settings)
    bounds = run.history["valid_bound"].values
    assert bounds[-1] > bounds[0] + 0.05
    loaded = ppvae.load_run(tmp_path)
    for name, leaf in run.pair.leaves.items():
        assert torch.equal(loaded.pair.leaves[name], leaf)
    again = build(find_recipe("bayesian-regression"), data, full_rank=full_rank)
    whole = ppvae.fit(again, data, epochs=8, **settings)
    resumed = ppvae.resume(tmp_path, epochs=8, progress=False)
    for name, leaf in whole.pair.leaves.items():
        assert torch.equal(resumed.pair.leaves[name], leaf)


def test_the_regression_takes_the_first_values(data):
    model = build(find_recipe("bayesian-regression"), data, features=3).model
    x = data.train["x"]
    assert torch.equal(model.features(x), x[:, :3])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"features": 0}, "features must be from 1 to 30; got 0"),
        ({"features": 31}, "features must be from 1 to 30; got 31"),
    ],
)
def test_features_that_the_data_do_not_have_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        build(find_recipe("bayesian-regression"), data, **options)


def test_data_without_two_labels_are_refused():
    recipe = find_recipe("bayesian-regression")
    for arrays in ({}, {"y": torch.arange(20)}):
        with pytest.raises(ValueError, match="data must have labels 0 and 1; got arrays"):
            build(recipe, from_arrays({"x": torch.randn(20, 12), **arrays}))


@pytest.mark.parametrize("per_datum, guide", [(True, PerDatumGuide), (False, GaussianGuide)])
def test_amortization_is_an_option(per_datum, guide):
    data = load("digits")
    experiment = build(
        find_recipe("amortization"), data, per_datum=per_datum, latent_dim=3, hidden=8
    )
    assert type(experiment.guide) is guide
    run = ppvae.fit(experiment, data, epochs=2, progress=False)
    assert run.history["train_bound"].values[-1] > run.history["train_bound"].values[1]


@pytest.mark.slow
def test_variational_posteriors_beside_a_long_nuts_run(data):
    # About two minutes: NUTS takes most of it.
    truth = sampled(data, chains=2, draws=1500)
    found = {name: fitted(data, *method, steps=4000) for name, method in METHODS.items()}
    full = found.pop("full-rank, reparameterized")
    assert (np.abs(full.mean - truth.mean) / truth.deviation).max() < 0.1
    assert (full.deviation / truth.deviation).min() > 0.8
    for posterior in found.values():
        # What independence costs on measurements that nearly repeat each other.
        assert (posterior.deviation / truth.deviation).min() < 0.5
        assert (posterior.deviation / truth.deviation).max() < 1.1


def test_convergence_tells_chains_that_agree_from_chains_that_do_not():
    rng = np.random.default_rng(0)
    together = rng.standard_normal((4, 500, 2))
    rhat, ess = convergence(together)
    assert (rhat < 1.01).all() and (ess > 1500).all()
    apart = together.copy()
    apart[0, :, 1] += 3
    rhat, ess = convergence(apart)
    assert rhat[0] < 1.01 < 1.2 < rhat[1] and ess[1] < 100 < ess[0]


def test_posteriors_are_drawn_with_the_truth_in_black():
    found = {
        "NUTS": (np.array([0.1, -1.0]), np.array([0.5, 0.2])),
        "mean field": (np.array([0.0, -0.9]), np.array([0.2, 0.1])),
    }
    figure = plot.posteriors(found, ["slope", "intercept"], label="weight")
    figure.draw_without_rendering()
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["slope", "intercept"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(found)
    with pytest.raises(ValueError, match=r"of 'NUTS' must be \(1,\), one for each name; got"):
        plot.posteriors(found, ["slope"], label="weight")


def test_the_command_line_says_what_a_pair_over_parameters_admits_and_what_not(tmp_path, capsys):
    words = ["fit", "bayesian-regression", "--steps", "20", "--compile", "off"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "log_evidence of a row is its log predictive density, 'w' drawn from the guide" in said
    assert "no samples (dataset must hold x and x_mean; got ['w', 'y', 'y_mean'])" in said
    assert "no reconstructions (the model must observe x; got another site)" in said
    assert (tmp_path / "run" / "history.png").exists()
