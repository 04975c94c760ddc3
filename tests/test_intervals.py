"""Intervals against closed forms and against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from ppvae.intervals import Interval, paired_interval, standard_error


def crossed(rng, seeds: int, rows: int, by_seed: float, by_row: float, both: float):
    """Many tables of differences with mean 0 and these standard deviations, (1500, S, R)."""
    shape = (1500, seeds, rows)
    return (
        by_seed * rng.standard_normal((*shape[:2], 1))
        + by_row * rng.standard_normal((shape[0], 1, rows))
        + both * rng.standard_normal(shape)
    )


def test_where_rows_agree_the_interval_is_student_s_over_the_seeds():
    by_seed = np.array([0.3, 0.7, 0.4, 0.9])
    interval = paired_interval(np.repeat(by_seed[:, None], 5, axis=1), 0.9)
    exact = stats.t.interval(0.9, 3, by_seed.mean(), stats.sem(by_seed))
    np.testing.assert_allclose(interval, [by_seed.mean(), *exact], rtol=0, atol=1e-12)


def test_where_seeds_agree_the_interval_is_student_s_over_the_rows():
    by_row = np.array([0.3, 0.7, 0.4, 0.9, 0.2])
    interval = paired_interval(np.repeat(by_row[None], 3, axis=0))
    exact = stats.t.interval(0.95, 4, by_row.mean(), stats.sem(by_row))
    np.testing.assert_allclose(interval, [by_row.mean(), *exact], rtol=0, atol=1e-12)


def test_seeds_and_rows_add_in_squares():
    by_seed, by_row = np.array([[-0.1], [0.1], [0.3]]), np.array([[-0.2, 0.1, 0.4, -0.3]])
    half = [
        paired_interval(np.broadcast_to(each, (3, 4))).high - each.mean()
        for each in (by_seed, by_row)
    ]
    both = paired_interval(by_seed + by_row)
    assert both.high - both.value == pytest.approx(math.hypot(*half), abs=1e-12)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [(1, 0, 0), (0, 1, 0), (1, 4, 0), (0, 0, 1), (0.3, 2, 3)])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_intervals_hold_the_truth_at_least_as_often_as_they_say(seeds, spread, confidence):
    tables = crossed(np.random.default_rng(0), seeds, 30, *spread)
    held = [low <= 0 <= high for _, low, high in (paired_interval(t, confidence) for t in tables)]
    error = math.sqrt(confidence * (1 - confidence) / len(held))
    assert np.mean(held) >= confidence - 5 * error


def test_intervals_are_not_wider_than_they_must_be_where_one_source_rules():
    tables = crossed(np.random.default_rng(0), 3, 30, 1, 0, 0)
    held = np.mean([low <= 0 <= high for _, low, high in map(paired_interval, tables)])
    assert abs(held - 0.95) <= 5 * math.sqrt(0.95 * 0.05 / len(tables))


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_seed_or_one_row_gives_a_mean_without_an_interval(shape):
    value, low, high = paired_interval(np.full(shape, 0.5))
    assert value == 0.5
    assert math.isnan(low)
    assert math.isnan(high)


def test_a_run_without_a_result_leaves_no_interval():
    assert all(map(math.isnan, paired_interval(np.array([[1.0, 2.0], [np.nan, np.nan]]))))


def test_the_standard_error_is_that_of_a_mean_over_other_seeds_and_other_rows():
    tables = crossed(np.random.default_rng(0), 4, 10, 1.0, 2.0, 0.0)
    variances = np.array([standard_error(table) ** 2 for table in tables])
    error = variances.std() / math.sqrt(len(variances))
    assert abs(variances.mean() - (1 / 4 + 4 / 10)) < 5 * error


def test_the_standard_error_of_one_seed_is_that_of_its_rows():
    values = np.array([[0.3, 0.7, 0.4]])
    assert standard_error(values) == pytest.approx(stats.sem(values[0]), abs=1e-12)


def test_an_interval_reads_as_value_and_ends():
    assert str(Interval(0.5, 0.4, 0.6)) == "+0.50 [+0.40, +0.60]"
