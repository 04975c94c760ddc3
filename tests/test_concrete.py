"""Relaxed bits and states: densities, what they relax, and the bits themselves summed out."""

import itertools
import math

import pyro
import pytest
import torch
from discrete_pairs import relaxed_bits
from torch.distributions.relaxed_bernoulli import LogitRelaxedBernoulli
from torch.distributions.relaxed_categorical import ExpRelaxedCategorical

import ppvae
from ppvae import ELBO, IWAE
from ppvae.data import from_arrays
from ppvae.distributions import (
    BernoulliLikelihood,
    BernoulliPrior,
    BinaryConcrete,
    BinaryConcretePrior,
    Bits,
    Concrete,
    ConcretePrior,
    ReadBits,
    ReadStates,
)
from ppvae.draws import log_terms
from ppvae.exact import ExactSum, binary_codes, grid
from ppvae.examples.bernoulli_latents import of_bits
from ppvae.experiment import build, find_recipe
from ppvae.guides import BernoulliGuide, BinaryConcreteGuide, ConcreteGuide
from ppvae.models import VAE
from ppvae.networks import MLP

EXACT = {"rtol": 0, "atol": 1e-10}


def test_densities_are_those_of_torch():
    logits, temperature = torch.randn(4, 3), torch.tensor(0.7)
    z = BinaryConcrete(logits, 0.7).rsample((5,))
    other = LogitRelaxedBernoulli(temperature, logits=logits)
    torch.testing.assert_close(BinaryConcrete(logits, 0.7).log_prob(z), other.log_prob(z), **EXACT)
    z = Concrete(logits, 0.7).rsample((5,))
    other = ExpRelaxedCategorical(temperature, logits=logits)
    torch.testing.assert_close(Concrete(logits, 0.7).log_prob(z), other.log_prob(z), **EXACT)


def test_log_odds_far_out_have_a_density_where_torchs_overflows():
    found = BinaryConcrete(torch.tensor(0.0, dtype=torch.float32), 0.5)
    value = found.log_prob(torch.tensor([-400.0, 400.0], dtype=torch.float32))
    torch.testing.assert_close(value, torch.full_like(value, math.log(0.5) - 200))


def test_a_relaxed_bit_integrates_to_one_with_the_mean_and_variance_it_says():
    logits = torch.tensor([-3.0, 0.0, 1.5])
    found, line = BinaryConcrete(logits, 0.4), torch.linspace(-150, 150, 60_001)
    density = found.log_prob(line[:, None]).exp()

    def integral(values):
        return torch.trapezoid(values * density, line, dim=0)

    torch.testing.assert_close(integral(torch.ones(1)), torch.ones(3), rtol=0, atol=1e-9)
    torch.testing.assert_close(integral(line[:, None]), found.mean)
    torch.testing.assert_close(integral((line[:, None] - found.mean).square()), found.variance)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_what_is_relaxed_has_its_probability_at_every_temperature(temperature):
    logits, draws = torch.tensor([-1.0, 0.3, 2.0]), 20_000
    bits = BinaryConcrete(logits, temperature).rsample((draws,)) > 0
    states = Concrete(logits, temperature).rsample((draws,)).argmax(-1)
    often = torch.nn.functional.one_hot(states, 3).double().mean(0)
    for found, exact in ((bits.double().mean(0), logits.sigmoid()), (often, logits.softmax(0))):
        error = (exact * (1 - exact) / draws).sqrt()
        # Six numbers, each 5 standard errors off by chance once in 1.7 million.
        assert ((found - exact).abs() < 5 * error).all()


def test_a_cold_relaxed_bit_is_a_bit_and_a_relaxed_state_of_two_is_one():
    z = BinaryConcrete(torch.randn(1000), 1e-3).rsample()
    soft, hard = ReadBits()(z), ReadBits(hard=True)(z)
    assert ((soft - hard).abs() < 1e-6).double().mean() > 0.98
    # Of two states the difference is the log-odds of one, of a Logistic(a1 - a0) / tau.
    z = Concrete(torch.tensor([0.0, 0.8]), 0.5).rsample((20_000,))
    odds, bit = z[:, 1] - z[:, 0], BinaryConcrete(torch.tensor(0.8), 0.5)
    assert (odds.mean() - bit.mean).abs() < 5 * (bit.variance / 20_000) ** 0.5
    torch.testing.assert_close(z.exp().sum(-1), torch.ones(20_000))


