"""What log_terms and the estimators refuse, each in one sentence that names it."""

import math

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from pairs import PAIRS
from programs import ENUMERATED, linear_pair, rows
from pyro import poutine
from pyro.distributions.transforms import Planar

from ppvae import ELBO, IWAE, Renyi, fit, log_terms

UNIT = dist.Normal(torch.zeros(()), 1.0)


@pytest.fixture
def x():
    return torch.randn(3, 4)


def model(x):
    with rows(x):
        z = pyro.sample("z", UNIT)
        pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, 0])


def guide(x):
    with rows(x):
        pyro.sample("z", dist.Normal(x[:, 0], 0.5))


def refused(error, match):
    return pytest.raises(error, match=match)


@pytest.mark.parametrize("number", [0, -1])
def test_fewer_than_one_draw(x, number):
    with refused(ValueError, rf"num_particles must be at least 1; got {number}\."):
        log_terms(model, guide, x, num_particles=number)


@pytest.mark.parametrize("estimator", [ELBO, IWAE, lambda k: Renyi(0.5, k)])
def test_an_estimator_of_no_draws(estimator):
    with refused(ValueError, r"num_particles must be at least 1; got 0\."):
        estimator(0)


@pytest.mark.parametrize("alpha", [1.0, math.nan, math.inf])
def test_an_order_that_has_no_bound(alpha):
    with refused(ValueError, rf"alpha must be finite and not 1, which is the ELBO; got {alpha}"):
        Renyi(alpha)


def test_a_model_that_is_no_program(x):
    with refused(TypeError, r"model must be callable; got str\."):
        log_terms("vae", guide, x)


def test_a_guide_that_is_no_program(x):
    with refused(TypeError, r"guide must be callable; got NoneType\."):
        log_terms(model, None, x)


def test_a_latent_of_another_name(x):
    def other(x):
        with rows(x):
            pyro.sample("latent", dist.Normal(x[:, 0], 0.5))

    match = r"must sample the same latent sites; model has \['z'\], guide has \['latent'\]\."
    with refused(ValueError, match):
        log_terms(model, other, x)


def test_a_latent_that_the_guide_forgot(x):
    with refused(ValueError, r"model has \['z'\], guide has \[\]\."):
        log_terms(model, lambda x: None, x)


def test_a_model_that_observes_nothing(x):
    def unconditional(x):
        with rows(x):
            pyro.sample("z", UNIT)

    with refused(ValueError, r"model must observe the data at a site; got no observed site\."):
        log_terms(unconditional, guide, x)


def test_data_outside_of_any_plate(x):
    def without(x):
        z = pyro.sample("z", UNIT.expand([3]).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x[:, 0])

    def guide(x):
        pyro.sample("z", dist.Normal(x[:, 0], 0.5).to_event(1))

    match = r"must observe the data inside .* got no plate around \['x'\]\."
    with refused(ValueError, match):
        log_terms(without, guide, x)


def test_an_observed_site_of_the_guide_outside_of_the_data_plate(x):
    def observing(x):
        pyro.sample("total", UNIT, obs=x.sum())
        guide(x)

    with refused(ValueError, r"observed sites must be in plate 'data' with the data; got 'total'"):
        log_terms(model, observing, x)


def test_an_auxiliary_site_outside_of_the_data_plate(x):
    def hinted(x):
        model(x)
        pyro.sample("total", UNIT, obs=x.sum(), infer={"auxiliary": True})

    with refused(ValueError, r"auxiliary sites must be in plate 'data' with the data; got 'total'"):
        log_terms(hinted, guide, x)


def test_a_plate_of_two_names(x):
    def other(x):
        with pyro.plate("batch", len(x), dim=-1):
            pyro.sample("z", dist.Normal(x[:, 0], 0.5))

    match = r"must agree on which sites are in plate 'data'; got 'z' in one of them\."
    with refused(ValueError, match):
        log_terms(model, other, x)


