"""The statistics of a comparison, on made-up runs whose results are known."""

import numpy as np
import pytest
import xarray as xr

from ppvae import ELBO
from ppvae.compare.curves import read_at, rise
from ppvae.compare.plan import Length, entries
from ppvae.compare.progress import RunsProgress
from ppvae.compare.summary import groups, summarized, verdict_on
from ppvae.data import load
from ppvae.experiment import find_recipe
from ppvae.intervals import paired_interval

ROWS = 6


def made_up(runs: dict, data: dict | None = None) -> xr.Dataset:
    """Runs whose curves are straight lines in time.

    Args:
        runs: by estimator, for each seed: nats a second, and seconds for 100 steps.
        data: by estimator, the data set; the same for all if not given.
    """
    shape = (len(runs), len(next(iter(runs.values()))))
    slope, seconds = (np.array(list(runs.values()), dtype=float)[..., i] for i in range(2))
    share = np.linspace(0, 1, 11)
    clock = seconds[..., None] * share
    spread = np.arange(ROWS) / 10
    curve = slope[..., None, None] * clock[..., None] + spread
    final = (slope * seconds)[..., None] + spread
    per_run = {name: (("estimator", "seed"), np.zeros(shape)) for name in ("own_bound", "kl")}
    per_run |= {
        n: (("estimator", "seed"), np.zeros(shape)) for n in ("active_units", "ms_per_step")
    }
    return xr.Dataset(
        {
            "step": (("estimator", "seed", "point"), np.broadcast_to(100 * share, clock.shape)),
            "seconds": (("estimator", "seed", "point"), clock),
            "curve": (("estimator", "seed", "point", "valid_row"), curve),
            "log_evidence": (("estimator", "seed", "row"), final),
            "elbo": (("estimator", "seed", "row"), final - 1),
            **per_run,
        },
        coords={
            "estimator": list(runs),
            "seed": range(shape[1]),
            "data": ("estimator", [(data or {}).get(name, "one") for name in runs]),
        },
    )


def statistic(runs: xr.Dataset, label: str, name: str) -> float:
    return float(summarized(runs).sel(estimator=label, statistic=name))


