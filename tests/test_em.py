"""Laws of EM: it touches log p(x), never falls, and finds what closed forms and sums say."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.distributions.constraints import unit_interval
from torch.testing import assert_close

from ppvae import ELBO, IWAE, em, log_terms
from ppvae.distributions import DiagonalCovariance, FullCovariance, TiedCovariance
from ppvae.em import along, joint_table, posterior_table
from ppvae.guides import EmptyGuide, PerDatumCategoricalGuide
from ppvae.models import ClusterMixture, GaussianMixture

EXACT = {"rtol": 0, "atol": 1e-10}
KINDS = (FullCovariance, TiedCovariance, DiagonalCovariance)
each_kind = pytest.mark.parametrize("kind", KINDS)


def three_groups(rows=60):
    y = torch.arange(rows) % 3
    return torch.randn(rows, 2) + torch.tensor([[0.0, 0.0], [3.0, 1.0], [0.0, 4.0]])[y]


def mixture(kind=FullCovariance, components=3):
    start = torch.tensor([[-1.0, 0.0], [2.0, 0.0], [1.0, 2.0]])[:components]
    return GaussianMixture(start, kind(components, 2), torch.arange(1.0, 1 + components) / 6)


def without_m_step(model):
    """The same program, of whose closed M-step nothing is known."""

    def program(x):
        pyro.module("mixture", model)
        return model(x)

    return program


def two_labels():
    """A plain function: y1 of three, y2 a bit given y1; x ~ N(a y1 + b y2, 1)."""

    def model(x, mask=None):
        slope = pyro.param("slope", torch.tensor([0.7, -1.1]))
        chances = pyro.param("chances", torch.tensor([0.2, 0.5, 0.7]), unit_interval)
        with pyro.plate("data", len(x), dim=-1):
            y1 = pyro.sample("y1", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])))
            y2 = pyro.sample("y2", dist.Bernoulli(chances[y1]))
            likelihood = dist.Normal(slope[0] * y1 + slope[1] * y2, 1.0)
            pyro.sample("x", likelihood if mask is None else likelihood.mask(mask), obs=x)

    return model


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "gradient"])
@each_kind
def test_each_e_step_touches_log_evidence_and_nothing_ever_falls(kind, closed):
    model, x = mixture(kind), three_groups()
    result = em(model if closed else without_m_step(model), x, steps=12, tolerance=0.0)
    assert_close(result.elbo, result.log_evidence, **EXACT)
    assert (result.elbo_after - result.elbo[:-1] > -1e-10).all()
    assert (result.log_evidence[1:] - result.elbo_after > -1e-10).all()
    assert result.log_evidence[-1] - result.log_evidence[0] > 10


@each_kind
def test_a_closed_m_step_leaves_no_slope_of_j(kind):
    model, x = mixture(kind), three_groups()
    posterior = posterior_table(model, x)
    model.m_step(x, posterior)
    slopes = torch.autograd.grad(
        joint_table(model, x).elbo(posterior).sum(), list(model.parameters())
    )
    for slope in slopes:
        assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-9)


@each_kind
def test_an_m_step_by_gradient_ends_where_the_closed_one_does(kind):
    closed, free, x = mixture(kind), mixture(kind), three_groups()
    ours = em(closed, x, steps=3, tolerance=0.0)
    theirs = em(without_m_step(free), x, steps=3, tolerance=0.0, inner_steps=200)
    assert_close(theirs.log_evidence, ours.log_evidence, rtol=0, atol=1e-5)
    assert_close(free.means, closed.means, rtol=0, atol=1e-3)


def test_j_is_the_elbo_of_a_guide_with_these_responsibilities():
    model, x = mixture(), three_groups()
    guide = PerDatumCategoricalGuide(len(x), 3)
    guide.table.data = torch.randn(len(x), 3)
    terms = log_terms(model, guide, {"x": x, "index": torch.arange(len(x))})
    found = joint_table(model, x).elbo(guide.table.softmax(1))
    assert_close(found, ELBO().bound(terms), **EXACT)


def test_a_guide_per_datum_finds_its_rows_by_their_numbers():
    model, x, index = mixture(), three_groups(6), torch.tensor([4, 0, 5, 2, 2, 9])
    guide = PerDatumCategoricalGuide(10, 3)
    guide.table.data = torch.randn(10, 3)
    terms = log_terms(model, guide, {"x": x, "index": index})
    posterior = torch.stack([guide.table[row].softmax(0) for row in index.tolist()])
    assert_close(ELBO().bound(terms), joint_table(model, x).elbo(posterior), **EXACT)


@pytest.mark.parametrize("bound", [ELBO(), ELBO(3), IWAE(4)], ids=repr)
def test_a_model_that_sums_its_label_out_has_bounds_of_log_evidence(bound):
    model, x = mixture(), three_groups()
    found = bound.bound(log_terms(model, EmptyGuide(), x, num_particles=bound.num_particles))
    assert_close(found, joint_table(model, x).log_evidence, **EXACT)


def test_log_evidence_of_a_mixture_is_the_sum_over_its_components():
    model, x = mixture(), three_groups()
    model.covariance.root.data = torch.randn(3, 2, 2) / 2
    factors, weights = model.covariance(), model.theta.softmax(0)
    each = [
        weight.log() + torch.distributions.MultivariateNormal(mean, scale_tril=factor).log_prob(x)
        for weight, mean, factor in zip(weights, model.means, factors, strict=True)
    ]
    assert_close(joint_table(model, x).log_joint, torch.stack(each, 1), **EXACT)


def test_several_labels_have_one_joint_posterior():
    model, x = two_labels(), torch.randn(5)
    table = joint_table(model, x)
    assert table.sites == ("y1", "y2")
    by_hand = torch.empty(5, 3, 2)
    for y1 in range(3):
        for y2 in range(2):
            values = {"y1": torch.full((5,), y1), "y2": torch.full((5,), float(y2))}
            trace = poutine.trace(poutine.condition(model, values)).get_trace(x)
            trace.compute_log_prob()
            by_hand[:, y1, y2] = sum(trace.nodes[n]["log_prob"] for n in ("y1", "y2", "x"))
    assert_close(table.log_joint, by_hand, **EXACT)
    assert_close(posterior_table(model, x), by_hand.flatten(1).softmax(1).view(5, 3, 2))


def test_em_serves_a_plain_function_with_several_labels_and_named_fields():
    x, mask = 2 * torch.randn(40), torch.rand(40) < 0.8
    result = em(two_labels(), {"x": x, "mask": mask, "index": torch.arange(40)}, steps=10)
    assert_close(result.elbo, result.log_evidence, **EXACT)
    assert (result.log_evidence.diff() > -1e-10).all()
    assert result.log_evidence[-1] - result.log_evidence[0] > 1
    assert {"slope", "chances"} == result.parameters[0].keys()
    assert (result.pair.params["chances"] - torch.tensor([0.2, 0.5, 0.7])).abs().max() > 0.01


def test_a_marked_and_an_unmarked_label_are_enumerated_alike():
    x = torch.randn(6, 2)
    centres = torch.randn(3, 2)
    table = joint_table(ClusterMixture(centres, width=0.8), x)
    spheres = GaussianMixture(centres, DiagonalCovariance(3, 2))
    spheres.covariance.assign(torch.full((3, 2), 0.64))
    assert_close(table.log_joint, joint_table(spheres, x).log_joint, **EXACT)


def test_a_given_m_step_goes_before_the_models_own_and_gets_fields_by_name():
    model, x = mixture(), three_groups()
    asked = []

    def only_weights(index, posterior):
        asked.append(index)
        model.theta.copy_(posterior.mean(0).log())

    before = model.means.detach().clone()
    result = em(model, {"x": x, "index": torch.arange(len(x))}, m_step=only_weights, steps=4)
    assert torch.equal(model.means, before) and torch.equal(asked[0], torch.arange(len(x)))
    assert result.log_evidence[-1] > result.log_evidence[0]


def test_the_order_of_components_is_the_order_of_their_starts():
    model, x, order = mixture(), three_groups(), torch.tensor([2, 0, 1])
    weights = model.theta.detach().softmax(0)[order]
    turned = GaussianMixture(model.means[order], FullCovariance(3, 2), weights)
    ours, theirs = (em(each, x, steps=5, tolerance=0.0) for each in (model, turned))
    assert_close(ours.log_evidence, theirs.log_evidence, **EXACT)
    assert_close(model.means[order], turned.means, **EXACT)


def test_the_parameters_of_each_step_can_be_put_back():
    model, x = mixture(), three_groups()
    result = em(model, x, steps=5, tolerance=0.0)
    for step in (0, 3, -1):
        result.load(step)
        assert_close(joint_table(model, x).log_evidence.sum(), result.log_evidence[step], **EXACT)
    with pytest.raises(ValueError, match=r"step must be between -1 and 5; got 6\."):
        result.load(6)


def test_em_ends_with_a_step_that_gains_too_little():
    model, x = mixture(), three_groups()
    result = em(model, x, tolerance=1e-4)
    gains = result.per_datum.diff()
    assert result.converged and (gains[:-1] > 1e-4).all() and gains[-1] <= 1e-4
    assert not em(mixture(), x, steps=2).converged


def test_bounds_along_one_number_touch_where_em_stood():
    x = torch.cat([torch.randn(30, 1) - 2, torch.randn(30, 1) + 2])
    model = GaussianMixture(torch.tensor([[-1.0], [0.0]]), DiagonalCovariance(2, 1))

    def m_step(x, posterior):
        model.means[0] = posterior[:, 0] @ x / posterior[:, 0].sum()

    result = em(model, x, m_step=m_step, steps=5)
    found = along(result, x, "model.means", (0, 0), torch.linspace(-4, 4, 41), steps=3)
    assert (found.elbo <= found.log_evidence + 1e-12).all()
    at_steps = along(result, x, "model.means", (0, 0), found.steps[:3], steps=3)
    assert_close(at_steps.elbo.diagonal(), found.at_steps[:3], **EXACT)
    assert model.means[0, 0].item() == found.steps[-1].item()
    with pytest.raises(ValueError, match=r"name must be one of .*model\.theta.*; got 'mean'\."):
        along(result, x, "mean", (0,), torch.zeros(1), steps=1)