def test_hard_codes_pass_the_gradient_of_soft_ones():
    for z, read in (
        (torch.randn(4, 3), lambda z, hard: ReadBits(hard)(z)),
        (torch.randn(4, 2, 3).log_softmax(-1), lambda z, hard: ReadStates(hard)(z)),
    ):
        z, weight = z.requires_grad_(), torch.randn(())
        slopes = [
            torch.autograd.grad((read(z, hard) * weight).sum(), z)[0] for hard in (True, False)
        ]
        torch.testing.assert_close(*slopes)
        values = read(z, True)
        assert ((values.detach() == 0) | (values.detach() == 1)).all()


def bits_pair(enumerated):
    model = VAE(MLP(3, [6], 5), BernoulliPrior(3), BernoulliLikelihood())
    model.prior.logits.data = torch.randn(3)
    return model, BernoulliGuide(MLP(5, [6], 3), enumerated)


def test_bits_summed_out_are_the_sum_over_all_codes_value_and_gradient():
    model, guide = bits_pair(enumerated=True)
    x = torch.rand(6, 5).round()
    exact = ExactSum(model, guide, {"z": binary_codes(3)})
    parameters = [*model.parameters(), *guide.parameters()]
    expected = torch.autograd.grad(exact.elbo(x).sum(), parameters)
    loss = ELBO().differentiable_loss(model, guide, x)
    torch.testing.assert_close(-loss, exact.elbo(x).sum(), **EXACT)
    for found, slope in zip(torch.autograd.grad(-loss, parameters), expected, strict=True):
        torch.testing.assert_close(found, slope, **EXACT)


def test_bits_are_pyros_and_their_codes_have_probability_one():
    logits = torch.randn(4, 3)
    found, codes = Bits(logits), binary_codes(3)
    other = pyro.distributions.Bernoulli(logits=logits).to_event(1)
    z = found.sample((5,))
    torch.testing.assert_close(found.log_prob(z), other.log_prob(z), **EXACT)
    every = found.enumerate_support()
    assert every.shape == (8, 4, 3) and found.enumerate_support(expand=False).shape == (8, 1, 3)
    assert {tuple(code) for code in every[:, 0].tolist()} == {
        *itertools.product([0.0, 1.0], repeat=3)
    }
    torch.testing.assert_close(found.log_prob(every).exp().sum(0), torch.ones(4), **EXACT)
    assert codes.shape == (8, 3)


def logistic_kl(a, b):
    """KL(Logistic(a) || Logistic(b)) of unit scale by the trapezoid rule."""
    line = torch.linspace(-60, 60, 20_001)
    log_p, log_q = (BinaryConcrete(each, 1.0).log_prob(line) for each in (a, b))
    return torch.trapezoid(log_p.exp() * (log_p - log_q), line)


def test_read_as_bits_the_bound_lies_below_that_of_bits_by_the_difference_of_the_kls():
    model, guide = relaxed_bits(5, 2, hard=True)
    guide.guide_temperature = model.prior.temperature
    model.prior.logits.data = torch.tensor([1.0, -0.5])
    x = torch.rand(1, 5).round()
    exact = of_bits(model, guide, binary_codes(2))
    a, b = guide.encoder(x)[0].detach(), model.prior.logits.detach()
    # With tau z for z both are logistic: what the KL is depends on no temperature.
    relaxed = sum(logistic_kl(*pair) for pair in zip(a, b, strict=True))
    p, q = a.sigmoid(), b.sigmoid()
    bits = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    assert relaxed > bits
    terms = log_terms(model, guide, x, num_particles=40_000)
    weight = terms.log_weight.detach()
    error = weight.std() / 40_000**0.5
    assert (weight.mean() - (exact.elbo(x).detach() - (relaxed - bits))).abs() < 5 * error
    # Its log p(x) is that of the bits.
    estimate = weight.exp()
    spread = estimate.std() / 40_000**0.5
    assert (estimate.mean() - exact.log_evidence(x).exp().detach()).abs() < 5 * spread


