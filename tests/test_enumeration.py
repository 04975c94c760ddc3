"""Discrete sites are summed out exactly, under q(y|x) or inside the weight."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import ENUMERATED, labelled_pair, linear_pair, rows, standard_normal
from pyro.infer import TraceEnum_ELBO
from torch.testing import assert_close

from ppvae import ELBO, IWAE, log_terms

exactly = partial(assert_close, rtol=0, atol=1e-10)
few_and_many = pytest.mark.parametrize("num_particles", [1, 4])


def loss_under_seed(estimator, model, guide, x):
    pyro.set_rng_seed(3)
    return torch.tensor(estimator.loss(model, guide, x))


def summed_by_pyro(model, guide, x, num_particles):
    estimator = TraceEnum_ELBO(num_particles, max_plate_nesting=1, vectorize_particles=True)
    return loss_under_seed(estimator, model, guide, x)


def mixture(classes=3):
    """y ~ Categorical, x ~ N(2y, 1); the labels are all that is latent."""
    prior = torch.tensor([0.2, 0.3, 0.5])

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(prior))
            pyro.sample("x", dist.Normal(2.0 * y, 1.0), obs=x)

    def guide(x):
        with rows(x):
            logits = torch.stack([x, -x, 0.5 * x], -1)
            pyro.sample("y", dist.Categorical(logits=logits), infer=ENUMERATED)

    def joint(x):
        means = 2.0 * torch.arange(classes)[:, None]
        return prior.log()[:, None] + dist.Normal(means, 1.0).log_prob(x)

    return model, guide, joint


def two_labels():
    """y1 of three, y2 of two given y1, z given both."""
    table, weight = torch.rand(3, 2) + 0.1, torch.randn(4, 2)

    def model(x):
        with rows(x):
            y1 = pyro.sample("y1", dist.Categorical(torch.ones(3)))
            y2 = pyro.sample("y2", dist.Categorical(table[y1]))
            z = pyro.sample("z", standard_normal(2))
            loc = z @ weight.T + (y1 - 2 * y2).unsqueeze(-1)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            y1 = pyro.sample("y1", dist.Categorical(logits=x[:, :3]), infer=ENUMERATED)
            logits = torch.stack([x[:, 0] * y1, x[:, 1] - y1], -1)
            y2 = pyro.sample("y2", dist.Categorical(logits=logits), infer=ENUMERATED)
            loc = x[:, :2] + 0.2 * (y1 + y2).unsqueeze(-1)
            pyro.sample("z", dist.Normal(loc, 0.5).to_event(1))

    return model, guide


def label_of_the_model_alone():
    """As M2's model, but the guide leaves y to be summed out of the model."""
    pair = labelled_pair()

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(pair.prior), infer=ENUMERATED)
            z = pyro.sample("z", dist.Normal(y.unsqueeze(-1).expand(*y.shape, 2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ pair.weight.T, 1.0).to_event(1), obs=x)

    return model, linear_pair().guide, pair


@few_and_many
def test_elbo_is_the_sum_over_labels_by_hand(num_particles):
    pair, x = labelled_pair(), torch.randn(5, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=num_particles)
    weight = pair.log_weight(x, terms.values["z"])
    by_hand = (pair.log_labels(x).exp()[:, None] * weight).sum(0).mean(0)
    exactly(ELBO(num_particles).bound(terms), by_hand)


@few_and_many
def test_iwae_has_the_labels_inside_the_weight(num_particles):
    pair, x = labelled_pair(), torch.randn(5, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=num_particles)
    weight = (pair.log_weight(x, terms.values["z"]) + pair.log_labels(x)[:, None]).exp().sum(0)
    exactly(IWAE(num_particles).bound(terms), weight.mean(0).log())


@few_and_many
def test_elbo_agrees_with_trace_enum_elbo(num_particles):
    pair, x = labelled_pair(), torch.randn(5, 4)
    ours = loss_under_seed(ELBO(num_particles), pair.model, pair.guide, x)
    exactly(ours, summed_by_pyro(pair.model, pair.guide, x, num_particles))


@few_and_many
def test_gradient_of_the_label_network_agrees_with_trace_enum_elbo(num_particles):
    pair, x = labelled_pair(), torch.randn(5, 4)
    pair.logits.requires_grad_()
    theirs = TraceEnum_ELBO(num_particles, max_plate_nesting=1, vectorize_particles=True)
    gradients = []
    for estimator in (ELBO(num_particles), theirs):
        pyro.set_rng_seed(3)
        loss = estimator.differentiable_loss(pair.model, pair.guide, x)
        gradients += torch.autograd.grad(loss, pair.logits)
    exactly(*gradients)


def test_one_weight_of_a_mixture_is_its_exact_evidence():
    model, guide, joint = mixture()
    x = torch.randn(5) * 3
    terms = log_terms(model, guide, x)
    exactly(terms.marginal, joint(x).logsumexp(0)[None])
    exactly(IWAE(1).bound(terms), joint(x).logsumexp(0))


def test_elbo_of_a_mixture_is_below_its_evidence_by_the_kl():
    model, guide, joint = mixture()
    x = torch.randn(5) * 3
    log_q = torch.stack([x, -x, 0.5 * x]).log_softmax(0)
    kl = (log_q.exp() * (log_q - joint(x).log_softmax(0))).sum(0)
    exactly(ELBO().bound(log_terms(model, guide, x)), joint(x).logsumexp(0) - kl)


def test_a_label_of_probability_zero_adds_nothing():
    prior = torch.tensor([0.25, 0.75])

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(prior))
            pyro.sample("x", dist.Normal(1.0 * y, 1.0), obs=x)

    def guide(x):
        with rows(x):
            certain = torch.tensor([-torch.inf, 0.0]).expand(len(x), 2)
            pyro.sample("y", dist.Categorical(logits=certain), infer=ENUMERATED)

    x = torch.randn(5)
    bound = ELBO().bound(log_terms(model, guide, x))
    exactly(bound, prior[1].log() + dist.Normal(1.0, 1.0).log_prob(x))


