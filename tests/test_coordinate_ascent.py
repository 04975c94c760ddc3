"""Laws of coordinate ascent: exact where it can be, never falling, and as scikit-learn has it."""

import numpy as np
import pyro
import pytest
import torch
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.mixture import BayesianGaussianMixture as TheirMixture
from torch.testing import assert_close

from ppvae import ELBO, coordinate_ascent, log_terms
from ppvae.coordinate_ascent import (
    DirichletWeights,
    MeanFieldGaussian,
    MeanFieldMixture,
    StickBreakingWeights,
)
from ppvae.data import all_rows, load
from ppvae.distributions import NormalWishart
from ppvae.guides import NormalWishartGuide, PerDatumCategoricalGuide
from ppvae.models import BayesianGaussianMixture

EXACT = {"rtol": 0, "atol": 1e-10}
# By scikit-learn's name of the prior, its first name being the default.
PRIORS = {"dirichlet_process": StickBreakingWeights, "dirichlet_distribution": DirichletWeights}


def faithful():
    return all_rows(load("faithful"))["x"].double().round(decimals=3)


def prior_of(x):
    """scikit-learn's default."""
    size = x.shape[1]
    return NormalWishart(x.mean(0), torch.tensor(1.0), torch.cov(x.T), torch.tensor(float(size)))


def by_kmeans(x, components, random=None):
    """scikit-learn's start: each row in one cluster of k-means."""
    random = np.random.RandomState(0) if random is None else random
    labels = KMeans(components, n_init=1, random_state=random).fit(x.numpy()).labels_
    return torch.nn.functional.one_hot(torch.tensor(labels).long(), components).double()


def climbed(x, components, weights, start, **settings):
    q = MeanFieldMixture(x, prior_of(x), weights, start)
    return q, coordinate_ascent(q.factors, q.elbo, **settings)


def test_one_component_is_the_exact_posterior_and_its_elbo_the_exact_evidence():
    x = torch.randn(12, 3) @ torch.randn(3, 3) + 1
    prior = NormalWishart(torch.randn(3), torch.tensor(0.6), 2 * torch.eye(3), torch.tensor(4.5))
    q = MeanFieldMixture(x, prior, DirichletWeights(1.3), torch.ones(12, 1))
    ascent = coordinate_ascent(q.factors, q.elbo)
    # By the predictive of each row given those before it, a Student-t: no posterior at all.
    evidence, known = 0.0, prior
    for row in x:
        df = float(known.nu) - 2
        shape = known.inverse_scale * (known.beta + 1) / (known.beta * df)
        evidence += stats.multivariate_t(known.loc.numpy(), shape.numpy(), df=df).logpdf(
            row.numpy()
        )
        away = row - known.loc
        known = known.posterior(torch.tensor(1.0), away, torch.outer(away, away))
    assert_close(ascent.objective, torch.full_like(ascent.objective, evidence), **EXACT)
    for name in ("loc", "beta", "inverse_scale", "nu"):
        assert_close(getattr(q.components, name)[0], getattr(known, name), **EXACT)


@pytest.mark.parametrize("kind", PRIORS)
@pytest.mark.parametrize("concentration", [1e-3, 10.0])
def test_the_elbo_never_falls(concentration, kind):
    x, weights = faithful(), PRIORS[kind](concentration)
    _, ascent = climbed(x, 6, weights, by_kmeans(x, 6), sweeps=150)
    assert ascent.factors == ("labels", "weights", "components")
    assert len(ascent.objective) == 1 + 3 * ascent.sweeps
    assert (ascent.objective.diff() > -1e-9).all()
    assert ascent.objective[-1] - ascent.objective[0] > 10


# Both are asked to take this many steps, and theirs says that it did not converge in them.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", PRIORS)
def test_coordinate_ascent_from_one_start_is_scikit_learns(kind):
    x, weights = faithful(), PRIORS[kind](1e-3)
    q, _ = climbed(x, 6, weights, by_kmeans(x, 6), sweeps=40, tolerance=0.0)
    reference = TheirMixture(
        n_components=6,
        weight_concentration_prior_type=kind,
        weight_concentration_prior=1e-3,
        tol=0.0,
        reg_covar=0.0,
        max_iter=40,
        random_state=np.random.RandomState(0),
    ).fit(x.numpy())
    shares = q.weights.mean / q.weights.mean.sum()
    assert_close(shares, torch.from_numpy(reference.weights_), rtol=0, atol=1e-6)
    assert_close(q.components.loc, torch.from_numpy(reference.means_), rtol=0, atol=1e-6)
    assert_close(q.covariances, torch.from_numpy(reference.covariances_), rtol=0, atol=1e-6)


# As published, which is the process; the other is scikit-learn 1.9's with n_init=10 as well.
@pytest.mark.parametrize(
    ("kind", "shares"),
    [("dirichlet_process", [0.6441, 0.3559]), ("dirichlet_distribution", [0.6427, 0.3573])],
)
def test_two_of_six_components_stay_on_old_faithful(kind, shares):
    x, random = faithful(), np.random.RandomState(0)
    starts = [by_kmeans(x, 6, random) for _ in range(10)]
    ways = [climbed(x, 6, PRIORS[kind](1e-3), start, tolerance=1e-5) for start in starts]
    best, _ = max(ways, key=lambda way: float(way[1].objective[-1]))
    active = best.weights.mean[best.weights.mean > 0.01].sort(descending=True).values
    assert_close(active, torch.tensor(shares), rtol=0, atol=7e-5)