def test_a_straight_curve_is_read_as_it_is_between_its_points():
    clock = np.array([0.0, 2.0, 6.0])
    curve = np.stack([1 + 2 * clock, -3 * clock], axis=1)
    np.testing.assert_allclose(read_at(clock, curve, 3.0), [7.0, -9.0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("moment", [0.5, 2.5, 4.5, 5.9])
def test_a_jagged_curve_is_never_read_beyond_the_points_around(moment):
    clock, curve = np.array([0.0, 2.0, 4.0, 6.0]), np.array([[0.0], [5.0], [4.9], [9.0]])
    around = curve[int(moment // 2) : int(moment // 2) + 2]
    assert around.min() <= read_at(clock, curve, moment).item() <= around.max()


def test_a_curve_is_read_at_its_points_as_it_is():
    clock, curve = np.array([0.0, 2.0, 6.0]), np.array([[1.0], [5.0], [7.0]])
    assert [read_at(clock, curve, moment).item() for moment in clock] == [1.0, 5.0, 7.0]


def test_a_row_that_is_not_finite_leaves_the_others():
    clock, curve = np.array([0.0, 4.0]), np.array([[1.0, -np.inf, np.nan], [5.0, 2.0, np.nan]])
    np.testing.assert_array_equal(read_at(clock, curve, 4.0), [5.0, np.nan, np.nan])


@pytest.mark.parametrize("moment", [-0.1, 6.1, np.nan])
def test_a_curve_is_not_read_beyond_its_ends(moment):
    clock, curve = np.array([0.0, 2.0, 6.0, np.nan]), np.array([[1.0], [5.0], [7.0], [np.nan]])
    assert np.isnan(read_at(clock, curve, moment)).all()


def test_points_that_a_shorter_run_lacks_are_left_out():
    clock, curve = np.array([0.0, 4.0, np.nan]), np.array([[1.0], [5.0], [np.nan]])
    assert read_at(clock, curve, 4.0) == 5.0


def test_the_rise_is_that_of_the_last_tenth_of_the_steps():
    step = np.arange(0.0, 101.0, 5.0)
    curve = np.where(step <= 90, step, 90 + 3 * (step - 90))[:, None]
    assert rise(step, curve) == pytest.approx([30.0], abs=1e-12)


def test_a_curve_that_is_looked_at_often_enough_early_is_read_right_there():
    """A tenth of the seconds of a long run, on a curve that rises and levels off."""
    entry = entries(find_recipe("vae"), load("digits"), [ELBO()])[0]
    looks = Length.of(entry, 0, {"epochs": 60, "steps": None, "batch_size": None}, 20).looks
    clock = np.array(sorted(looks), dtype=float)
    curve = -25 - 20 * np.exp(-clock / 2) - 30 / (1 + clock)
    exact = -25 - 20 * np.exp(-6.4 / 2) - 30 / (1 + 6.4)
    assert abs(read_at(clock, curve[:, None], 6.4).item() - exact) < 0.05
    assert {0, 54, 60} <= looks


def test_equal_steps_are_read_at_the_end_of_each_run():
    runs = made_up({"fast": [(1.0, 10)] * 2, "slow": [(0.8, 20)] * 2})
    assert statistic(runs, "slow", "difference") == pytest.approx(0.8 * 20 - 1.0 * 10, abs=1e-12)


def test_equal_seconds_are_what_the_fastest_needed_in_all():
    runs = made_up({"slow": [(0.8, 20)] * 2, "fast": [(1.0, 10)] * 2})
    difference = statistic(runs, "fast", "difference_at_equal_seconds")
    assert difference == pytest.approx((1.0 - 0.8) * 10, abs=1e-12)
    assert statistic(runs, "slow", "equal_seconds") == 10


def test_equal_seconds_are_taken_seed_by_seed():
    runs = made_up({"a": [(1.0, 10), (1.0, 40)], "b": [(2.0, 20), (3.0, 30)]})
    difference = statistic(runs, "b", "difference_at_equal_seconds")
    assert difference == pytest.approx(np.mean([(2 - 1) * 10, (3 - 1) * 30]), abs=1e-12)


def test_the_ranking_of_made_up_runs_turns_between_equal_steps_and_equal_seconds():
    runs = made_up({"fast": [(1.0, 10)] * 3, "slow": [(0.8, 20)] * 3})
    # Flat at the end, so that the runs pass for converged.
    late = runs["step"] > 80
    runs["curve"] = xr.where(late, runs["curve"].isel(point=-1), runs["curve"])
    words = verdict_on(summarized(runs), ["fast", "slow"])
    assert "slow lies above fast at equal steps and below at equal seconds" in words


def test_intervals_are_paired_and_bonferroni_s():
    rng = np.random.default_rng(0)
    runs = made_up({name: [(0.0, 10)] * 3 for name in "abc"})
    runs["log_evidence"] += rng.standard_normal(runs["log_evidence"].shape)
    differences = runs["log_evidence"].values[1:] - runs["log_evidence"].values[0]
    for name, each in zip("bc", differences, strict=True):
        found = [statistic(runs, name, f"difference{end}") for end in ("", "_low", "_high")]
        np.testing.assert_allclose(found, paired_interval(each, 0.975), rtol=0, atol=1e-12)


def test_estimators_are_compared_with_the_first_on_the_same_data():
    names = {"a": "one", "b": "two", "c": "one", "d": "two"}
    runs = made_up({name: [(i, 10)] * 2 for i, name in enumerate(names)}, names)
    assert groups(runs) == [["a", "c"], ["b", "d"]]
    assert statistic(runs, "d", "difference") == pytest.approx(2 * 10, abs=1e-12)
    assert np.isnan(statistic(runs, "b", "difference"))


def test_rows_that_only_other_data_have_do_not_count():
    names = {"a": "one", "b": "one", "c": "two"}
    runs = made_up({name: [(i, 10)] * 2 for i, name in enumerate(names)}, names)
    without = summarized(runs.sel(estimator=["a", "b"])).sel(estimator="b")
    padded = runs.pad(row=(0, 3), valid_row=(0, 2), point=(0, 4))
    with_padding = summarized(padded).sel(estimator="b")
    np.testing.assert_array_equal(with_padding, without)


def test_a_run_without_a_finite_end_leaves_its_estimator_without_a_result():
    runs = made_up({"a": [(1.0, 10)] * 3, "b": [(2.0, 10)] * 3, "c": [(3.0, 10)] * 3})
    broken = (runs.estimator == "b") & (runs.seed == 1)
    runs = runs.where(~broken).assign_coords(data=runs.data)
    assert np.isnan(statistic(runs, "b", "log_evidence"))
    assert "b has no finite result" in verdict_on(summarized(runs), ["a", "b", "c"])
    assert statistic(runs, "c", "difference") == pytest.approx(20, abs=1e-12)


def test_the_time_left_is_told_from_what_runs_took(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    progress = RunsProgress({"a": 1.0, "b": 3.0}, 2, shown=False)
    progress.begin("a", 0)
    now[0] += 10
    progress.end("a", 0, "")
    assert progress.left() == pytest.approx(10 + 2 * 30)
    progress.begin("b", 0)
    now[0] += 20
    progress.end("b", 0, "")
    assert progress.left() == pytest.approx(10 + 20)
