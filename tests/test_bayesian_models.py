"""Models whose weights are latent: what they score, at one draw and at several, and N / B."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from regressions import logistic
from torch import nn
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, log_terms
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide, GlobalMeanFieldGuide, WeightsAndCodesGuide
from ppvae.models import VAE, BayesianLogisticRegression, BayesianVAE
from ppvae.networks import MLP

P, D, B = 6, 2, 5
exact = {"rtol": 0, "atol": 1e-10}


def decoder():
    return MLP(D, [3], P)


def bayesian_vae(num_rows=B, over_codes=None):
    model = BayesianVAE(decoder(), StandardNormal(D), BernoulliLikelihood(), num_rows)
    over_codes = over_codes or GaussianGuide(MLP(P, [4], 2 * D))
    guide = WeightsAndCodesGuide(GlobalMeanFieldGuide(model.initial_weights), over_codes, num_rows)
    return model, guide


def bits(num_rows=B):
    return torch.rand(num_rows, P).lt(0.4).double()


@pytest.mark.parametrize("num_particles", [1, 7])
def test_the_regression_scores_each_row_under_each_draw_of_the_weights(num_particles):
    model, guide, batch = logistic(num_rows=8)
    terms = log_terms(model, guide, batch, num_particles=num_particles)
    w = terms.values["w"].reshape(num_particles, -1)
    logits = w[:, :-1] @ batch["x"].T + w[:, -1:]
    by_hand = batch["y"] * logits.sigmoid().log() + (1 - batch["y"]) * (-logits).sigmoid().log()
    assert_close(terms.likelihood["y"], by_hand, **exact)
    assert_close(terms.global_prior["w"], dist.Normal(0.0, 1.0).log_prob(w).sum(-1), **exact)


def test_labels_left_out_are_drawn():
    model, _, batch = logistic()
    pyro.set_rng_seed(0)
    weights = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0])
    drawn = poutine.condition(model, {"w": weights})
    trace = poutine.trace(drawn).get_trace(batch["x"].repeat(500, 1))
    y = trace.nodes["y"]["value"]
    share = torch.sigmoid(torch.tensor(1.0))
    # 30000 labels: a false alarm once in two million runs.
    assert (y.mean() - share).abs() < 5 * (share * (1 - share) / len(y)) ** 0.5


@pytest.mark.parametrize("pair", ["regression", "decoder"])
def test_batches_stand_for_all_rows_in_the_mean(pair):
    if pair == "regression":
        model, guide, batch = logistic(num_rows=60)
    else:
        # One code for all rows: the draws must not depend on which rows are in the batch.
        model, guide = bayesian_vae(20, over_codes=one_code)
        batch = {"x": bits(20)}
    rows = len(batch["x"])

    def loss(part):
        pyro.set_rng_seed(3)
        return torch.tensor(ELBO().loss(model, guide, **part))

    each = [
        loss({name: values[start : start + rows // 4] for name, values in batch.items()})
        for start in range(0, rows, rows // 4)
    ]
    assert_close(torch.stack(each).mean(), loss(batch), rtol=1e-10, atol=0)


def one_code(x):
    with pyro.plate("data", len(x), dim=-1):
        loc = torch.full((len(x), D), 0.3)
        return pyro.sample("z", dist.Delta(loc, event_dim=1))


def test_the_guide_counts_codes_as_the_model_does():
    model, guide = bayesian_vae(num_rows=20)
    terms = log_terms(model, guide, bits(B), num_particles=3)
    assert terms.scale == 20 / B and not terms.rescaled
    drawn, z = guide.over_codes.distribution(terms.batch[0][0]), terms.values["z"]
    assert_close(terms.posterior["z"], drawn.log_prob(z), **exact)


def test_at_its_own_weights_the_bayesian_decoder_is_the_vae():
    torch.manual_seed(0)
    own = decoder()
    plain = VAE(own, StandardNormal(D), BernoulliLikelihood())
    model = BayesianVAE(own, StandardNormal(D), BernoulliLikelihood(), B)
    x, z = bits(), torch.randn(B, D)
    held = {"z": z, **model.initial_weights}
    found = poutine.trace(poutine.condition(model, held)).get_trace(x)
    expected = poutine.trace(poutine.condition(plain, {"z": z})).get_trace(x)
    for trace in (found, expected):
        trace.compute_log_prob()
    assert_close(found.nodes["x"]["log_prob"], expected.nodes["x"]["log_prob"], **exact)


def test_each_draw_of_the_weights_decodes_the_codes_drawn_with_it():
    model, guide = bayesian_vae()
    x = bits()
    terms = log_terms(model, guide, x, num_particles=4)
    for k in range(4):
        # By hand: two layers with tanh between them.
        w1, b1, w2, b2 = (terms.values[name][k].squeeze(0) for name in model.initial_weights)
        logits = torch.tanh(terms.values["z"][k] @ w1.T + b1) @ w2.T + b2
        by_hand = dist.Bernoulli(logits=logits).log_prob(x).sum(-1)
        assert_close(terms.likelihood["x"][k], by_hand, **exact)


def test_the_weights_of_the_decoder_that_was_given_stay_where_they_are():
    own = decoder()
    before = [p.detach().clone() for p in own.parameters()]
    model = BayesianVAE(own, StandardNormal(D), BernoulliLikelihood(), B)
    guide = WeightsAndCodesGuide(
        GlobalMeanFieldGuide(model.initial_weights), GaussianGuide(nn.Linear(P, 2 * D)), B
    )
    svi = ppvae.SVI(model, guide, lambda p: torch.optim.Adam(p, lr=0.05), ELBO())
    x = bits()
    losses = [svi.step(x) for _ in range(100)]
    assert sum(losses[-20:]) < sum(losses[:20])
    assert not list(model.parameters())
    for parameter, value in zip(own.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


REFUSED = {
    "features": (
        lambda: BayesianLogisticRegression(0, 5),
        "num_features must be at least 1; got 0",
    ),
    "rows": (lambda: BayesianLogisticRegression(2, 0), "num_rows must be at least 1; got 0"),
    "scale": (
        lambda: BayesianLogisticRegression(2, 5, float("nan")),
        "prior_scale must be positive and finite; got nan",
    ),
    "width": (
        lambda: BayesianLogisticRegression(2, 5)(torch.zeros(5, 3), torch.zeros(5)),
        r"features must be \(B, 2\), B = 5; got shape \(5, 3\)",
    ),
    "column": (
        lambda: BayesianLogisticRegression(3, 5)(torch.zeros(5, 3), torch.zeros(5, 1)),
        r"y must hold one label a row, \(5,\); got shape \(5, 1\)",
    ),
    "decoder rows": (lambda: bayesian_vae(0), "num_rows must be at least 1; got 0"),
    "decoder scale": (
        lambda: BayesianVAE(decoder(), StandardNormal(D), BernoulliLikelihood(), 5, 0.0),
        "prior_scale must be positive and finite; got 0.0",
    ),
    "statistics": (
        lambda: BayesianVAE(nn.BatchNorm1d(D), StandardNormal(D), BernoulliLikelihood(), 5),
        "decoder must have parameters and no running statistics; got BatchNorm1d",
    ),
    "no weights": (
        lambda: BayesianVAE(nn.Tanh(), StandardNormal(D), BernoulliLikelihood(), 5),
        "decoder must have parameters and no running statistics; got Tanh",
    ),
    "images": (
        lambda: bayesian_vae()[0](torch.zeros(2, 1, 3, 2)),
        r"x must be 2-dimensional, \(B, P\); got shape \(2, 1, 3, 2\)",
    ),
    "wide": (
        lambda: bayesian_vae()[0](torch.zeros(2, P + 1)),
        f"decoder must be as wide as x, {P + 1}; got {P}",
    ),
    "guide rows": (
        lambda: WeightsAndCodesGuide(lambda x: x, lambda x: x, 0),
        "num_rows must be at least 1; got 0",
    ),
}


@pytest.mark.parametrize("attempt, message", REFUSED.values(), ids=REFUSED)
def test_what_is_no_bayesian_model_is_refused(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()
