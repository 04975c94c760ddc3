"""Reference problems against truths found without them: scipy, quadrature, brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from pyro import poutine
from scipy import stats
from scipy.integrate import quad
from scipy.special import logsumexp
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.data import load
from ppvae.distributions import BernoulliPrior
from ppvae.exact import ExactGaussian, ExactSum
from ppvae.experiment import build, find_recipe
from ppvae.guides import AffineGuide, LayeredGaussianGuide
from ppvae.models import ClusterMixture, GaussianToy, Squared, TwoLayers
from ppvae.networks import MLP

EXACT = {"rtol": 0, "atol": 1e-10}


def built(name, **options):
    """An experiment in float64 and twelve rows of its data."""
    recipe = find_recipe(name)
    data = load(recipe.data)
    return build(recipe, data, **options), data.test["x"][:12].double()


def sums_of(experiment) -> ExactSum:
    return experiment.elbo.__self__


def toy(perturbation):
    experiment, _ = built("gaussian-toy", perturbation=perturbation)
    x = load("gaussian_toy").train["x"].double()
    exact = experiment.elbo.__self__
    assert isinstance(exact, ExactGaussian)
    return experiment, x, exact


def test_rainforths_toy_has_its_published_gap_and_limit():
    _, x, exact = toy(0.0)
    assert_close(exact.gap(x), torch.full((1024,), 0.4565), rtol=0, atol=5e-5)
    assert_close(exact.iwae_limit(x), torch.full((1024,), 0.4534), rtol=0, atol=5e-5)


@pytest.mark.parametrize("perturbation", [0.0, 0.01])
def test_iwae_bounds_of_the_toy_tend_to_log_evidence_at_the_closed_rate(perturbation):
    experiment, x, exact = toy(perturbation)
    draws = 256
    with torch.no_grad():
        log_evidence = experiment.log_evidence(x)
        terms = log_terms(experiment.model, experiment.guide, x, num_particles=draws)
    mean = (terms.log_weight - log_evidence).logsumexp(0) - math.log(draws)
    # The mean weight over p(x), less 1, has mean zero and follows log p(x) - L_K closely.
    estimates = draws * (torch.expm1(mean) - mean)
    error = estimates.mean() - exact.iwae_limit(x).mean()
    # The next order in 1 / K is below 1e-3 here; 5 standard errors of 1024 rows.
    assert error.abs() < 1e-3 + 5 * (estimates - exact.iwae_limit(x)).std() / 1024**0.5


def test_the_toys_evidence_is_the_dense_gaussian():
    experiment, x, _ = toy(0.01)
    dense = stats.multivariate_normal(experiment.model.mu.detach().numpy(), 2 * np.eye(20))
    truth = torch.from_numpy(dense.logpdf(x.numpy()))
    assert_close(experiment.log_evidence(x).detach(), truth, **EXACT)


def test_bayes_rule_holds_in_the_toy_at_every_code():
    experiment, x, exact = toy(0.01)
    x, z = x[:4], torch.randn(7, 4, 20)
    trace = poutine.trace(poutine.condition(experiment.model, {"z": z})).get_trace(x)
    log_joint = sum(trace.nodes[n]["fn"].log_prob(trace.nodes[n]["value"]) for n in ("z", "x"))
    log_evidence = exact.log_evidence(x).expand(7, 4)
    assert_close(log_joint - exact.posterior(x).log_prob(z), log_evidence, **EXACT)


def test_the_toy_is_perturbed_by_the_noise_asked_for():
    experiment, x, _ = toy(0.01)
    noise = experiment.guide.slope - torch.eye(20) / 2
    # The standard deviation of 400 draws has a relative standard error of 1 / sqrt(800).
    assert (noise.std() / 0.01 - 1).abs() < 5 / 800**0.5
    assert_close(experiment.model.mu, x.mean(0), rtol=0, atol=0.05)


@pytest.mark.parametrize("perturbation", [-0.1, math.nan, math.inf])
def test_a_perturbation_without_meaning_is_refused(perturbation):
    with pytest.raises(ValueError, match=rf"perturbation must be .*; got {perturbation}\."):
        built("gaussian-toy", perturbation=perturbation)


def test_the_mixture_has_a_softmax_for_posterior():
    experiment, x = built("mixture")
    experiment.model.theta.data = torch.randn(20)
    share = experiment.model.theta.detach().log_softmax(0).numpy()
    joint = share[:, None] + stats.norm.logpdf(x.numpy().T, 10.0 * np.arange(20)[:, None], 5.0)
    assert_close(experiment.log_evidence(x).detach(), torch.tensor(logsumexp(joint, 0)), **EXACT)
    posterior = torch.from_numpy(np.exp(joint - logsumexp(joint, 0)))
    assert_close(sums_of(experiment).posterior(x).detach(), posterior, **EXACT)
    # The guide's logits for the rows as the encoder sees them, and the sums spelled out.
    log_guide = torch.log_softmax(experiment.guide.encoder(x), -1).T
    elbo = (log_guide.exp() * (torch.from_numpy(joint) - log_guide)).sum(0)
    assert_close(experiment.elbo(x), elbo, **EXACT)
    assert_close(experiment.cross_entropy(x), -(posterior * log_guide).sum(0), **EXACT)


def test_bernoulli_latents_are_summed_as_by_brute_force():
    experiment, x = built("bernoulli-latents", latent_dim=3)
    experiment.model.prior.logits.data = torch.randn(3)
    share = torch.sigmoid(experiment.model.prior.logits)
    guided = torch.sigmoid(experiment.guide.encoder(x))
    joint, log_guide = [], []
    for code in itertools.product([0.0, 1.0], repeat=3):
        z = torch.tensor(code)
        pixels = torch.sigmoid(experiment.model.decoder(z))
        prior = (z * share + (1 - z) * (1 - share)).log().sum()
        joint.append(prior + (x * pixels + (1 - x) * (1 - pixels)).log().sum(-1))
        log_guide.append((z * guided + (1 - z) * (1 - guided)).log().sum(-1))
    joint, log_guide = torch.stack(joint), torch.stack(log_guide)
    log_evidence = joint.exp().sum(0).log()
    assert_close(experiment.log_evidence(x), log_evidence, **EXACT)
    assert_close(experiment.elbo(x), (log_guide.exp() * (joint - log_guide)).sum(0), **EXACT)
    truth = -((joint - log_evidence).exp() * log_guide).sum(0)
    assert_close(experiment.cross_entropy(x), truth, **EXACT)


def integral(function, *bends):
    """Of a function of one number, over the line, given where it is steep."""
    value, _ = quad(function, -12, 12, epsabs=1e-13, epsrel=1e-12, limit=400, points=bends)
    return value


@pytest.mark.parametrize("spread", [1.0, 0.08])
def test_the_squared_code_is_integrated_as_by_scipy(spread):
    experiment, _ = built("squared")
    x = torch.tensor([[-0.4], [0.0], [1.3], [6.0]])
    guide = AffineGuide(torch.zeros(1, 1), torch.tensor([0.7]), spread)
    exact = ExactSum(
        experiment.model, guide, sums_of(experiment).states, sums_of(experiment).log_volume
    )
    log_guide = stats.norm(0.7, spread).logpdf
    for row, value in enumerate(x[:, 0].tolist()):

        def joint(z, value=value):
            return stats.norm.logpdf(z) + stats.norm.logpdf(value, z * z, 0.5)

        mode = math.sqrt(max(value, 0.01))
        evidence = integral(lambda z: math.exp(joint(z)), -mode, mode)
        elbo = integral(lambda z: math.exp(log_guide(z)) * (joint(z) - log_guide(z)), 0.6, 0.7, 0.8)
        crossed = integral(lambda z: -math.exp(joint(z)) * log_guide(z), -mode, mode) / evidence
        found = [f(x)[row].item() for f in (exact.log_evidence, exact.elbo, exact.cross_entropy)]
        assert found == pytest.approx([math.log(evidence), elbo, crossed], rel=0, abs=1e-10)
        square = integral(lambda z: math.exp(joint(z)) * z * z, -mode, mode) / evidence
        z, posterior = exact.states["z"], exact.posterior(x)[:, row]
        assert (posterior @ z[:, 0].square()).item() == pytest.approx(square, rel=0, abs=1e-10)


def test_half_of_the_squared_codes_posterior_lies_on_each_side():
    experiment, x = built("squared")
    exact = sums_of(experiment)
    mass = exact.posterior(x)[exact.states["z"][:, 0] > 1e-6].sum(0)
    at_zero = exact.posterior(x)[2000]
    assert_close(mass + at_zero / 2, torch.full((12,), 0.5), **EXACT)


def test_two_layers_are_integrated_as_by_scipy():
    experiment, _ = built("two-layers")
    x = torch.tensor([[-3.0], [0.2], [1.5]])
    exact = sums_of(experiment)
    for row, value in enumerate(x[:, 0].tolist()):
        # Without z1, x given z2 is N(2 tanh(z2), 1/4 + 1/4).
        def joint(z, value=value):
            return stats.norm.pdf(z) * stats.norm.pdf(value, 2 * math.tanh(z), 0.5**0.5)

        evidence = integral(joint)
        mean = integral(lambda z: z * joint(z)) / evidence
        assert exact.log_evidence(x)[row].item() == pytest.approx(math.log(evidence), abs=1e-10)
        found = exact.posterior(x)[:, row] @ exact.states["z2"][:, 0]
        assert found.item() == pytest.approx(mean, rel=0, abs=1e-10)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: GaussianToy(torch.zeros(2, 2)), r"mu must be \(D,\), .*; got shape \(2, 2\)\."),
        (lambda: GaussianToy(torch.zeros(3))(torch.zeros(4, 1)), r"x must be \(B, 3\); got"),
        (lambda: ClusterMixture(torch.zeros(3), 1.0), r"centres must be \(C, P\), .*\(3,\)\."),
        (lambda: ClusterMixture(torch.zeros(3, 1), 0.0), r"width must be positive .*; got 0\.0\."),
        (lambda: ClusterMixture(torch.zeros(3, 2), 1.0)(torch.zeros(4, 1)), r"x must be \(B, 2\)"),
        (lambda: Squared(math.nan), r"scale must be positive and finite; got nan\."),
        (lambda: Squared()(torch.zeros(4, 2)), r"x must be \(B, 1\); got shape \(4, 2\)\."),
        (lambda: TwoLayers(gain=math.inf), r"gain must be finite; got inf\."),
        (lambda: TwoLayers(scale=0.0), r"scale must be positive and finite; got 0\.0\."),
        (lambda: TwoLayers()(torch.zeros(4)), r"x must be \(B, 1\); got shape \(4,\)\."),
        (lambda: AffineGuide(torch.zeros(2), torch.zeros(2), 1.0), r"slope must be \(D, P\), .*"),
        (lambda: AffineGuide(torch.zeros(2, 3), torch.zeros(3), 1.0), r"offset must be as long as"),
        (lambda: AffineGuide(torch.zeros(2, 3), torch.zeros(2), 0.0), r"spread must be positive"),
        (
            lambda: LayeredGaussianGuide([MLP(1, [], 2), MLP(1, [], 3)])(torch.zeros(4, 1)),
            r"encoder 2 must have even width; got 3\.",
        ),
        (lambda: BernoulliPrior(0), r"latent_dim must be at least 1; got 0\."),
        (lambda: built("bernoulli-latents", latent_dim=13), r"latent_dim must be between 1 and 12"),
    ],
)
def test_wrong_parts_of_reference_problems_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
