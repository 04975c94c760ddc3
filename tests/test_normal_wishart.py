"""Laws of the Wishart and the normal-Wishart: scipy, textbook formulas, and their own draws."""

import numpy as np
import pytest
import torch
from pyro.distributions import MultivariateNormal
from scipy import stats
from torch.testing import assert_close

from ppvae.distributions import NormalWishart, Wishart
from ppvae.guides import NormalWishartGuide
from ppvae.models import BayesianGaussianMixture

EXACT = {"rtol": 0, "atol": 1e-10}
NUM_DRAWS = 40_000


def spread(size, *batch):
    root = torch.randn(*batch, size, size)
    return root @ root.mT + torch.eye(size)


def some(size=3, components=3):
    nu = size + torch.arange(components) + 0.5
    return NormalWishart(
        torch.randn(components, size), torch.rand(components) + 0.5, spread(size, components), nu
    )


def single(batch, place):
    parts = (batch.loc, batch.beta, batch.inverse_scale, batch.nu)
    return NormalWishart(*(part[place] for part in parts))


def within(draws, truth):
    """Five standard errors, which one number in two million leaves."""
    error = draws.std(0) / len(draws) ** 0.5
    return bool(((draws.mean(0) - truth).abs() < 5 * error + 1e-12).all())


def test_the_density_is_scipys():
    inverse, nu = spread(3), 4.2
    value = Wishart(torch.tensor(nu), inverse).sample((5,))
    found = Wishart(torch.tensor(nu), inverse).log_prob(value)
    scale = np.linalg.inv(inverse.numpy())
    truth = [stats.wishart(nu, scale).logpdf(each) for each in value.numpy()]
    assert_close(found, torch.tensor(np.array(truth)), **EXACT)


def test_a_batch_of_them_is_each_by_itself():
    nu, inverse = torch.tensor([3.5, 4.0, 9.0]), spread(3, 3)
    value = Wishart(nu, inverse).sample()
    each = [Wishart(nu[i], inverse[i]).log_prob(value[i]) for i in range(3)]
    assert_close(Wishart(nu, inverse).log_prob(value), torch.stack(each), **EXACT)
    wider = Wishart(nu, inverse).expand([4, 3])
    assert wider.sample().shape == (4, 3, 3, 3)
    assert_close(wider.log_prob(value), torch.stack(each).expand(4, 3), **EXACT)


def test_draws_have_the_mean_and_the_log_determinant_of_the_formulas():
    wishart = Wishart(torch.tensor(4.2), spread(3))
    draws = wishart.sample((NUM_DRAWS,))
    assert within(draws, wishart.mean)
    assert within(draws.logdet(), wishart.expected_log_det)
    assert_close(draws, draws.mT, **EXACT)


def test_the_path_through_a_draw_has_the_slope_of_its_expectation():
    inverse, nu = spread(2), torch.tensor(3.6)
    leaves = (nu.expand(NUM_DRAWS).clone(), inverse.expand(NUM_DRAWS, 2, 2).clone())
    draws = Wishart(*(leaf.requires_grad_() for leaf in leaves)).rsample()
    found = torch.autograd.grad(draws.diagonal(dim1=-2, dim2=-1).sum(), leaves)
    scale = torch.linalg.inv(inverse)
    # Of E[tr Lambda] = nu tr V; its slope in V^-1 is -nu V V.
    assert within(found[0], scale.trace())
    symmetric = (found[1] + found[1].mT) / 2
    assert within(symmetric, -nu * scale @ scale)


