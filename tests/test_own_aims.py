"""Where model and guide follow different aims: whose gradient is whose, each against its truth."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, linear_pair, rows
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.estimators import (
    CUBO,
    ELBO,
    IWAE,
    MIWAE,
    PIWAE,
    DoublyReparameterized,
    Reparameterized,
    StickingTheLanding,
    TailAdaptive,
    UpperTVO,
)
from ppvae.estimators.model_part import guide_surrogate, model_surrogate

exactly = partial(assert_close, rtol=0, atol=1e-12)
OWN = {"piwae": PIWAE(3, 4), "tvo-upper": UpperTVO(3, 12), "cubo": CUBO(2.0, 12)}
OWN["tail"] = TailAdaptive(12)


def gradients(surrogate, programs):
    """The gradient of the sum over rows, by parameter of the programs."""
    parameters = [p for program in programs for p in program.parameters()]
    found = torch.autograd.grad(
        surrogate.sum(), parameters, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return list(found)


@pytest.mark.parametrize("estimator", OWN.values(), ids=OWN)
def test_the_model_follows_the_importance_weighted_bound(estimator):
    model, guide = binary_vae()
    terms = log_terms(model, guide, binary_rows(), num_particles=12)
    followed = gradients(estimator.surrogate(terms), [model])
    exactly(followed, gradients(IWAE(12).bound(terms), [model]))


def test_the_models_part_is_the_models_alone_and_the_rest_the_guides():
    model, guide = binary_vae()
    terms = log_terms(model, guide, binary_rows(), num_particles=12)
    whole = IWAE(12)
    apart = [model_surrogate(terms), guide_surrogate(whole.gradient, whole, terms)]
    of_model = [gradients(part, [model]) for part in (apart[0], whole.bound(terms), apart[1])]
    of_guide = [gradients(part, [guide]) for part in (apart[1], whole.bound(terms), apart[0])]
    for own, bound, others in (of_model, of_guide):
        exactly(own, bound)
        exactly(others, [torch.zeros_like(gradient) for gradient in others])


@pytest.mark.parametrize(
    "gradient", [Reparameterized(), DoublyReparameterized()], ids=["reparameterized", "dreg"]
)
def test_the_guide_of_piwae_follows_the_groups(gradient):
    model, guide = binary_vae()
    terms = log_terms(model, guide, binary_rows(), num_particles=12)
    piwae, miwae = (kind(3, 4, gradient=gradient) for kind in (PIWAE, MIWAE))
    followed = gradients(piwae.surrogate(terms), [guide])
    exactly(followed, gradients(miwae.surrogate(terms), [guide]))
    apart = gradients(IWAE(12).bound(terms), [guide])
    assert not torch.allclose(followed[0], apart[0], rtol=1e-3)


def test_a_shared_parameter_follows_each_aim_in_its_role():
    x = torch.randn(5)

    def pair(of_model, of_guide):
        def model(x):
            with rows(x):
                z = pyro.sample("z", dist.Normal(of_model, 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

        def guide(x):
            with rows(x):
                pyro.sample("z", dist.Normal(0.3 * x + of_guide, 0.5))

        return model, guide

    def gradient(estimator, of_model, of_guide, leaf):
        pyro.set_rng_seed(3)
        terms = log_terms(*pair(of_model, of_guide), x, num_particles=12)
        return torch.autograd.grad(estimator.surrogate(terms).sum(), leaf)[0]

    one, other = (torch.tensor(0.4, requires_grad=True) for _ in range(2))
    apart = gradient(IWAE(12), one, other, leaf=one) + gradient(MIWAE(3, 4), one, other, leaf=other)
    exactly(gradient(PIWAE(3, 4), one, one, leaf=one), apart)


def tail_by_hand(pair, x, epsilon):
    """The guide's gradient at z = m + s epsilon of the linear pair, by the paper's formula."""
    scale = pair.log_scale.exp()
    z = (x @ pair.slope.T + pair.shift + scale * epsilon).detach()
    free = z.clone().requires_grad_()
    joint = dist.Normal(0.0, 1.0).log_prob(free).sum(-1)
    joint = joint + dist.Normal(free @ pair.weight.T, 1.0).log_prob(x).sum(-1)
    loc = (x @ pair.slope.T + pair.shift).detach()
    log_weight = joint - dist.Normal(loc, scale.detach()).log_prob(free).sum(-1)
    (force,) = torch.autograd.grad(log_weight.sum(), free)
    above = (log_weight[None] >= log_weight[:, None]).sum(1)
    gamma = (1.0 / above) / (1.0 / above).sum(0)
    moved = x @ pair.slope.T + pair.shift + scale * epsilon
    return (gamma.detach()[..., None] * force * moved).sum()


@pytest.mark.parametrize("num_particles", [2, 7])
def test_the_guide_of_tail_adaptive_follows_the_ranks(num_particles):
    pair, x = linear_pair(offset=0.7), torch.randn(5, 4)
    leaves = [pair.slope, pair.shift, pair.log_scale]
    terms = log_terms(pair.model, pair.guide, x, num_particles=num_particles)
    followed = torch.autograd.grad(TailAdaptive(num_particles).surrogate(terms).sum(), leaves)
    loc = x @ pair.slope.T + pair.shift
    epsilon = ((terms.values["z"] - loc) / pair.log_scale.exp()).detach()
    wanted = torch.autograd.grad(tail_by_hand(pair, x, epsilon), leaves)
    assert_close(followed, wanted, rtol=0, atol=1e-10)


def test_tail_adaptive_of_one_draw_is_the_path_gradient_of_the_elbo():
    model, guide = binary_vae()
    terms = log_terms(model, guide, binary_rows())
    followed = gradients(TailAdaptive(1).surrogate(terms), [guide])
    sticking = ELBO(gradient=StickingTheLanding())
    exactly(followed, gradients(sticking.surrogate(terms), [guide]))


@pytest.mark.parametrize("estimator", OWN.values(), ids=OWN)
def test_at_the_exact_posterior_the_guide_has_no_gradient_and_no_noise(estimator):
    if isinstance(estimator, PIWAE):
        estimator = PIWAE(3, 4, gradient=StickingTheLanding())
    pair, x = linear_pair(), torch.randn(5, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=12)
    total = estimator.surrogate(terms).sum()
    for gradient in torch.autograd.grad(total, [pair.slope, pair.shift, pair.log_scale]):
        exactly(gradient, torch.zeros_like(gradient))
