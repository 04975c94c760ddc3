"""What holds of K-sample bounds on every draw, whatever the weights: order, limits, derivatives."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from programs import binary_rows, binary_vae
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.estimators import (
    CIWAE,
    CUBO,
    ELBO,
    IWAE,
    MIWAE,
    PIWAE,
    TVO,
    OfWeights,
    Renyi,
    TailAdaptive,
    UpperTVO,
    VRMax,
    equally_spaced,
    log_spaced,
)

DRAWS = 12
exactly = partial(assert_close, rtol=0, atol=1e-12)
spreads = pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0, 20.0])
partitions = pytest.mark.parametrize(
    "points",
    [1, 2, 10, equally_spaced(7), log_spaced(5, first=1e-10), (0.0, 0.9, 1.0)],
    ids=["one", "two", "ten", "equal", "from-1e-10", "given"],
)
EVERY = {
    "miwae": MIWAE(3, 4),
    "piwae": PIWAE(3, 4),
    "ciwae": CIWAE(0.3, DRAWS),
    "vr-max": VRMax(DRAWS),
    "tvo": TVO(4, DRAWS),
    "tvo-one": TVO(1, DRAWS),
    "tvo-upper": UpperTVO(4, DRAWS),
    "cubo": CUBO(2.5, DRAWS),
    "renyi": Renyi(0.5, DRAWS),
    "renyi-below": Renyi(-2.0, DRAWS),
    "elbo": ELBO(DRAWS),
    "iwae": IWAE(DRAWS),
}
every = pytest.mark.parametrize("estimator", EVERY.values(), ids=EVERY)


def weights(spread, rows=50):
    """Log-weights (K, B) of any kind: a heavy tail on both sides where the spread is large."""
    return spread * torch.randn(DRAWS, rows) * torch.randn(rows).exp() - 3


def of(estimator, log_weight):
    return estimator.of_weights(log_weight)


def below(lower, upper):
    """Lower <= upper to 1e-12 of what the numbers are made of."""
    return (lower <= upper + 1e-12 * (1 + upper.abs() + lower.abs())).all()


@spreads
@partitions
def test_the_left_sum_lies_between_the_elbo_and_the_log_of_the_mean_weight(points, spread):
    log_weight = weights(spread)
    left = of(TVO(points, DRAWS), log_weight)
    assert below(of(ELBO(DRAWS), log_weight), left)
    assert below(left, of(IWAE(DRAWS), log_weight))


@spreads
@partitions
def test_the_right_sum_lies_above_the_log_of_the_mean_weight(points, spread):
    log_weight = weights(spread)
    assert below(of(IWAE(DRAWS), log_weight), of(UpperTVO(points, DRAWS), log_weight))


@spreads
@pytest.mark.parametrize("order", [1.0001, 1.5, 2.0, 10.0])
def test_cubo_lies_above_the_log_of_the_mean_weight(order, spread):
    log_weight = weights(spread)
    assert below(of(IWAE(DRAWS), log_weight), of(CUBO(order, DRAWS), log_weight))


@spreads
def test_power_means_rise_from_the_elbo_to_the_largest_weight(spread):
    log_weight = weights(spread)
    rising = [
        ELBO(DRAWS),
        *(Renyi(alpha, DRAWS) for alpha in (0.9, 0.5)),
        IWAE(DRAWS),
        *(CUBO(order, DRAWS) for order in (1.5, 2.0, 8.0)),
        VRMax(DRAWS),
    ]
    values = [of(estimator, log_weight) for estimator in rising]
    assert all(below(*pair) for pair in pairwise(values))


@spreads
@pytest.mark.parametrize("groups", [(2, 6), (3, 4), (6, 2)])
def test_groups_lie_between_the_elbo_and_the_bound_of_all_draws(groups, spread):
    log_weight = weights(spread)
    grouped = of(MIWAE(*groups), log_weight)
    assert below(of(ELBO(DRAWS), log_weight), grouped)
    assert below(grouped, of(IWAE(DRAWS), log_weight))


@spreads
def test_the_largest_weight_is_at_most_log_k_above_the_log_of_the_mean(spread):
    log_weight = weights(spread)
    assert below(of(VRMax(DRAWS), log_weight), of(IWAE(DRAWS), log_weight) + math.log(DRAWS))


@pytest.mark.parametrize(
    "one, other",
    [
        (MIWAE(1, DRAWS), IWAE(DRAWS)),
        (MIWAE(DRAWS, 1), ELBO(DRAWS)),
        (PIWAE(3, 4), IWAE(DRAWS)),
        (CIWAE(1.0, DRAWS), ELBO(DRAWS)),
        (CIWAE(0.0, DRAWS), IWAE(DRAWS)),
        (TVO(1, DRAWS), ELBO(DRAWS)),
        (CUBO(3.0, DRAWS), Renyi(-2.0, DRAWS)),
        (TailAdaptive(DRAWS), IWAE(DRAWS)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_at_its_limits_a_bound_is_another_one(one, other):
    terms = log_terms(*binary_vae(), binary_rows(), num_particles=DRAWS)
    exactly(one.bound(terms), other.bound(terms))


def test_renyi_of_a_large_negative_order_is_the_largest_weight():
    log_weight = weights(1.0)
    # The sum of K powers is at most K times the largest: the distance is below log(K) / 1e7.
    far = of(Renyi(-1e7, DRAWS), log_weight)
    assert_close(far, of(VRMax(DRAWS), log_weight), rtol=0, atol=math.log(DRAWS) / 1e7)


@pytest.mark.parametrize("kind", [TVO, UpperTVO])
def test_a_fine_partition_integrates_to_the_log_of_the_mean_weight(kind):
    log_weight = weights(1.0)
    coarse, fine = (
        (of(kind(equally_spaced(parts), DRAWS), log_weight) - of(IWAE(DRAWS), log_weight)).abs()
        for parts in (10, 1000)
    )
    # A Riemann sum of a monotone function is off by less than the range over the parts.
    width = (log_weight.amax(0) - log_weight.mean(0)) / 1000
    assert below(fine, width)
    assert (fine < coarse / 50).all()


@pytest.mark.parametrize("parts, first", [(1, 0.5), (2, 0.1), (5, 0.01)])
def test_points_are_equally_far_apart_in_log_beta(parts, first):
    points = log_spaced(parts, first)
    assert (len(points), points[0], points[-1]) == (parts + 1, 0.0, 1.0)
    inner = torch.tensor(points[1:])
    exactly(inner, torch.logspace(math.log10(first) if parts > 1 else 0.0, 0.0, parts))


@every
@pytest.mark.parametrize("spread", [1e-3, 1.0, 3.0])
def test_closed_derivatives_are_those_of_autograd(estimator, spread):
    log_weight = weights(spread, rows=4).reshape(DRAWS, 2, 2).movedim(1, 0)
    exactly(estimator.slopes(log_weight), OfWeights.slopes(estimator, log_weight))
    assert_close(
        estimator.curvatures(log_weight),
        OfWeights.curvatures(estimator, log_weight),
        rtol=0,
        atol=1e-11,
    )


@every
def test_a_constant_in_the_weights_is_a_constant_in_the_bound(estimator):
    log_weight = weights(1.0)
    exactly(of(estimator, log_weight + 7.0), of(estimator, log_weight) + 7.0)


@every
def test_equal_weights_are_the_bound(estimator):
    exactly(of(estimator, torch.full((DRAWS, 3), -4.2)), torch.full((3,), -4.2))


@pytest.mark.parametrize("estimator", [TVO((0.0, 0.5, 1.0), 2), UpperTVO((0.0, 0.5, 1.0), 2)])
def test_a_draw_of_weight_zero_has_no_part_in_a_tempered_mean(estimator):
    log_weight = torch.tensor([[-math.inf], [-1.5]]).requires_grad_()
    value = estimator.of_weights(log_weight)
    assert value.item() == (-math.inf if isinstance(estimator, TVO) else -1.5)
    if isinstance(estimator, UpperTVO):
        (gradient,) = torch.autograd.grad(value, log_weight)
        exactly(gradient, torch.tensor([[0.0], [1.0]]))


KINDS = {
    "lower": [MIWAE(2, 2), PIWAE(2, 2), CIWAE(0.5, 2), TVO(2, 2), TailAdaptive(2)],
    "upper": [UpperTVO(2, 2), CUBO(2, 2)],
    "none": [VRMax(2)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_says_on_which_side_of_log_evidence_it_lies(kind):
    assert {estimator.bound_kind for estimator in KINDS[kind]} == {kind}
