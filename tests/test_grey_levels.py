"""Likelihoods of grey values: they sum or integrate to one, and say what they are."""

import numpy as np
import pytest
import torch

from ppvae.distributions import (
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogistic,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    PixelGaussianLikelihood,
    StandardNormal,
)
from ppvae.evaluate import evaluate
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

P = 3
# Likelihoods of values in 8 levels, and how wide a decoder each needs.
ON_LEVELS = {
    "logistic": (lambda: DiscretizedLogisticLikelihood(levels=8), 2 * P),
    "mixture": (lambda: DiscretizedLogisticLikelihood(4, levels=8), 12 * P),
    "categorical": (lambda: CategoricalLikelihood(8), 8 * P),
}
LEVELS = torch.arange(8, dtype=torch.float64) / 7
on_levels = pytest.mark.parametrize(("make", "width"), ON_LEVELS.values(), ids=ON_LEVELS)


@on_levels
def test_the_levels_of_a_pixel_have_probability_one_together(make, width):
    found = make()(2 * torch.randn(5, width))
    assert found.event_shape == (P,) and found.support.is_discrete
    each = found.base_dist.log_prob(LEVELS[:, None, None].expand(8, 5, P)).exp()
    torch.testing.assert_close(each.sum(0), torch.ones(5, P))
    mean = (each * LEVELS[:, None, None]).sum(0)
    torch.testing.assert_close(found.mean, mean)


@on_levels
def test_draws_are_levels_as_often_as_they_should_be(make, width):
    found = make()(torch.randn(width)).expand((20_000,))
    x = found.sample()
    assert found.support.check(x).all()
    often = (x[..., None] == LEVELS).double().mean(0)
    exact = found.base_dist.log_prob(LEVELS[:, None].expand(8, P)[:, None]).exp()[:, 0].T
    error = (exact * (1 - exact) / 20_000).sqrt()
    # 24 numbers, each 5 standard errors off by chance once in 1.7 million.
    assert float(((often - exact).abs() / (error + 1e-6)).max()) < 5


def test_the_logistic_mass_is_the_difference_of_sigmoids_and_exact_far_out():
    loc, scale = torch.tensor([[0.4]]), torch.tensor([[0.05]])
    found = DiscretizedLogistic(loc, scale, torch.zeros(1, 1))
    x, half = torch.tensor([100 / 255]), 0.5 / 255
    plain = torch.sigmoid((x + half - 0.4) / 0.05) - torch.sigmoid((x - half - 0.4) / 0.05)
    torch.testing.assert_close(found.log_prob(x), plain.log())
    far = DiscretizedLogistic(loc, torch.tensor([[0.001]], requires_grad=True), torch.zeros(1, 1))
    value = far.log_prob(torch.tensor([0.9]))
    # 499.. scales away both sigmoids are 1 in float64; their difference is not 0.
    assert float(value.detach()) == pytest.approx(-(0.9 - half - 0.4) / 0.001, abs=0.1)
    value.sum().backward()


def test_values_that_are_no_levels_are_refused():
    model = VAE(MLP(2, [], 2 * P), StandardNormal(2), DiscretizedLogisticLikelihood(levels=8))
    guide = GaussianGuide(MLP(P, [], 4))
    with pytest.raises(ValueError, match=r"must lie in the support of .*; got 0.33"):
        evaluate((model, guide), torch.full((2, P), 0.33), num_particles=30)


def test_probabilities_of_levels_have_bits_and_densities_have_none():
    x = LEVELS[torch.randint(8, (6, P))]
    guide = GaussianGuide(MLP(P, [], 4))
    for make, width in ON_LEVELS.values():
        found = evaluate((VAE(MLP(2, [], width), StandardNormal(2), make()), guide), x)
        bits = -found["log_evidence"] / (P * np.log(2))
        np.testing.assert_allclose(found["bits_per_dim"], bits)
    for likelihood, width in (
        (ContinuousBernoulliLikelihood(), P),
        (PixelGaussianLikelihood(), 2 * P),
    ):
        found = evaluate((VAE(MLP(2, [], width), StandardNormal(2), likelihood), guide), x)
        assert "bits_per_dim" not in found


def test_the_continuous_bernoulli_integrates_to_one_where_the_plain_one_does_not():
    line = torch.linspace(0, 1, 10_001)
    logits = torch.tensor([-4.0, 0.0, 0.3, 7.0])
    density = ContinuousBernoulliLikelihood()(logits).base_dist.log_prob(line[:, None]).exp()
    torch.testing.assert_close(
        torch.trapezoid(density, line, dim=0), torch.ones(4), rtol=0, atol=1e-5
    )


def test_scales_stay_above_their_bound():
    global_one = GaussianLikelihood(0.5, learn_scale=True, min_scale=0.1)
    for log_scale, expected in ((None, 0.5), (-100.0, 0.1)):
        if log_scale is not None:
            global_one.log_scale.data.fill_(log_scale)
        scale = global_one(torch.zeros(1)).base_dist.scale.detach()
        torch.testing.assert_close(scale, torch.tensor([expected]))
    params = torch.cat([torch.ones(P), torch.full((P,), -100.0)])
    found = PixelGaussianLikelihood(0.2)(params).base_dist
    torch.testing.assert_close(found.loc, torch.ones(P))
    torch.testing.assert_close(found.scale, torch.full((P,), 0.2))


REFUSED = {
    "levels": (lambda: CategoricalLikelihood(1), "levels must be at least 2; got 1"),
    "components": (lambda: DiscretizedLogisticLikelihood(0), "components must be at least 1"),
    "min_scale": (lambda: PixelGaussianLikelihood(0.0), "min_scale must be positive and finite"),
    "logistic": (
        lambda: DiscretizedLogisticLikelihood(min_scale=-1.0),
        "min_scale must be positive and finite; got -1",
    ),
    "scale": (
        lambda: GaussianLikelihood(0.1, min_scale=0.2),
        "scale must be above 0.2 and finite; got 0.1",
    ),
    "bound": (lambda: GaussianLikelihood(min_scale=-0.2), "min_scale must be at least 0"),
    "odd": (lambda: PixelGaussianLikelihood()(torch.zeros(3)), "must be 2 P wide .*; got 3"),
    "wide": (lambda: CategoricalLikelihood(4)(torch.zeros(6)), "must be 4 P wide .*; got 6"),
    "mixture": (
        lambda: DiscretizedLogisticLikelihood(2)(torch.zeros(7)),
        "must be 6 P wide for 2 components; got 7",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
