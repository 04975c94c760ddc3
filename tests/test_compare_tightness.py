"""How tight estimators are and whether their weights can be trusted, in every form of a table."""

import math

import numpy as np
import pyro
import pytest
import torch
import xarray as xr
from made_up import NAMES, comparison
from programs import rows

from ppvae import ELBO, IWAE, Experiment
from ppvae.compare import compare
from ppvae.compare.summary import summarized
from ppvae.data import from_arrays
from ppvae.evaluate.pareto import share_above
from ppvae.models import LinearGaussian

FEW = ("elbo", "iwae:5", "iwae:50+dreg")


@pytest.fixture(scope="module")
def found():
    return comparison(FEW)


def statistic(dataset, label, name):
    return float(dataset["summary"].sel(estimator=label, statistic=name))


def mean_field(data) -> Experiment:
    """A linear-Gaussian model whose guide is its best diagonal Gaussian."""
    model = LinearGaussian(torch.linspace(-1, 1, 15).reshape(5, 3) ** 2, scale=0.8)

    def guide(x):
        with rows(x):
            pyro.sample("z", model.mean_field_posterior(x))

    return Experiment(model, guide, log_evidence=model.log_evidence)


def test_the_gap_of_the_elbo_is_the_kl_to_the_posterior_and_that_of_iwae_is_less():
    data = from_arrays({"x": torch.randn(400, 5)}, name="toy")
    settings = {"steps": 1, "lr": 1e-9, "seeds": (0, 1), "device": "cpu", "progress": False}
    dataset = compare(mean_field, data, **settings, estimators=[ELBO(), IWAE(5)]).dataset
    exact = mean_field(data).model.mean_field_gap().item()
    for name in ("gap", "gap_exact"):
        error = statistic(dataset, "elbo", f"{name}_se")
        # 5 standard errors of a mean over 20 passes, which know their own error to a sixth.
        assert abs(statistic(dataset, "elbo", name) - exact) < 5 * error < 0.5 * exact
        assert 0 < statistic(dataset, "iwae:5", name) < 0.7 * exact
    by_draws = float(dataset["gap_se"].sel(estimator="elbo", seed=0))
    assert by_draws == pytest.approx(
        math.hypot(
            float(dataset["own_bound_se"].sel(estimator="elbo", seed=0)),
            float((dataset["log_evidence_se"].sel(estimator="elbo", seed=0) ** 2).sum()) ** 0.5
            / dataset.sizes["row"],
        )
    )


def test_the_error_of_a_gap_holds_the_spread_of_seeds_and_the_error_of_the_draws(found):
    dataset = found.dataset.copy()
    dataset["gap"].loc["elbo"] = [1.0, 2.0, 6.0]
    dataset["gap_se"].loc["elbo"] = 0.5
    line = summarized(dataset).sel(estimator="elbo")
    assert float(line.sel(statistic="gap")) == pytest.approx(3.0)
    assert float(line.sel(statistic="gap_se")) == pytest.approx(math.sqrt(7 / 3 + 0.25))


def test_k_hat_is_the_middle_of_seeds_and_rows_and_the_share_above(found):
    khat = found.dataset["khat"].sel(estimator="elbo").values
    middle = statistic(found.dataset, "elbo", "khat")
    assert middle == pytest.approx(np.median(khat), abs=0.05)
    assert statistic(found.dataset, "elbo", "khat_above") == share_above(khat, 1000)


def test_rows_without_a_tail_have_the_least_k_hat_and_count_as_trusted(found):
    dataset = found.dataset.copy(deep=True)
    dataset["khat"].loc["elbo"] = -math.inf
    dataset["khat"].loc["iwae:5"] = np.where(dataset["khat"].loc["iwae:5"] > 0, math.inf, -math.inf)
    summary = summarized(dataset)
    assert summary.sel(estimator="elbo", statistic="khat") == -math.inf
    assert summary.sel(estimator="elbo", statistic="khat_above") == 0
    assert summary.sel(estimator="iwae:5", statistic="khat") == math.inf


def test_the_terminal_shows_all_in_120_columns():
    text = str(comparison(NAMES, failed=NAMES[3:4]))
    assert max(map(len, text.splitlines())) <= 120
    for heading in ("gap ± s.e.", "gap to exact ± s.e.", "k-hat", "rows above"):
        assert heading in text


def test_a_name_is_shown_as_it_is_typed():
    names = ("capacity:100:10", "free-bits:0.5")
    assert str(comparison(names)).count("capacity:100:10") > 3


def test_the_caption_explains_gap_and_k_hat(found):
    text = " ".join(str(found).split())
    assert "gap: log p(x) of the trained pair minus the own bound" in text
    assert "rows above: share of them above 0.67, where log p(x) is not to be trusted" in text


def test_columns_that_no_estimator_has_are_not_shown(found):
    without = found.dataset.drop_vars(["khat", "gap_exact", "gap_exact_se", "summary"])
    text = str(type(found)(without.assign(summary=summarized(without))))
    assert "k-hat" not in text and "gap to exact" not in text
    assert "gap ± s.e." in text


def moving(names_that_move):
    """Made-up runs whose curves are flat at the end but for some."""
    found = comparison(FEW)
    dataset = found.dataset.drop_vars("summary")
    late = dataset["step"] >= 1600
    flat = xr.where(late, dataset["curve"].isel(point=-1), dataset["curve"])
    climb = 9.0 * (dataset["step"] - 1600) / 400
    moves = dataset["estimator"].isin(list(names_that_move)) & late
    dataset["curve"] = xr.where(moves, flat + climb, flat)
    return type(found)(dataset.assign(summary=summarized(dataset)))


@pytest.mark.parametrize("movers", [(), ("iwae:5",), ("elbo", "iwae:5")])
def test_the_runs_that_are_marked_are_those_that_the_verdict_calls_unconverged(movers):
    found = moving(movers)
    marks = found.dataset["summary"].sel(statistic="unconverged")
    marked = [str(name) for name in FEW if marks.sel(estimator=name) == 1]
    assert marked == list(movers)
    lines = [line.split() for line in str(found).splitlines() if " ± " in line and "*" in line]
    assert [line[0] for line in lines] == marked
    text = " ".join(str(found).split())
    said = "*: not converged, it moved by more than the differences at stake." in text
    assert said == bool(movers) == ("Not converged" in found.verdict)
    assert all(f"{name} rose by" in found.verdict for name in movers)


def test_one_seed_marks_nobody_as_there_is_no_interval(found):
    alone = found.dataset.isel(seed=[0]).drop_vars("summary")
    marks = summarized(alone).sel(statistic="unconverged")
    assert marks.isnull().all()


def test_every_number_of_the_runs_has_a_unit_and_a_name(found):
    for name in found.dataset.drop_vars("summary"):
        assert {"units", "long_name"} <= found.dataset[name].attrs.keys()
    assert found.dataset["khat"].attrs["units"] == found.dataset["active_units"].attrs["units"]