def test_the_relaxed_bound_is_one_on_the_relaxed_model_by_quadrature():
    model, guide = relaxed_bits(5, 1)
    model.prior.logits.data = torch.tensor([0.7])
    x = torch.rand(4, 5).round()
    points, log_volume = grid(120.0, 40_001)
    exact = ExactSum(model, guide, {"z": points}, log_volume)
    terms = log_terms(model, guide, x, num_particles=20_000)
    weight = terms.log_weight.detach()
    error = weight.std(0) / 20_000**0.5
    assert ((weight.mean(0) - exact.elbo(x).detach()).abs() < 5 * error).all()
    assert (exact.elbo(x) <= exact.log_evidence(x)).all()


def test_the_gradient_of_relaxed_bits_is_nearer_to_the_exact_one_than_that_of_one_scored_draw():
    """By mean square, at the same weights, tau 0.5: less noise outweighs the bias."""
    model, guide = relaxed_bits(5, 3)
    guide.guide_temperature = 0.5
    x = torch.rand(6, 5).round()
    bits = VAE(model.decoder[1], model.prior.bits, BernoulliLikelihood())
    scored = BernoulliGuide(guide.encoder)
    weight = guide.encoder.layers[0].weight
    exact = ExactSum(bits, scored, {"z": binary_codes(3)}).elbo(x).sum()
    (truth,) = torch.autograd.grad(exact, weight)
    squares = {}
    for name, estimator, pair in (
        ("relaxed", ELBO(), (model, guide)),
        ("scored", ppvae.ELBO(gradient=ppvae.ScoreFunction()), (bits, scored)),
    ):
        errors = []
        for _ in range(100):
            loss = estimator.differentiable_loss(*pair, x)
            errors.append((torch.autograd.grad(-loss, weight)[0] - truth).square().sum())
        squares[name] = torch.stack(errors)
    difference = squares["scored"] - squares["relaxed"]
    assert difference.mean() > 5 * difference.std() / 10


@pytest.mark.parametrize("how", ["scored", "enumerated", "relaxed", "hard"])
def test_every_way_is_built_and_has_the_exact_value_that_is_true_of_it(how):
    data = from_arrays({"x": torch.rand(40, 5).round()})
    made = build(find_recipe("bernoulli-latents"), data, latent_dim=2, hidden=4, how=how)
    x = data.test["x"].double()
    assert (made.log_evidence is None) == (how == "relaxed")
    if made.log_evidence is not None:
        terms = log_terms(made.model, made.guide, x, num_particles=2000)
        estimate = IWAE(2000).bound(terms) if how != "enumerated" else terms.marginal[0]
        assert (estimate - made.log_evidence(x)).abs().max() < 0.2


REFUSED = {
    "how": (
        lambda: build(
            find_recipe("bernoulli-latents"), from_arrays({"x": torch.ones(9, 4)}), how="guessed"
        ),
        r"how must be one of scored, .*; got 'guessed'",
    ),
    "bits": (lambda: Bits(torch.zeros(13)).enumerate_support(), "at most 12 .*; got 13"),
    "prior": (lambda: BinaryConcretePrior(0), "latent_dim must be at least 1; got 0"),
    "variables": (lambda: ConcretePrior(0, 3), "latent_dim must be at least 1; got 0"),
    "states": (lambda: ConcretePrior(2, 1), "states must be at least 2; got 1"),
    "guide": (lambda: ConcreteGuide(MLP(3, [], 4), 1), "states must be at least 2; got 1"),
    "temperature": (
        lambda: BinaryConcreteGuide(MLP(3, [], 4), 0.0),
        "temperature must be positive and finite; got 0",
    ),
    "width": (
        lambda: ConcreteGuide(MLP(3, [], 4), 3)(torch.zeros(2, 3)),
        "encoder must be a multiple of 3 states wide; got 4",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
