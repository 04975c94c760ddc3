"""Evaluation of pairs with labels, layers, masks and plates, and of those without a p(x)."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import (
    ENUMERATED,
    binary_rows,
    labelled_pair,
    linear_pair,
    rows,
    standard_normal,
)

from ppvae.distributions import BernoulliLikelihood, FlatPrior, StandardNormal
from ppvae.evaluate import evaluate
from ppvae.guides import DeltaGuide
from ppvae.models import VAE
from ppvae.networks import MLP

WITHIN = 5.0


def values(found, *names):
    return torch.stack([torch.as_tensor(found[name].values) for name in names])


def test_labels_alone_are_summed_exactly_under_p_and_under_q():
    prior, means = torch.tensor([0.2, 0.3, 0.5]), torch.randn(3, 4)
    logits = torch.randn(4, 3)

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(prior))
            pyro.sample("x", dist.Normal(means[y], 1.0).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("y", dist.Categorical(logits=x @ logits), infer=ENUMERATED)

    x = torch.randn(6, 4)
    found = evaluate((model, guide), x, num_particles=3)
    likelihood = dist.Normal(means, 1.0).log_prob(x[:, None]).sum(-1)
    log_q = (x @ logits).log_softmax(-1)
    evidence = (prior.log() + likelihood).logsumexp(-1)
    reconstruction = (log_q.exp() * likelihood).sum(-1)
    kl = (log_q.exp() * (log_q - prior.log())).sum(-1)
    expected = torch.stack([evidence, reconstruction - kl, reconstruction, kl])
    got = values(found, "log_evidence", "elbo", "reconstruction", "kl")
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)
    assert found.attrs["kl"] == "closed form"
    np.testing.assert_allclose(found["log_evidence_se"], 0.0, atol=1e-10)


def test_labels_beside_a_code_are_summed_inside_the_weight():
    pair, x = labelled_pair(), torch.randn(30, 4)
    found = evaluate((pair.model, pair.guide), x, num_particles=2000, chunk=9000)
    covariance = torch.eye(4) + pair.weight @ pair.weight.T
    by_label = [
        dist.MultivariateNormal(torch.full((4,), float(y)), covariance).log_prob(x)
        for y in range(3)
    ]
    exact = (torch.stack(by_label) + pair.prior.log()[:, None]).logsumexp(0)
    error = torch.as_tensor(found["log_evidence"].values) - exact
    assert (error.abs() < WITHIN * torch.as_tensor(found["log_evidence_se"].values)).all()


def test_labels_beside_a_code_are_expected_in_the_elbo_and_its_parts():
    pair, x = labelled_pair(), torch.randn(5, 4)
    found = evaluate((pair.model, pair.guide), x, num_particles=4000)
    y = torch.arange(3.0)[:, None, None]
    q = pair.log_labels(x).exp()
    loc = (x[:, :2] + 0.3 * y)[:, :, :2]
    kl_code = 0.5 * (loc**2 + 0.25 - 1 - 2 * math.log(0.5)).sum(-1)
    kl_label = (q * (pair.log_labels(x) - pair.prior.log()[:, None])).sum(0)
    residual = (x - loc @ pair.weight.T - y) ** 2 + 0.25 * (pair.weight**2).sum(1)
    likelihood = -0.5 * (residual + math.log(2 * math.pi)).sum(-1)
    exact = {"kl": (q * kl_code).sum(0) + kl_label, "reconstruction": (q * likelihood).sum(0)}
    exact["elbo"] = exact["reconstruction"] - exact["kl"]
    for name in ("elbo", "reconstruction"):
        error = torch.as_tensor(found[name].values) - exact[name]
        assert (error.abs() < WITHIN * torch.as_tensor(found[f"{name}_se"].values)).all()
    torch.testing.assert_close(values(found, "kl")[0], exact["kl"], rtol=0, atol=1e-10)
    # Of the code alone, averaged over labels and rows; the labels are no coordinate.
    by_dim = (q[..., None] * 0.5 * (loc**2 + 0.25 - 1 - 2 * math.log(0.5))).sum(0).mean(0)
    torch.testing.assert_close(values(found, "kl_by_dim")[0], by_dim, rtol=0, atol=1e-10)
    activity = (q[..., None] * loc).sum(0).var(0)
    torch.testing.assert_close(values(found, "activity")[0], activity, rtol=0, atol=1e-10)


def test_labels_that_only_the_model_sums_belong_to_p_of_the_code_and_of_the_data():
    centres, weight, shift = torch.tensor([[-2.0, 0.0, 3.0], [0.2, 0.3, 0.5], [0.0, 1.0, 2.0]])

    def model(x):
        with rows(x):
            c = pyro.sample("c", dist.Categorical(weight), infer=ENUMERATED)
            z = pyro.sample("z", dist.Normal(centres[c], 1.0))
            pyro.sample("x", dist.Normal(z + shift[c], 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x / 2, 0.8))

    x = torch.linspace(-2.0, 4.0, 20)
    found = evaluate((model, guide), x, num_particles=3000)
    evidence = weight.log() + dist.Normal(centres + shift, 2**0.5).log_prob(x[:, None])
    # E_q[log p(x|z)] and E_q[log p(z)] by Gauss-Hermite quadrature.
    nodes, masses = map(torch.as_tensor, np.polynomial.hermite_e.hermegauss(100))
    z = (x[:, None] / 2 + 0.8 * nodes)[..., None]
    prior = weight.log() + dist.Normal(centres, 1.0).log_prob(z)
    joint = (prior + dist.Normal(z + shift, 1.0).log_prob(x[:, None, None])).logsumexp(-1)
    masses = masses / masses.sum()
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.64)
    exact = {
        "log_evidence": evidence.logsumexp(-1),
        "reconstruction": (joint - prior.logsumexp(-1)) @ masses,
        "kl": -(prior.logsumexp(-1) @ masses) - entropy,
        "elbo": joint @ masses + entropy,
    }
    for name, truth in exact.items():
        error = torch.as_tensor(found[name].values) - truth
        assert (error.abs() < WITHIN * torch.as_tensor(found[f"{name}_se"].values)).all(), name
    assert found.attrs["kl"] == "sampled"


def layered(order):
    def model(x):
        with rows(x):
            z1 = pyro.sample("z1", standard_normal(2))
            z2 = pyro.sample("z2", dist.Normal(0.5 * z1, 0.8).to_event(1))
            pyro.sample("x", dist.Normal(z2, 1.0).to_event(1), obs=x)

    def downwards(x):
        with rows(x):
            z1 = pyro.sample("z1", dist.Normal(0.3 * x, 0.7).to_event(1))
            pyro.sample("z2", dist.Normal(0.2 * x + z1, 0.6).to_event(1))

    def upwards(x):
        with rows(x):
            z2 = pyro.sample("z2", dist.Normal(0.5 * x, (0.6**2 + 0.7**2) ** 0.5).to_event(1))
            gain = 0.7**2 / (0.6**2 + 0.7**2)
            loc = 0.3 * x + gain * (z2 - 0.5 * x)
            pyro.sample("z1", dist.Normal(loc, 0.7 * (1 - gain) ** 0.5).to_event(1))

    return model, {"down": downwards, "up": upwards}[order]


@pytest.mark.parametrize(("order", "how"), [("down", "closed form"), ("up", "sampled")])
def test_layers_have_one_kl_whichever_way_the_guide_draws_them(order, how):
    x = torch.randn(40, 2)
    found = evaluate(layered(order), x, num_particles=2000)
    first = 0.5 * (0.09 * x**2 + 0.49 - 1 - math.log(0.49))
    # z2 - z1 / 2 under q has mean 0.2 x + z1 / 2, of second moment (0.35 x)^2 + 0.49 / 4.
    distance = (0.35 * x) ** 2 + 0.49 / 4
    second = 0.5 * ((0.36 + distance) / 0.64 - 1 - math.log(0.36 / 0.64))
    error = torch.as_tensor(found["kl"].values) - (first + second).sum(-1)
    assert (error.abs() < WITHIN * torch.as_tensor(found["kl_se"].values)).all()
    assert found.attrs["kl"] == how
    names = ["z1", "z2"] if order == "down" else ["z2", "z1"]
    assert found["latent"].values.tolist() == [f"{name}[{i}]" for name in names for i in range(2)]
    # The mean of z2 is 0.5 x; as an estimate from K draws of z1 it has variance 0.49 / K.
    activity = float(found["activity"][found["latent"] == "z2[0]"].item())
    noise = (x[:, 0].var() * 0.49 / (2000 * 40)) ** 0.5 if order == "down" else 0.0
    assert abs(activity - 0.25 * float(x[:, 0].var())) <= WITHIN * float(noise) + 1e-10
    if order == "down":
        by_dim = values(found, "kl_by_dim")[0]
        torch.testing.assert_close(by_dim[:2], first.mean(0), rtol=0, atol=1e-10)
        assert float(by_dim.sum()) == pytest.approx(float(found["kl_mean"]), abs=1e-10)
        assert (by_dim[2:] - second.mean(0)).abs().max() < WITHIN * float(found["kl_mean_draws_se"])


def test_a_pair_that_draws_one_by_one_is_evaluated_like_any_other():
    pair = linear_pair(offset=0.3)

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            # A decoder that takes (B, D) and nothing wider, as many a hand-written network.
            loc = z.reshape(len(x), -1) @ pair.weight.T
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    x = torch.randn(5, 4)
    with pytest.warns(UserWarning, match="one by one"):
        found = evaluate((model, pair.guide), x, num_particles=200)
    error = torch.as_tensor(found["log_evidence"].values) - pair.log_evidence(x)
    assert (error.abs() < WITHIN * torch.as_tensor(found["log_evidence_se"].values)).all()
    loc = x @ pair.slope.T + pair.shift
    torch.testing.assert_close(values(found, "activity")[0], loc.var(0).detach())


def test_a_subsampled_plate_changes_nothing_per_datum():
    pair, x = linear_pair(), torch.randn(6, 4)

    def model(x):
        with rows(torch.empty(1000), subsample=torch.arange(len(x))):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z @ pair.weight.T, 1.0).to_event(1), obs=x)

    def guide(x):
        loc = x @ pair.slope.T
        with rows(torch.empty(1000), subsample=torch.arange(len(x))):
            pyro.sample("z", dist.Normal(loc, pair.log_scale.exp()).to_event(1))

    found = evaluate((model, guide), x, num_particles=4)
    torch.testing.assert_close(values(found, "log_evidence")[0], pair.log_evidence(x).detach())


def test_a_flat_prior_leaves_reconstruction_alone():
    decoder, encoder = MLP(2, [4], 6), MLP(6, [4], 2)
    pair = VAE(decoder, FlatPrior(2), BernoulliLikelihood()), DeltaGuide(encoder)
    x = binary_rows(7)
    found = evaluate(pair, x, num_particles=2)
    exact = dist.Bernoulli(logits=decoder(encoder(x))).log_prob(x).sum(-1).detach()
    torch.testing.assert_close(values(found, "reconstruction")[0], exact)
    assert not {"log_evidence", "elbo", "kl", "bits_per_dim", "kl_by_dim", "ess"} & set(found)
    assert "the prior of 'z' is improper, so that there is no p(x)" in found.attrs["note"]
    torch.testing.assert_close(values(found, "activity")[0], encoder(x).var(0).detach())


def test_a_point_guide_has_no_weight_under_a_proper_prior():
    pair = VAE(MLP(2, [4], 6), StandardNormal(2), BernoulliLikelihood()), DeltaGuide(MLP(6, [], 2))
    found = evaluate(pair, binary_rows(7), num_particles=2)
    assert "log_evidence" not in found
    assert "the guide puts 'z' at a point" in found.attrs["note"]
