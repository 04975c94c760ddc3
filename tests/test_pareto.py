"""Pareto k-hat against tails whose shape is known."""

import math
import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, rows, standard_normal

from ppvae.evaluate import evaluate, summary
from ppvae.evaluate.pareto import khat_threshold, pareto_khat, share_above

DRAWS, ROWS = 1000, 200
# How many of 1000 draws make the tail; a prior worth 10 of them pulls k-hat towards 1/2.
TAIL = 3 * math.sqrt(DRAWS)


def expected(k):
    return (TAIL * k + 5) / (TAIL + 10)


def within_5_standard_errors(khat, truth):
    error = khat.std(ddof=1) / math.sqrt(len(khat))
    return abs(khat.mean() - truth) < 5 * error


def narrow_pair(k, width=2):
    """p(z|x) = N(x / 2, I / 2) and q(z|x) = N(x / 2, (1 - k) I / 2)."""

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(width))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x / 2, math.sqrt((1 - k) / 2)).to_event(1))

    return model, guide


@pytest.mark.parametrize("k", [0.3, 0.5, 0.7])
def test_weights_that_are_pareto_have_their_shape(k):
    log_weight = k * dist.Exponential(1.0).sample((DRAWS, ROWS))
    assert within_5_standard_errors(pareto_khat(log_weight).numpy(), expected(k))


@pytest.mark.parametrize("k", [0.3, 0.5, 0.7])
def test_the_tail_index_of_gaussians_is_one_minus_the_ratio_of_variances(k):
    # In two dimensions the weights are Pareto from the first draw on, in others in the limit.
    found = evaluate(narrow_pair(k), torch.randn(ROWS, 2), num_particles=DRAWS)
    assert within_5_standard_errors(found["khat"].values, expected(k))


def test_in_one_dimension_the_tail_index_is_approached_from_below():
    found = evaluate(narrow_pair(0.7, width=1), torch.randn(ROWS, 1), num_particles=DRAWS)
    khat = found["khat"].values
    error = khat.std(ddof=1) / math.sqrt(ROWS)
    # At the threshold of the tail, log w grows by k u / hazard(u) for each e-fold of the draws.
    normal = torch.distributions.Normal(0.0, 1.0)
    u = normal.icdf(torch.tensor(1 - TAIL / DRAWS / 2))
    local = 0.7 * u * (1 - normal.cdf(u)) / normal.log_prob(u).exp()
    assert expected(float(local)) - 5 * error < khat.mean() < expected(0.7) + 5 * error


def test_each_datum_has_a_k_hat_of_its_own():
    k = torch.tensor([0.1, 0.7]).repeat_interleave(100)
    khat = pareto_khat(k * dist.Exponential(1.0).sample((DRAWS, 200))).numpy()
    for part, truth in ((khat[:100], 0.1), (khat[100:], 0.7)):
        assert within_5_standard_errors(part, expected(truth))


def test_k_hat_does_not_depend_on_the_unit_of_the_weights():
    log_weight = 0.5 * dist.Exponential(1.0).sample((DRAWS, 3))
    torch.testing.assert_close(pareto_khat(log_weight - 900), pareto_khat(log_weight))


@pytest.mark.parametrize(
    ("log_weight", "khat"),
    [
        (torch.zeros(100, 1), -math.inf),
        (torch.randn(100, 1) * 1e-6 - 500, -math.inf),
        (torch.arange(100.0)[:, None].clamp(max=50), -math.inf),
        (torch.full((100, 1), -math.inf), math.inf),
        (torch.arange(100.0)[:, None] * -100, math.inf),
        (torch.arange(100.0)[:, None].clamp(min=90), math.nan),
        (torch.randn(24, 1), math.nan),
    ],
    ids=["equal", "rounding", "bounded", "no-draw", "eight-draws", "tied", "too-few"],
)
def test_weights_without_a_tail_are_told_apart_from_those_without_enough_draws(log_weight, khat):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pareto_khat(log_weight).item() == pytest.approx(khat, nan_ok=True)


@pytest.mark.parametrize(
    ("num_draws", "threshold"), [(100, 0.5), (1000, 2 / 3), (2200, 0.7), (100_000, 0.7)]
)
def test_the_threshold_rises_with_the_draws_up_to_seven_tenths(num_draws, threshold):
    assert khat_threshold(num_draws) == pytest.approx(threshold, abs=1e-3)


def test_a_threshold_of_too_few_draws_is_refused():
    with pytest.raises(ValueError, match="num_draws must be at least 25; got 24"):
        khat_threshold(24)


def test_the_share_above_counts_rows_whose_k_hat_is_known():
    khat = np.array([0.4, 0.6, math.inf, -math.inf, math.nan])
    assert share_above(khat, 100) == 0.5
    assert math.isnan(share_above(np.array([math.nan]), 100))


def test_an_evaluation_says_in_how_many_rows_its_weights_are_not_to_be_trusted():
    found = evaluate(narrow_pair(0.9), torch.randn(40, 2), num_particles=DRAWS)
    above = int((found["khat"] > 2 / 3).sum())
    assert 20 < above < 40
    assert float(found["khat_share_above"]) == above / 40
    line = next(line for line in summary(found).splitlines() if line.startswith("Pareto k-hat"))
    assert f"{float(found['khat'].median()):.2f} in the median row; above 0.67" in line
    assert line.endswith(f"not to be trusted, in {above} rows")


def test_the_exact_posterior_has_no_tail():
    found = evaluate(narrow_pair(0.0), torch.randn(9, 2), num_particles=DRAWS)
    assert (found["khat"] == -math.inf).all()
    assert found["khat_share_above"] == 0
    assert "-inf in the median row" in summary(found)


def test_without_enough_draws_k_hat_is_left_out():
    found = evaluate(binary_vae(), binary_rows(4), num_particles=24)
    assert "khat" not in found
    assert "khat is left out: it needs at least 25 draws." in found.attrs["note"]
    assert "k-hat" not in summary(found).replace("khat", "")