def test_the_posterior_is_the_textbooks():
    prior = NormalWishart(torch.randn(2), torch.tensor(0.7), spread(2), torch.tensor(3.0))
    x, r = torch.randn(9, 2), torch.rand(9)
    centred = x - prior.loc
    found = prior.posterior(r.sum(), r @ centred, (r[:, None] * centred).T @ centred)
    count, mean = r.sum(), (r @ x) / r.sum()
    around = (r[:, None] * (x - mean)).T @ (x - mean)
    shrunk = (
        prior.beta * count / (prior.beta + count) * torch.outer(mean - prior.loc, mean - prior.loc)
    )
    assert_close(found.beta, prior.beta + count, **EXACT)
    assert_close(found.nu, prior.nu + count, **EXACT)
    assert_close(found.loc, (prior.beta * prior.loc + count * mean) / (prior.beta + count), **EXACT)
    assert_close(found.inverse_scale, prior.inverse_scale + around + shrunk, **EXACT)


def test_expected_log_densities_are_the_means_over_draws():
    q, x = some(size=2, components=1), torch.randn(4, 2)
    precision = q.precision().sample((NUM_DRAWS,))
    mean = q.mean_given(precision).sample()
    draws = MultivariateNormal(mean, precision_matrix=precision).log_prob(x[:, None, None])
    assert within(draws.movedim(1, 0), q.expected_log_density(x))


# As many components as dimensions, which a solver may take for as many vectors.
@pytest.mark.parametrize("components", [1, 2, 3])
def test_kl_is_the_mean_log_ratio_of_draws(components):
    q, p = some(components=components), single(some(), 1)
    precision = q.precision().sample((NUM_DRAWS,))
    mean = q.mean_given(precision).sample()
    log_q = q.precision().log_prob(precision) + q.mean_given(precision).log_prob(mean)
    log_p = p.precision().log_prob(precision) + p.mean_given(precision).log_prob(mean)
    assert within(log_q - log_p, q.kl(p))
    each = torch.stack([single(q, i).kl(p) for i in range(components)])
    assert_close(q.kl(p), each, **EXACT)
    assert_close(q.kl(q), torch.zeros(components), **EXACT)


def test_a_guide_keeps_what_it_is_given():
    start, alpha = some(), torch.tensor([0.5, 2.0, 30.0])
    guide = NormalWishartGuide(some(), torch.ones(3))
    guide.assign(start, alpha)
    found = guide.posterior()
    for name in ("loc", "beta", "inverse_scale", "nu"):
        assert_close(getattr(found, name).detach(), getattr(start, name), **EXACT)
    assert_close(guide.alpha.detach(), alpha, **EXACT)


def prior(**changes):
    parts = {"loc": torch.zeros(2), "beta": torch.tensor(1.0), "inverse_scale": torch.eye(2)}
    return NormalWishart(**({**parts, "nu": torch.tensor(2.0)} | changes))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: prior(beta=torch.ones(3)), r"must fit together; got shapes \(2,\), .*\(3,\)"),
        (lambda: prior(beta=torch.tensor(0.0)).require_proper(), "beta must be positive; got 0"),
        (
            lambda: prior(nu=torch.tensor(1.0)).require_proper(),
            r"nu must be above P - 1 = 1; g",
        ),
        (lambda: prior(inverse_scale=-torch.eye(2)).require_proper(), "must be positive definite"),
        (lambda: BayesianGaussianMixture(0, prior()), "components must be at least 1; got 0"),
        (lambda: BayesianGaussianMixture(2, some()), r"prior must be one for all .*got \(3, 3\)"),
        (
            lambda: BayesianGaussianMixture(2, prior(), 0.0),
            "concentration must be pos.*; got 0",
        ),
        (
            lambda: BayesianGaussianMixture(2, prior())(torch.zeros(3, 1)),
            r"x must be \(B, 2\); got shape \(3, 1\)",
        ),
        (lambda: NormalWishartGuide(prior(), torch.ones(2)), r"posterior must have loc \(C, P\)"),
        (lambda: NormalWishartGuide(some(), torch.ones(2)), r"must have loc .*; got .* and \(2,\)"),
        (lambda: NormalWishartGuide(some(), torch.zeros(3)), "alpha must be positive; got 0"),
    ],
)
def test_what_is_no_distribution_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
