"""Laws of log_terms: exact values, shapes, plates, masks, and terms re-scored at fixed draws."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, linear_pair, rows, standard_normal
from pyro import poutine
from torch.testing import assert_close

from ppvae import ELBO, IWAE, Renyi, log_terms

BOUNDS = {
    "elbo": ELBO,
    "elbo-analytic-where-known": partial(ELBO, analytic_kl=True),
    "iwae": IWAE,
    "renyi-half": partial(Renyi, 0.5),
    "renyi-two": partial(Renyi, 2.0),
}
every_bound = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
exactly = partial(assert_close, rtol=0, atol=1e-10)


@every_bound
@pytest.mark.parametrize("num_particles", [1, 5, 50])
def test_exact_posterior_closes_the_gap(linear_gaussian, bound, num_particles):
    model, guide, x, log_evidence, _ = linear_gaussian
    terms = log_terms(model, guide, x, num_particles=num_particles)
    exactly(bound(num_particles=num_particles).bound(terms), log_evidence)


def test_elbo_gap_is_the_kl_to_the_posterior(linear_gaussian):
    model, guide, x, log_evidence, precision = linear_gaussian
    shift = torch.tensor([0.3, -0.2])
    terms = log_terms(model, partial(guide, shift=shift), x, num_particles=20_000)
    kl = 0.5 * shift @ precision @ shift
    error = ELBO(20_000).bound(terms) - (log_evidence - kl)
    standard_error = terms.log_weight.std(0) / 20_000**0.5
    assert (error.abs() < 5 * standard_error).all()


def test_analytic_kl_has_the_gap_of_the_sampled_one():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=20_000)
    kl = 0.5 * pair.shift @ pair.precision @ pair.shift
    error = ELBO(20_000, analytic_kl=True).bound(terms) - (pair.log_evidence(x) - kl)
    standard_error = terms.log_likelihood.std(0) / 20_000**0.5
    assert (error.abs() < 5 * standard_error).all()


def test_kl_by_site_is_the_textbook_formula():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=2)
    loc, scale = x @ pair.slope.T + pair.shift, pair.log_scale.exp()
    kl = 0.5 * (loc**2 + scale**2 - 1 - 2 * pair.log_scale).sum(-1)
    exactly(terms.kl["z"], kl.expand(2, 3))


@pytest.mark.parametrize("num_particles", [1, 7])
def test_every_sum_is_per_draw_and_row(num_particles):
    terms = log_terms(*binary_vae(), binary_rows(), num_particles=num_particles)
    sums = (terms.log_likelihood, terms.log_prior, terms.log_posterior, terms.marginal)
    assert {tuple(s.shape) for s in sums} == {(num_particles, 5)}
    assert terms.values["z"].shape == (num_particles, 5, 2)


def test_sums_are_the_distributions_own_densities():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=7)
    z = terms.values["z"]
    exactly(terms.log_prior, dist.Normal(0.0, 1.0).log_prob(z).sum(-1))
    exactly(terms.log_likelihood, dist.Normal(z @ pair.weight.T, 1.0).log_prob(x).sum(-1))
    guide = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp())
    exactly(terms.log_posterior, guide.log_prob(z).sum(-1))
    exactly(terms.log_weight, terms.log_likelihood + terms.log_prior - terms.log_posterior)


def test_layers_of_codes_are_summed():
    x = torch.randn(3)

    def model(x):
        with rows(x):
            z2 = pyro.sample("z2", dist.Normal(torch.zeros(()), 1.0))
            z1 = pyro.sample("z1", dist.Normal(z2, 1.0))
            pyro.sample("x", dist.Normal(z1, 1.0), obs=x)

    def guide(x):
        with rows(x):
            z1 = pyro.sample("z1", dist.Normal(2 * x / 3, (2 / 3) ** 0.5))
            pyro.sample("z2", dist.Normal(z1 / 2, 0.5**0.5))

    terms = log_terms(model, guide, x, num_particles=4)
    assert list(terms.prior) == ["z2", "z1"] and list(terms.posterior) == ["z1", "z2"]
    exactly(terms.log_weight, dist.Normal(0.0, 3**0.5).log_prob(x).expand(4, 3))


def pixelwise(data_dim):
    """A pair whose pixels stand in a plate of their own, the plate of images at ``data_dim``."""
    pixel_dim = -3 - data_dim

    def plates(x):
        num_rows, num_pixels = x.shape if data_dim == -2 else x.shape[::-1]
        # The data plate is known by what it holds, not by its name.
        return (
            pyro.plate("images", num_rows, dim=data_dim),
            pyro.plate("pixels", num_pixels, dim=pixel_dim),
        )

    def model(x):
        images, pixels = plates(x)
        with images:
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            with pixels:
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        loc = x.sum(pixel_dim, keepdim=data_dim == -2) / (1 + x.shape[pixel_dim])
        with plates(x)[0]:
            pyro.sample("z", dist.Normal(loc, (1 + x.shape[pixel_dim]) ** -0.5))

    return model, guide


@pytest.mark.parametrize("data_dim", [-1, -2])
@pytest.mark.parametrize("num_particles", [1, 5])
def test_plates_beside_the_data_plate_are_summed(data_dim, num_particles):
    x = torch.randn(3, 4)
    terms = log_terms(
        *pixelwise(data_dim), x if data_dim == -2 else x.T, num_particles=num_particles
    )
    cov = torch.eye(4) + torch.ones(4, 4)
    exact = dist.MultivariateNormal(torch.zeros(4), cov).log_prob(x)
    exactly(terms.log_weight, exact.expand(num_particles, 3))


def test_a_mask_of_pixels_stays_in():
    x, seen = torch.randn(3, 4), torch.rand(3, 4) < 0.5

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            likelihood = dist.Normal(z.unsqueeze(-1).expand(*z.shape, 4), 1.0)
            pyro.sample("x", likelihood.mask(seen).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x.mean(-1), 0.5))

    terms = log_terms(model, guide, x, num_particles=2)
    pixels = dist.Normal(terms.values["z"].unsqueeze(-1), 1.0).log_prob(x)
    exactly(terms.log_likelihood, (pixels * seen).sum(-1))


def test_a_mask_of_rows_stays_in():
    pair, x = linear_pair(), torch.randn(3, 4)
    kept = torch.tensor([True, False, True])
    masked = [poutine.mask(program, mask=kept) for program in (pair.model, pair.guide)]
    terms = log_terms(*masked, x, num_particles=2)
    exactly(terms.log_weight, (pair.log_evidence(x) * kept).expand(2, 3))


def test_fixed_terms_have_the_same_values():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=4)
    for name in ("log_likelihood", "log_prior", "log_posterior"):
        exactly(getattr(terms.fixed, name), getattr(terms, name))


def test_the_gradient_of_fixed_terms_is_the_score():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=4)
    (score,) = torch.autograd.grad(terms.fixed.log_posterior.sum(), pair.shift)
    z = terms.values["z"].detach()
    residual = z - x @ pair.slope.detach().T - pair.shift.detach()
    exactly(score, (residual / pair.log_scale.detach().exp() ** 2).sum((0, 1)))


def test_path_gradient_vanishes_at_the_exact_posterior():
    pair, x = linear_pair(), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=4)
    leaves = (pair.slope, pair.shift, pair.log_scale)
    plain = torch.autograd.grad(terms.log_weight.sum(), leaves, retain_graph=True)
    sticking = terms.log_weight + terms.fixed.log_posterior
    assert all(g.abs().max() > 0.1 for g in plain[1:])
    for gradient in torch.autograd.grad(sticking.sum(), leaves):
        exactly(gradient, torch.zeros_like(gradient))


def test_an_auxiliary_site_is_followed_but_not_reported():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)

    def with_hint(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z @ pair.weight.T, 1.0).to_event(1), obs=x)
            hint = dist.Normal(pair.shift.sum(), 1.0)
            pyro.sample("hint", hint, obs=x[:, 0], infer={"auxiliary": True})

    def loss_and_gradient(model):
        pyro.set_rng_seed(1)
        loss = IWAE(5).differentiable_loss(model, pair.guide, x)
        return loss, torch.autograd.grad(loss, pair.shift)[0]

    (loss, gradient), (plain, plain_gradient) = map(loss_and_gradient, (with_hint, pair.model))
    exactly(loss, plain)
    extra = -(x[:, 0] - pair.shift.detach().sum()).sum()
    exactly(gradient - plain_gradient, extra.expand(2))
