"""Rows with holes scored by what is observed of them, whatever lies in the holes."""

from functools import partial

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import scipy.stats
import torch
from pyro.infer import SVI, Trace_ELBO
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, IWAE, Experiment, check, evaluate, log_terms
from ppvae.bench.blocks import blocks_of
from ppvae.bench.targets import exact_gradients
from ppvae.data import from_arrays
from ppvae.distributions import (
    BernoulliLikelihood,
    GaussianLikelihood,
    StandardNormal,
    StudentTLikelihood,
    masked,
)
from ppvae.exact import ExactGaussian
from ppvae.guides import GaussianGuide, MaskedGuide
from ppvae.models import VAE, LinearGaussian
from ppvae.networks import MLP, PartialConvEncoder

B, P, D = 6, 16, 2
exactly = partial(assert_close, rtol=0, atol=1e-10)


@pytest.fixture
def x():
    return torch.rand(B, P).round()


@pytest.fixture
def mask():
    seen = torch.rand(B, P) < 0.6
    # A row of which nothing is observed, and one of which all is.
    seen[0], seen[1] = False, True
    return seen


def vae(guide, likelihood=BernoulliLikelihood, parts=1):
    return VAE(MLP(D, [6], parts * P), StandardNormal(D), likelihood()), guide


def linear():
    model = LinearGaussian(torch.randn(P, D), bias=torch.randn(P), scale=0.7)
    return model, model.exact_guide


PAIRS = {
    "zeros-in-holes": lambda: vae(GaussianGuide(MLP(P, [6], 2 * D))),
    "told-of-holes": lambda: vae(MaskedGuide(MLP([P, P], [6], 2 * D))),
    "partial-convolutions": lambda: vae(
        MaskedGuide(PartialConvEncoder((1, 4, 4), 2 * D, channels=2))
    ),
    "gaussian": lambda: vae(GaussianGuide(MLP(P, [6], 2 * D)), GaussianLikelihood),
    "student": lambda: vae(MaskedGuide(MLP([P, P], [6], 2 * D)), StudentTLikelihood, parts=3),
    "exact": linear,
}
every_pair = pytest.mark.parametrize("build", PAIRS.values(), ids=PAIRS)


def bound_and_gradients(pair, x, mask):
    pyro.set_rng_seed(1)
    bound = IWAE(3).bound(log_terms(*pair, {"x": x, "mask": mask}, num_particles=3))
    leaves = list(ppvae.Pair(*pair).leaves.values())
    return bound, *torch.autograd.grad(bound.sum(), leaves)


@every_pair
@pytest.mark.parametrize("held", [torch.nan, torch.inf, 1.0, -1e30])
def test_what_lies_in_a_hole_changes_no_value_and_no_gradient(build, held, x, mask):
    pair = build()
    expected = bound_and_gradients(pair, x.masked_fill(~mask, 0.0), mask)
    found = bound_and_gradients(pair, x.masked_fill(~mask, held), mask)
    assert all(value.isfinite().all() for value in found)
    assert all(map(torch.equal, found, expected))


@every_pair
def test_a_mask_of_ones_changes_nothing(build, x):
    pair = build()
    bounds = []
    for fields in ({"x": x}, {"x": x, "mask": torch.ones_like(x).bool()}):
        pyro.set_rng_seed(1)
        bounds.append(log_terms(*pair, fields, num_particles=3).log_weight)
    exactly(*bounds)


@pytest.mark.parametrize(
    ("likelihood", "params", "by_hand"),
    [
        (BernoulliLikelihood, (B, P), lambda p: dist.Bernoulli(logits=p)),
        (partial(GaussianLikelihood, 0.3), (B, P), lambda p: dist.Normal(p, 0.3)),
        (
            StudentTLikelihood,
            (B, 3 * P),
            lambda p: dist.StudentT(
                3 + p[:, 2 * P :].exp().log1p(), p[:, :P], 1e-3 + p[:, P : 2 * P].exp().log1p()
            ),
        ),
    ],
)
def test_the_likelihood_is_the_sum_over_observed_values(likelihood, params, by_hand, x, mask):
    params = torch.randn(params)
    found = masked(likelihood()(params), mask).log_prob(x)
    exactly(found, (by_hand(params).log_prob(x) * mask).sum(-1))
    assert found[0] == 0


def test_a_masked_likelihood_draws_all_values(x, mask):
    drawn = masked(BernoulliLikelihood()(torch.full((B, P), 50.0)), mask).sample()
    assert torch.equal(drawn, torch.ones(B, P))


@pytest.mark.parametrize("bound", [ELBO, IWAE])
def test_every_bound_of_the_exact_guide_is_the_evidence_of_what_is_observed(bound, mask):
    model, guide = linear()
    x = torch.randn(B, P)
    terms = log_terms(model, guide, {"x": x, "mask": mask}, num_particles=5)
    exactly(bound(num_particles=5).bound(terms), model.log_evidence(x, mask))


def test_the_evidence_of_what_is_observed_is_the_gaussian_marginal(mask):
    model, _ = linear()
    x = torch.randn(B, P)
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    covariance = weight @ weight.T + 0.49 * np.eye(P)
    found = model.log_evidence(x, mask).detach()
    assert found[0].abs() < 1e-10
    for row in range(1, B):
        seen = mask[row].numpy()
        part = scipy.stats.multivariate_normal(bias[seen], covariance[np.ix_(seen, seen)])
        assert abs(part.logpdf(x[row].numpy()[seen]) - found[row].item()) < 1e-10


