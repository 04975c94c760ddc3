"""Sleep: the guide learns from codes and data that the model draws, and from nothing else."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import linear_pair, rows, standard_normal
from torch import nn
from torch.distributions import constraints
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.distributions import BernoulliLikelihood
from ppvae.dreams import dreamt_terms
from ppvae.estimators import ReweightedWakeSleep
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

sleep = partial(ReweightedWakeSleep, insomnia=0.0)


def dreamt(model, guide, *args, **fields):
    """Terms of dreams of a pair that was run before."""
    terms = log_terms(model, guide, args or fields)
    return dreamt_terms(terms.pair, terms.batch)


def test_sleep_is_unbiased_for_the_inclusive_kl_under_the_model():
    pair, batches = linear_pair(offset=0.4), 400
    tensors = [pair.slope, pair.shift, pair.log_scale]
    estimator, x = sleep(1), torch.full((50, 4), 100.0)

    def gradient():
        # The rows of the batch are far from what the model draws, and have no part in it.
        terms = estimator.terms(pair.model, pair.guide, x)
        return torch.autograd.grad(estimator.surrogate(terms).mean(), tensors)

    found = [torch.stack(each) for each in zip(*(gradient() for _ in range(batches)), strict=True)]
    # E_p of grad log N(z; Vx + v, s^2), with r = z - Vx - v, E[zx'] = W' and E[xx'] = WW' + I.
    weight, slope, shift = pair.weight, pair.slope.detach(), pair.shift.detach()
    variance = (2 * pair.log_scale.detach()).exp()
    of_data = weight @ weight.T + torch.eye(4)
    spread = torch.eye(2) - slope @ weight - weight.T @ slope.T + slope @ of_data @ slope.T
    exact = [
        (weight.T - slope @ of_data) / variance[:, None],
        -shift / variance,
        (spread.diagonal() + shift**2) / variance - 1,
    ]
    for each, towards in zip(found, exact, strict=True):
        error = each.std(0) / math.sqrt(batches)
        assert ((each.mean(0) - towards).abs() < 5 * error).all()
    # Away from the optimum in the shift and the scale.
    assert exact[1].abs().min() > 0.4 and exact[2].abs().min() > 0.1


def test_the_model_alone_has_the_gradient_of_its_bound_in_sleep():
    pair, x = linear_pair(offset=0.4), torch.randn(6, 4)
    weight = pair.weight.requires_grad_()
    found = []
    for insomnia in (0.0, 1.0):
        estimator = ReweightedWakeSleep(3, insomnia)
        pyro.set_rng_seed(3)
        terms = estimator.terms(pair.model, pair.guide, x)
        found.append(torch.autograd.grad(estimator.surrogate(terms).sum(), weight)[0])
    assert_close(*found, rtol=0, atol=1e-10)


def test_a_site_shared_by_all_rows_is_dreamt_with_them_and_counted_once():
    loc, x, estimator = torch.tensor(0.5, requires_grad=True), torch.zeros(5), sleep(1)

    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with rows(x):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(loc, 1.0))

    def gradient():
        surrogate = estimator.surrogate(estimator.terms(model, guide, x))
        return torch.autograd.grad(surrogate.sum(), loc)[0]

    found = torch.stack([gradient() for _ in range(300)])
    # E_p[mu - loc]
    assert abs(found.mean() + 0.5) < 5 * found.std() / math.sqrt(300)


def test_a_guide_sees_the_dreamt_data_beside_the_labels_of_the_batch():
    seen = []

    def model(x, y):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z + 10.0 * y[:, None], 1e-6).to_event(1), obs=x)

    def guide(x, y):
        seen.append(x)
        with rows(x):
            pyro.sample("z", dist.Normal(x - 10.0 * y[:, None], 1e-3).to_event(1))

    x, y = torch.zeros(5, 2), torch.arange(5.0)
    terms = dreamt(model, guide, x=x, y=y)
    z = terms.values["z"][0]
    assert_close(seen[-1], z + 10.0 * y[:, None], rtol=0, atol=1e-4)
    assert_close(
        terms.log_posterior[0],
        torch.full((5,), 2 * math.log(1e3 / (2 * math.pi) ** 0.5)),
        rtol=0,
        atol=1e-4,
    )


def test_an_enumerated_label_is_dreamt_as_any_other_site():
    logits = torch.tensor([0.5, -0.2, 0.1])

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.tensor([0.0, 0.0, 1.0])))
            pyro.sample("x", dist.Normal(y.to(x), 1.0), obs=x)

    def guide(x):
        with rows(x):
            infer = {"enumerate": "parallel"}
            pyro.sample("y", dist.Categorical(logits=logits), infer=infer)

    terms = dreamt(model, guide, torch.zeros(4))
    assert_close(terms.log_posterior[0], logits.log_softmax(0)[2].expand(4))


def test_a_reshaped_field_is_dreamt_in_the_fields_own_shape():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            loc = z[..., None, None].expand(*z.shape, 2, 2)
            pyro.sample("x", dist.Normal(loc, 1e-6).to_event(2), obs=x.view(-1, 2, 2))

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x[:, 3], 1e-3))

    terms = dreamt(model, guide, torch.zeros(3, 4))
    assert (terms.log_posterior > 5).all()


def test_dreams_leave_running_statistics_as_they_are():
    model = VAE(MLP(2, [4], 6), lambda: standard_normal(2), BernoulliLikelihood())
    encoder = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4))
    guide = GaussianGuide(encoder)
    terms = log_terms(model, guide, torch.rand(5, 6).round())
    before = encoder[0].running_mean.clone()
    dreamt_terms(terms.pair, terms.batch)
    assert torch.equal(encoder[0].running_mean, before)


def observing(likelihood, prior=None, latent="z", data=lambda x: x):
    """A pair whose model has these parts."""

    def model(x):
        with rows(x):
            z = pyro.sample(latent, prior or dist.Normal(torch.zeros(()), 1.0))
            likelihood(z, data(x))

    def guide(x):
        with rows(x):
            pyro.sample(latent, dist.Normal(x, 1.0))

    return model, guide


def plain(z, x):
    pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def masked(z, x):
    pyro.sample("x", dist.Normal(z, 1.0).mask(torch.tensor([True, True, False])), obs=x)


def masked_around(z, x):
    with pyro.poutine.mask(mask=torch.tensor([True, True, False])):
        plain(z, x)


def with_factor(z, x):
    plain(z, x)
    pyro.factor("term", -z.square())


FLAT = dist.ImproperUniform(constraints.real, (), ())
REFUSED = {
    "masked": (observing(masked), "must draw every site as it is scored; got a mask on 'x'"),
    "around": (observing(masked_around), "must draw every site as it is scored; got a mask on 'x'"),
    "flat": (
        observing(plain, dist.ImproperUniform(constraints.real, (), ())),
        "site 'z' must have a distribution that",
    ),
    "factor": (observing(with_factor), "must draw every site; got a factor, 'term'"),
    "computed": (
        observing(plain, data=torch.square),
        "must replace what the model observes at 'x'",
    ),
}


@pytest.mark.parametrize("pair, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_dreamt_is_refused(pair, message):
    with pytest.raises(ValueError, match=message):
        dreamt(*pair, torch.randn(3))


def test_a_site_that_the_guide_alone_has_cannot_be_dreamt():
    model, _ = observing(plain)

    def guide(x):
        with rows(x):
            u = pyro.sample("u", dist.Normal(x, 1.0), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Normal(u, 1.0))

    with pytest.raises(ValueError, match="for every latent site of the guide; got none for 'u'"):
        dreamt(model, guide, torch.randn(3))