@pytest.mark.parametrize(
    ("weights", "name"), [(DirichletWeights, "alpha"), (StickBreakingWeights, "sticks")]
)
def test_each_update_leaves_no_slope_in_its_own_factor(weights, name):
    x = torch.randn(30, 2)
    q = MeanFieldMixture(x, prior_of(x), weights(0.8), torch.rand(30, 3).softmax(1))
    q.update_labels()
    logits = q.responsibilities.log().requires_grad_()
    q.responsibilities = logits.softmax(1)
    assert_slopeless(q, logits)
    q.responsibilities = q.responsibilities.detach()
    q.update_weights()
    of_weights = getattr(q.weights, name).requires_grad_()
    assert_slopeless(q, of_weights)
    q.update_weights()
    q.update_components()
    found = q.components
    parts = [found.loc, found.beta, found.inverse_scale, found.nu]
    q.components = NormalWishart(*(part.requires_grad_() for part in parts))
    assert_slopeless(q, *parts)


def test_broken_sticks_have_the_weights_of_their_draws():
    weights = StickBreakingWeights(0.7)
    weights.update(torch.tensor([3.0, 0.0, 1.5]))
    assert_close(weights.sticks, torch.tensor([[4.0, 2.2], [1.0, 2.2], [2.5, 0.7]]), **EXACT)
    sticks = torch.distributions.Beta(*weights.sticks.unbind(-1)).sample((100_000,))
    left = (1 - sticks).cumprod(1) / (1 - sticks)
    draws = sticks * left
    # Five standard errors: one false alarm in two million for each number.
    for drawn, truth in ((draws, weights.mean), (draws.log(), weights.expected_log)):
        assert ((drawn.mean(0) - truth).abs() < 5 * drawn.std(0) / 100_000**0.5).all()


def assert_slopeless(q, *leaves):
    for slope in torch.autograd.grad(q.elbo(), leaves):
        assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-9)


def as_pair(q):
    """The model that q is of, and q as guides: of parameters alone, and of labels too."""
    model = BayesianGaussianMixture(q.responsibilities.shape[1], q.prior, q.weights.concentration)
    once = NormalWishartGuide(q.components, q.weights.alpha)
    labels = PerDatumCategoricalGuide(*q.responsibilities.shape)
    labels.table.data = q.responsibilities.clamp(min=1e-300).log()

    def with_labels(x, index):
        once(x)
        labels(x, index)

    return model, once, with_labels


def bounds_of_draws(model, guide, x, num_particles):
    """The ELBO's addends for each draw of the parameters, over all rows, (K,)."""
    pyro.set_rng_seed(5)
    batch = {"x": x, "index": torch.arange(len(x))}
    terms = log_terms(model, guide, batch, num_particles=num_particles)
    return terms.expected(terms.log_weight).sum(1).detach() + terms.global_weight.detach()


def test_the_closed_elbo_is_that_of_the_pair_within_five_standard_errors():
    x = faithful()[:80]
    q, _ = climbed(x, 3, DirichletWeights(0.9), by_kmeans(x, 3))
    model, once, with_labels = as_pair(q)
    draws = bounds_of_draws(model, with_labels, x, 2000)
    # Five standard errors: one false alarm in two million.
    assert (draws.mean() - q.elbo()).abs() < 5 * draws.std() / 2000**0.5
    summed = bounds_of_draws(model, once, x, 2000)
    # The same draws: labels summed out of the model can only add, by Jensen.
    assert (summed - draws > -1e-9).all() and summed.mean() > draws.mean() + 0.01
    estimate = -ELBO(2000).loss(model, once, x)
    assert abs(estimate - float(summed.mean())) < 10 * float(summed.std()) / 2000**0.5


def test_mean_field_on_a_correlated_gaussian_is_a_staircase_with_too_little_variance():
    covariance = torch.tensor([[1.0, 0.9], [0.9, 2.0]])
    loc = torch.tensor([0.5, -1.0])
    q = MeanFieldGaussian(loc, covariance, start=torch.tensor([3.0, 3.0]))
    ascent = coordinate_ascent(q.factors, q.elbo, watch=lambda: q.mean.clone())
    path = torch.stack(ascent.watched)
    steps = path.diff(dim=0)
    assert (steps[0::2, 1] == 0).all() and (steps[1::2, 0] == 0).all()
    assert (ascent.objective.diff() > -1e-12).all()
    assert_close(q.mean, loc, rtol=0, atol=1e-5)
    precision = torch.linalg.inv(covariance)
    assert_close(q.variance, 1 / precision.diagonal(), **EXACT)
    # (1 - rho^2) of the true variances, and the gap of the best independent Gaussians.
    assert_close(q.variance, (1 - 0.81 / 2) * covariance.diagonal(), **EXACT)
    gap = 0.5 * (precision.diagonal().log().sum() - precision.logdet())
    assert_close(ascent.objective[-1], -gap, rtol=0, atol=1e-9)
    # By hand, from (3, 3): the first update of z1 is its conditional mean given z2 = 3.
    assert_close(path[1, 0], 0.5 + 0.9 / 2 * torch.tensor(4.0), **EXACT)