@few_and_many
def test_two_enumerated_sites_agree_with_trace_enum_elbo(num_particles):
    (model, guide), x = two_labels(), torch.randn(5, 4)
    ours = loss_under_seed(ELBO(num_particles), model, guide, x)
    exactly(ours, summed_by_pyro(model, guide, x, num_particles))


def test_two_enumerated_sites_have_a_dimension_each():
    (model, guide), x = two_labels(), torch.randn(5, 4)
    terms = log_terms(model, guide, x, num_particles=4)
    assert terms.enumerated == ["y1", "y2"]
    assert terms.log_weight.shape == (2, 3, 4, 5)
    assert terms.marginal.shape == (4, 5)


@few_and_many
def test_a_label_of_the_model_alone_agrees_with_trace_enum_elbo(num_particles):
    model, guide, _ = label_of_the_model_alone()
    x = torch.randn(5, 4)
    ours = loss_under_seed(ELBO(num_particles), model, guide, x)
    exactly(ours, summed_by_pyro(model, guide, x, num_particles))


@few_and_many
def test_a_label_of_the_model_alone_is_summed_out_of_the_weight(num_particles):
    model, guide, pair = label_of_the_model_alone()
    x = torch.randn(5, 4)
    terms = log_terms(model, guide, x, num_particles=num_particles)
    z, y = terms.values["z"], torch.arange(3.0)[:, None, None, None]
    prior = pair.prior.log()[:, None, None] + dist.Normal(y, 1.0).log_prob(z).sum(-1)
    likelihood = dist.Normal(z @ pair.weight.T, 1.0).log_prob(x).sum(-1)
    exactly(terms.log_weight, prior.logsumexp(0) + likelihood - terms.log_posterior)


def test_a_prior_given_the_models_own_label_has_no_analytic_kl():
    model, guide, _ = label_of_the_model_alone()
    terms = log_terms(model, guide, torch.randn(5, 4), num_particles=4)
    assert not terms.kl
    exactly(terms.log_weight_with_kl, terms.log_weight)


def test_labels_of_guide_and_model_are_summed_each_in_its_way():
    pair, x = labelled_pair(), torch.randn(5, 4, requires_grad=True)

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(pair.prior))
            w = pyro.sample("w", dist.Categorical(torch.tensor([0.4, 0.6])), infer=ENUMERATED)
            z = pyro.sample("z", standard_normal(2))
            loc = z @ pair.weight.T + (y + w).unsqueeze(-1)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    ours = loss_under_seed(ELBO(4), model, pair.guide, x)
    exactly(ours, summed_by_pyro(model, pair.guide, x, 4))
    terms = log_terms(model, pair.guide, x, num_particles=4)
    assert terms.fixed is not terms
    exactly(terms.fixed.log_weight, terms.log_weight)


@few_and_many
def test_fixed_terms_keep_the_labels_in_place(num_particles):
    pair, x = labelled_pair(), torch.randn(5, 4, requires_grad=True)
    terms = log_terms(pair.model, pair.guide, x, num_particles=num_particles)
    assert terms.fixed is not terms
    exactly(terms.fixed.log_weight, terms.log_weight)
    exactly(terms.fixed.marginal, terms.marginal)


def test_draws_taken_one_by_one_have_the_same_sums_over_labels():
    model, guide = two_labels()
    terms = log_terms(model, guide, torch.randn(6, 4), num_particles=3)
    exactly(terms.one_by_one().marginal, terms.marginal)


def test_a_closed_kl_of_bits_whose_prior_is_one_for_all_draws():
    # PyTorch's formula for two Bernoullis breaks where their shapes differ.
    logits = torch.randn(4, 1)

    def model(x):
        with rows(x):
            pyro.sample("b", dist.Bernoulli(torch.tensor(0.3)))
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("b", dist.Bernoulli(logits=logits[: len(x), 0]))

    q = torch.sigmoid(logits[:, 0])
    by_hand = q * (q / 0.3).log() + (1 - q) * ((1 - q) / 0.7).log()
    kl = log_terms(model, guide, torch.randn(4), num_particles=3).kl["b"]
    exactly(kl.expand(3, 4), by_hand.expand(3, 4))