def test_pyros_own_elbo_scores_what_is_observed(mask):
    model, guide = linear()
    x = torch.randn(B, P)
    loss = SVI(model, guide, pyro.optim.Adam({}), Trace_ELBO()).evaluate_loss(x, mask)
    exactly(torch.tensor(-loss), model.log_evidence(x, mask).sum().detach())


def test_a_value_that_no_row_observes_teaches_nothing(x, mask):
    model, guide = vae(GaussianGuide(MLP(P, [6], 2 * D)))
    mask[:, 3] = False
    log_terms(model, guide, {"x": x, "mask": mask}).log_weight.sum().backward()
    slopes = model.decoder.layers[-1].bias.grad
    assert slopes[3] == 0 and (slopes != 0).sum() == P - 1


def test_a_check_looks_at_what_is_observed_alone(x, mask):
    pair = vae(GaussianGuide(MLP(P, [6], 2 * D)))
    report = check(*pair, {"x": x.masked_fill(~mask, torch.nan), "mask": mask})
    assert not report.problems and not report.remarks
    assert "model 'x' (observed, Bernoulli)" in str(report)
    grey = check(*pair, {"x": x.masked_fill(mask, 0.5), "mask": mask})
    assert "must lie in the support of Bernoulli; got 0.5" in grey.problems[0]


def test_a_model_that_does_not_ask_for_the_mask_is_remarked_upon(x, mask):
    model, guide = vae(GaussianGuide(MLP(P, [6], 2 * D)))
    fields = {"x": x, "mask": mask}
    remarks = check(lambda x: model(x), guide, fields).remarks
    assert any("the model does not ask for the mask" in remark for remark in remarks)


def test_rows_outside_of_the_support_are_found_where_they_are_observed(x, mask):
    def data():
        rows = {"train": x, "valid": x, "test": grey}
        return from_arrays(rows | {f"mask_{split}": mask for split in rows})

    grey, pair = x.clone(), vae(GaussianGuide(MLP(P, [6], 2 * D)))
    grey[-1, 2] = 0.5
    fit = partial(ppvae.fit, pair, steps=1, batch_size=2, progress=False)
    mask[-1, 2] = True
    with pytest.raises(ValueError, match="x must lie in the support of the model's likelihood"):
        fit(data())
    mask[-1, 2] = False
    fit(data())


def test_data_of_which_0_is_no_value_may_have_holes(mask):
    def positive(params):
        return dist.LogNormal(params, 0.5).to_event(1)

    model = VAE(MLP(D, [6], P), StandardNormal(D), positive)
    pair = model, GaussianGuide(MLP(P, [6], 2 * D))
    x = torch.rand(B, P) + 0.5
    data = from_arrays({"x": x, "mask": mask | (torch.rand(B, P) < 0.5)})
    ppvae.fit(pair, data, steps=2, batch_size=2, progress=False)
    gradients = bound_and_gradients(pair, x.masked_fill(~mask, 0.0), mask)
    assert all(value.isfinite().all() for value in gradients)


def test_masks_drawn_anew_hide_no_value_that_another_epoch_would_show(x):
    x[2, 3] = 0.5
    data = from_arrays({"x": x.repeat(5, 1)}, missing="pixels:0.9", masks="anew")
    pair = vae(GaussianGuide(MLP(P, [6], 2 * D)))
    with pytest.raises(ValueError, match="must lie in the support of"):
        ppvae.fit(pair, data, steps=1, batch_size=2, progress=False)


def test_an_evaluation_steps_over_what_lies_in_holes(x, mask):
    pair = vae(MaskedGuide(MLP([P, P], [6], 2 * D)))
    found, expected = (
        evaluate(pair, {"x": x.masked_fill(~mask, held), "mask": mask}, num_particles=4)
        for held in (torch.nan, 0.0)
    )
    assert found.identical(expected)
    assert np.isnan(found["bits_per_dim"][0]) and not np.isnan(found["bits_per_dim"][1:]).any()
    with pytest.raises(ValueError, match="x must be finite; got nan in row 1"):
        evaluate(pair, {"x": x.masked_fill(mask, torch.nan), "mask": mask})


def test_the_exact_evidence_beside_an_evaluation_is_that_of_what_is_observed(mask):
    model, guide = linear()
    fields = {"x": torch.randn(B, P), "mask": mask}
    exact = ExactGaussian(model.log_evidence, model.posterior, model.posterior)
    known = Experiment(model, guide, log_evidence=exact.log_evidence)
    found = evaluate(known, fields, num_particles=3)
    np.testing.assert_allclose(found["log_evidence_exact"], found["log_evidence"], atol=1e-10)
    exactly(exact.elbo(**fields), model.log_evidence(**fields))
    whole = Experiment(model, guide, log_evidence=lambda x: model.log_evidence(x))
    left_out = evaluate(whole, fields, num_particles=3)
    assert "log_evidence_exact" not in left_out
    assert "it is known of rows without holes alone" in left_out.attrs["note"]


def test_the_exact_gradient_is_that_of_what_is_observed(mask):
    model, guide = linear()
    fields = {"x": torch.randn(B, P), "mask": mask}
    pair, batch = ppvae.Pair(model, guide), ((), fields)
    blocks = blocks_of(pair, batch, None)
    known = {"log_evidence": model.log_evidence}
    found = exact_gradients(known, batch, blocks, model)["log p(x)"]
    model.log_evidence(**fields).mean().backward()
    assert len(found) == 3
    for name, slope in found.items():
        exactly(slope, blocks.leaves[name].grad)
    whole = {"log_evidence": lambda x: model.log_evidence(x)}
    assert exact_gradients(whole, batch, blocks, model) == {}