def test_labels_in_a_plate_within_the_data_plate(x):
    def nested(x):
        with rows(x), pyro.plate("pixels", 4, dim=-2):
            y = pyro.sample("y", dist.Bernoulli(0.5), infer=ENUMERATED)
            pyro.sample("x", dist.Normal(y, 1.0), obs=x.T)

    def guide(x):
        with rows(x), pyro.plate("pixels", 4, dim=-2):
            pyro.sample("y", dist.Bernoulli(0.5), infer=ENUMERATED)

    match = r"must be in plate 'data' alone; got 'y' in plates \['pixels'\]"
    with refused(ValueError, match):
        log_terms(nested, guide, x)


def test_labels_outside_of_the_data_plate(x):
    def shared(x):
        y = pyro.sample("y", dist.Bernoulli(0.5), infer=ENUMERATED)
        with rows(x):
            pyro.sample("x", dist.Normal(y, 1.0), obs=x[:, 0])

    def guide(x):
        pyro.sample("y", dist.Bernoulli(0.5), infer=ENUMERATED)

    with refused(ValueError, r"must be in plate 'data' alone; got 'y' in plates \[\]"):
        log_terms(shared, guide, x)


def test_a_chain_of_labels_that_share_a_dimension(x):
    def chain(x, observe=True):
        with rows(x):
            y = torch.zeros(3)
            for t in pyro.markov(range(3)):
                y = pyro.sample(f"y{t}", dist.Bernoulli(0.3 + 0.2 * y), infer=ENUMERATED)
            if observe:
                pyro.sample("x", dist.Normal(y, 1.0), obs=x[:, 0])

    with refused(ValueError, r"enumerated sites must have a dimension each; .*pyro\.markov"):
        log_terms(chain, lambda x: chain(x, observe=False), x)


def test_a_closed_kl_where_model_and_guide_differ_in_order(x):
    def model(x):
        with rows(x):
            z2 = pyro.sample("z2", UNIT)
            z1 = pyro.sample("z1", dist.Normal(z2, 1.0))
            pyro.sample("x", dist.Normal(z1, 1.0), obs=x[:, 0])

    def guide(x):
        with rows(x):
            z1 = pyro.sample("z1", dist.Normal(x[:, 0], 1.0))
            pyro.sample("z2", dist.Normal(z1, 1.0))

    terms = log_terms(model, guide, x)
    match = r"one order; model has \['z2', 'z1'\], guide has \['z1', 'z2'\] \(the sampled"
    with refused(ValueError, match):
        ELBO(analytic_kl=True).bound(terms)
    # Pyro's own would go on without a word, and be off.
    with refused(ValueError, match):
        mean_field = pyro.infer.TraceMeanField_ELBO()
        fit(PAIRS["two-layers"](), torch.randn(30, 1), estimator=mean_field, progress=False)


@pytest.mark.parametrize("estimator", [ELBO(), IWAE(3), Renyi(0.5, 3)])
def test_a_site_whose_gradient_would_be_left_out(x, estimator):
    def discrete(x):
        with rows(x):
            z = pyro.sample("z", dist.Bernoulli(0.5))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, 0])

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Bernoulli(logits=x[:, 0]))

    name = type(estimator).__name__
    with refused(ValueError, f"{name} needs reparameterized or enumerated sites, .*; got 'z'"):
        estimator.differentiable_loss(discrete, guide, x)


@pytest.mark.parametrize("estimator", [IWAE(3), Renyi(0.5, 3)])
def test_a_k_sample_bound_of_scaled_densities(x, estimator):
    scaled = poutine.scale(model, scale=0.5)
    with refused(ValueError, r"needs log-densities as they are; got a poutine\.scale on 'z'\."):
        estimator.differentiable_loss(scaled, guide, x)


def test_a_guide_that_cannot_be_scored_at_a_given_draw(x):
    flow = Planar(2)

    def guide(x):
        with rows(x):
            base = dist.Normal(x[:, :2], 0.5).to_event(1)
            pyro.sample("z", dist.TransformedDistribution(base, [flow]))

    terms = log_terms(linear_pair().model, guide, x)
    with refused(ValueError, r"guide must have a density at any given draw; got a transform"):
        _ = terms.fixed


def test_a_field_that_the_batch_lacks(x):
    def with_label(x, y):
        model(x)

    with refused(ValueError, r"model must ask for fields .* \['index', 'x'\]; got 'y'\."):
        log_terms(with_label, guide, {"x": x, "index": torch.arange(3)})
