"""The VQ-VAE as a pair: what it reports is a bound, what holds vectors near codes is none of it."""

import math

import pyro
import pytest
import torch
from pairs import PAIRS, rows_for
from pyro.infer import Trace_ELBO

from ppvae import ELBO, evaluate, log_terms, reconstruct, sample
from ppvae.distributions import BernoulliLikelihood, UniformCodes
from ppvae.guides import VQGuide
from ppvae.models import VQVAE
from ppvae.networks import (
    MLP,
    Codebook,
    GridDecoder,
    GridEncoder,
    GridJoin,
    JoinedDecoder,
    ResidualDecoder,
    ResidualEncoder,
)


def built(name="vq"):
    """A pair whose codebook lies where codes are, no longer moving."""
    model, guide = PAIRS[name]()
    x = rows_for((model, guide))
    for _ in range(3):
        guide(x)
    return model.eval(), guide.eval(), x


def test_the_bound_is_below_the_sum_over_all_codes():
    model, guide, x = built()
    codebook = model.priors[0].codebook
    every = torch.cartesian_prod(*[torch.arange(3)] * 4)
    decoded = model.decoder(codebook.at(every))
    likelihood = BernoulliLikelihood()(decoded.unsqueeze(1)).log_prob(x)
    evidence = likelihood.logsumexp(0) - 4 * math.log(3)
    terms = log_terms(model, guide, x)
    bound = ELBO().bound(terms)
    assert (bound < evidence).all()
    expected = BernoulliLikelihood()(model.decoder(guide(x)[0])).log_prob(x) - 4 * math.log(3)
    torch.testing.assert_close(bound, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["vq", "vq-two-levels"])
def test_commitment_is_followed_and_not_reported(name):
    model, guide, x = built(name)
    parameters = list(guide.parameters())
    terms = log_terms(model, guide, x)
    cost = -terms.auxiliary.sum()
    assert cost.item() > 0
    reported = ELBO().loss(model, guide, x)
    assert reported == pytest.approx(-terms.log_weight.sum().item())
    ours = ELBO().differentiable_loss(model, guide, x)
    pyros = Trace_ELBO().differentiable_loss(model, guide, x)
    assert pyros.item() == pytest.approx(reported + cost.item())
    slopes = [torch.autograd.grad(loss, parameters) for loss in (ours, pyros)]
    for first, second in zip(*slopes, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-10)


def test_commitment_is_the_weighed_squared_distance():
    model, guide, x = built()
    encoded = guide.encoders[0](x)
    apart = (encoded - guide.codebooks[0](encoded)).square().sum((1, 2))
    terms = log_terms(model, guide, x)
    torch.testing.assert_close(-terms.auxiliary[0], guide.commitment * apart, rtol=0, atol=1e-12)


def test_a_step_moves_the_codebook_once():
    model, guide = PAIRS["vq"]()
    x = rows_for((model, guide))
    before = int(guide.codebooks[0].steps)
    pyro.set_rng_seed(0)
    ELBO(5).differentiable_loss(model, guide, x).backward()
    assert int(guide.codebooks[0].steps) == before + 1


@pytest.mark.parametrize("name", ["vq", "vq-causal-prior", "vq-two-levels"])
def test_it_is_evaluated_reconstructed_and_sampled_as_any_pair(name):
    model, guide, x = built(name)
    found = evaluate((model, guide), x, num_particles=3)
    bound = ELBO().bound(log_terms(model, guide, x))
    torch.testing.assert_close(torch.as_tensor(found["elbo"].values), bound, rtol=0, atol=1e-6)
    assert reconstruct((model, guide), x)["x_mean"].shape == x.shape
    drawn = sample((model, guide), 5, like=x)
    top = "z" if name != "vq-two-levels" else "z2"
    codes = torch.as_tensor(drawn[top].values)
    codebook = guide.codebooks[-1]
    assert torch.equal(codes, codebook.at(codebook.nearest(codes)))


IMAGES = [(1, 28, 28), (3, 32, 32), (3, 64, 64)]


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("halvings", [1, 2])
def test_residual_networks_fit_images_of_every_size(shape, halvings):
    small = {"channels": 2, "halvings": halvings, "blocks": 1}
    x = torch.randn(3, math.prod(shape))
    assert ResidualEncoder(shape, 5, **small)(x).shape == (3, 5)
    decoder = ResidualDecoder(5, shape, each=2, **small)
    assert decoder(torch.randn(4, 3, 5)).shape == (4, 3, 2 * x.shape[1])


def test_parameters_of_one_kind_come_first():
    """With a last layer that gives its channels' numbers, (2 C, H, W), as GaussianLikelihood's."""
    decoder = GridDecoder(2, (3, 4, 4), channels=2, halvings=1, blocks=0, each=2)
    with torch.no_grad():
        decoder.layers[-1].weight.zero_()
        decoder.layers[-1].bias.copy_(torch.arange(6.0))
    out = decoder(torch.randn(1, 4, 2)).reshape(2, 3, 16)
    assert torch.equal(out, torch.arange(6.0).reshape(2, 3, 1).expand(2, 3, 16))


CODEBOOK = Codebook(3, 2)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GridEncoder((1, 30, 28), 2), "H and W multiples of 4 for 2 halvings; got"),
        (lambda: GridDecoder(2, (1, 28, 28), halvings=3), "multiples of 8 for 3 halvings; got"),
        (lambda: GridDecoder(2, (28, 28)), r"image_shape must be \(C, H, W\)"),
        (lambda: GridEncoder((1, 28, 28), 2, halvings=0), "halvings must be at least 1; got 0"),
        (lambda: GridDecoder(0, (1, 28, 28)), "in_features must be at least 1; got 0"),
        (
            lambda: GridDecoder(2, (1, 8, 8), 2)(torch.zeros(3, 5, 2)),
            r"grid must be \(..., 4, 2\); got shape \(3, 5, 2\)",
        ),
        (lambda: GridJoin(2, 2, (3, 4), 2), r"low_shape must be even; got \(3, 4\)"),
        (
            lambda: JoinedDecoder([], MLP(2, [], 2))(torch.zeros(1, 2), torch.zeros(1, 2)),
            "a decoder of 0 joins must have 1 grids; got 2",
        ),
        (lambda: VQGuide([], []), "L codebooks and L - 1 joins; got 0, 0 and 0"),
        (
            lambda: VQGuide([MLP(2, [], 2)], [CODEBOOK], commitment=-1.0),
            "commitment must be at least 0 and finite; got -1.0",
        ),
        (lambda: VQVAE(MLP(2, [], 2), [], BernoulliLikelihood()), "priors must be one for each"),
    ],
)
def test_misfits_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_model_whose_decoder_makes_other_images_is_refused():
    codebook = Codebook(3, 2)
    decoder = GridDecoder(2, (1, 8, 8), channels=2, halvings=1)
    model = VQVAE(decoder, [UniformCodes(codebook, 16)], BernoulliLikelihood())
    guide = VQGuide([GridEncoder((1, 4, 4), 2, channels=2, halvings=1)], [codebook])
    x = torch.zeros(3, 16)
    with pytest.raises(ValueError, match="grid must be"):
        log_terms(model, guide, x)
