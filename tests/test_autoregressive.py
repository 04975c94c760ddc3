"""Masked convolutions see what came before, and what is made of them sums to one."""

import itertools
import math

import pytest
import torch

from ppvae.distributions import (
    Autoregressive,
    AutoregressiveCodes,
    AutoregressiveLikelihood,
    UniformCodes,
)
from ppvae.means import mean_of
from ppvae.networks import CausalNetwork, Codebook

SHAPES = [(1, 3, 4), (3, 2, 3)]


def network(shape=(1, 2, 2), levels=2, context=0):
    made = CausalNetwork(shape, levels, features=4, blocks=2, context_features=context)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made


def order(shape):
    """The place of each value, flat in (C, H, W), in the order row, column, channel."""
    channels, height, width = shape
    return [
        c * height * width + i * width + j
        for i, j, c in itertools.product(range(height), range(width), range(channels))
    ]


def every(levels, places):
    return torch.cartesian_prod(*[torch.arange(levels)] * places).reshape(-1, places)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_value_depends_on_those_before_it_and_on_no_other(shape):
    causal, places = network(shape, 3), math.prod(shape)
    index = torch.randint(3, (1, places))
    before = causal(index)
    seen = torch.zeros(places, places, dtype=torch.bool)
    for place in range(places):
        other = index.clone()
        other[0, place] = (other[0, place] + 1) % 3
        # A difference of exactly zero: not a small one, none.
        seen[:, place] = (causal(other) - before).abs().amax((0, 2)) > 0
    ordered = seen[order(shape)][:, order(shape)]
    assert not ordered.triu().any()
    # Its neighbour of just before is seen by each value but the first of a row.
    assert ordered.diagonal(-1).sum() >= places - shape[1]


@pytest.mark.parametrize("levels, shape", [(2, (1, 2, 3)), (2, (3, 1, 2)), (3, (1, 2, 2))])
def test_probabilities_sum_to_one_over_all_values(levels, shape):
    context = torch.randn(5, 2 * shape[1] * shape[2])
    autoregressive = Autoregressive(network(shape, levels, 2), context)
    values = every(levels, math.prod(shape))
    total = autoregressive.log_prob(values.unsqueeze(1)).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros(5), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 2, 1), (1, 4, 1)])
def test_draws_have_the_probabilities_that_it_says(shape):
    """16 values of 4 bits, 20000 draws: wrongly off once in 10^5 runs."""
    autoregressive = Autoregressive(network(shape))
    draws = autoregressive.sample((20_000,))
    exact = autoregressive.log_prob(every(2, 4)).exp()
    found = torch.bincount(draws @ torch.tensor([8, 4, 2, 1]), minlength=16) / 20_000
    error = (exact * (1 - exact) / 20_000).sqrt()
    assert ((found - exact).abs() < 5 * error).all()


def test_rows_within_reach_give_the_logits_of_the_whole():
    shape, context = (2, 9, 3), torch.randn(4, 2 * 27)
    causal, index = network(shape, 3, 2), torch.randint(3, (4, 54))
    whole = causal(index, context).unflatten(1, shape)
    told, values = causal.told(context), index.unflatten(1, shape)
    for row in range(9):
        seen = slice(max(0, row - causal.reach), row + 1)
        some = causal.of_rows(values[:, :, seen], told[:, :, seen])
        torch.testing.assert_close(some[:, :, -1], whole[:, :, row], rtol=0, atol=1e-12)


def test_its_mean_is_one_draw_and_says_so():
    mean, how = mean_of(Autoregressive(network()))
    assert how == "one draw" and torch.isin(mean, torch.tensor([0.0, 1.0])).all()


def test_pixels_are_levels_between_0_and_1():
    likelihood = AutoregressiveLikelihood(network((1, 2, 2), 4, context=3))
    drawn = likelihood(torch.randn(6, 12)).sample()
    assert torch.isin((3 * drawn).round(), torch.arange(4.0)).all()
    assert float(drawn.max()) <= 1
    assert likelihood(torch.randn(6, 12)).support.check(drawn).all()


def test_codes_that_are_alike_have_minus_m_log_k():
    codebook = Codebook(5, 3)
    prior = UniformCodes(codebook, 4)()
    z = prior.sample((7,))
    assert z.shape == (7, 4, 3)
    expected = torch.full((7,), -4 * math.log(5))
    torch.testing.assert_close(prior.log_prob(z), expected, rtol=0, atol=1e-12)


def test_codes_by_masked_convolutions_sum_to_one_over_all_codes():
    codebook = Codebook(3, 2)
    prior = AutoregressiveCodes(codebook, network((1, 2, 2), 3))()
    total = prior.log_prob(codebook.at(every(3, 4))).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros(()), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: AutoregressiveLikelihood(network()), "network must take a context"),
        (
            lambda: AutoregressiveLikelihood(network(context=2))(torch.zeros(3, 9)),
            "decoder must be as wide as the context, 8; got 9",
        ),
        (
            lambda: AutoregressiveCodes(Codebook(5, 2), network(levels=3)),
            "network must have as many levels as the codebook has vectors, 5; got 3",
        ),
        (
            lambda: AutoregressiveCodes(Codebook(3, 2), network((2, 2, 2), 3)),
            r"network must be on a grid \(1, h, w\) of codes; got \(2, 2, 2\)",
        ),
        (lambda: UniformCodes(Codebook(3, 2), 0), "places must be at least 1; got 0"),
        (lambda: network(levels=1), "levels must be at least 2; got 1"),
        (lambda: network((2, 2)), r"grid_shape must be \(C, H, W\); got \(2, 2\)"),
        (lambda: network(context=2)(torch.zeros(3, 4).long()), "context must be given"),
    ],
)
def test_misfits_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
