"""Every model and guide we ship in a pair, with data and sites of each: the registry of pairs."""

import inspect
from functools import partial

import torch
from deep_pairs import DEEP, latents_of_deep
from discrete_pairs import DISCRETE, STATES
from labelled_pairs import LABELLED, LABELLED_FIELDS, latents_of_labelled
from rich_pairs import RICH
from vq_pairs import VQ, latents_of_vq

from ppvae.distributions import (
    BernoulliLikelihood,
    BernoulliPrior,
    DiagonalCovariance,
    FlatPrior,
    FullCovariance,
    GaussianLikelihood,
    NormalWishart,
    StandardNormal,
    TiedCovariance,
)
from ppvae.guides import (
    AffineGuide,
    BernoulliGuide,
    CategoricalGuide,
    ConcreteGuide,
    DeltaGuide,
    EmptyGuide,
    GaussianGuide,
    GlobalFullRankGuide,
    GlobalMeanFieldGuide,
    LayeredGaussianGuide,
    MaskedGuide,
    NormalWishartGuide,
    PerDatumCategoricalGuide,
    PerDatumGuide,
    WeightsAndCodesGuide,
)
from ppvae.models import (
    VAE,
    BayesianGaussianMixture,
    BayesianLogisticRegression,
    BayesianVAE,
    ClusterMixture,
    GaussianMixture,
    GaussianToy,
    LinearGaussian,
    Squared,
    TwoLayers,
)
from ppvae.networks import MLP, ConvDecoder, ConvEncoder, PartialConvEncoder

P, D, B = 16, 2, 8
IMAGE = (1, 4, 4)


def vae(likelihood):
    return VAE(MLP(D, [6], P), StandardNormal(D), likelihood), GaussianGuide(MLP(P, [6], 2 * D))


def convolutional():
    model = VAE(ConvDecoder(D, IMAGE, channels=2), StandardNormal(D), BernoulliLikelihood())
    return model, GaussianGuide(ConvEncoder(IMAGE, 2 * D, channels=2))


def autoencoder():
    model = VAE(MLP(D, [6], P), FlatPrior(D), BernoulliLikelihood())
    return model, DeltaGuide(MLP(P, [6], D))


def with_holes(convolutions):
    if convolutions:
        return convolutional()[0], MaskedGuide(PartialConvEncoder(IMAGE, 2 * D, channels=2))
    return vae(BernoulliLikelihood())[0], MaskedGuide(MLP([P, P], [6], 2 * D))


def exact():
    model = LinearGaussian.random(P, D)
    return model, model.exact_guide


def bits():
    model = VAE(MLP(D, [6], P), BernoulliPrior(D), BernoulliLikelihood())
    return model, BernoulliGuide(MLP(P, [6], D))


def gaussian_toy():
    return GaussianToy(torch.randn(P)), AffineGuide(torch.eye(P) / 3, torch.randn(P), 0.8)


def clusters(enumerated):
    model = ClusterMixture(torch.randn(3, P), width=0.7)
    return model, CategoricalGuide(MLP(P, [6], 3), enumerated)


def gaussian_mixture(covariance, guide):
    return GaussianMixture(torch.randn(3, P), covariance(3, P)), guide


def bayesian_mixture():
    """Three components in two dimensions; the guide begins near the prior."""
    prior = NormalWishart(torch.zeros(2), torch.tensor(1.0), torch.eye(2), torch.tensor(4.0))
    start = (torch.randn(3, 2), torch.ones(3), torch.eye(2).repeat(3, 1, 1), torch.full((3,), 6.0))
    guide = NormalWishartGuide(NormalWishart(*start), torch.full((3,), 2.0))
    return BayesianGaussianMixture(3, prior), guide


def bayesian_regression(full_rank):
    start = torch.zeros(P + 1)
    guide = GlobalFullRankGuide(start) if full_rank else GlobalMeanFieldGuide({"w": start})
    return BayesianLogisticRegression(P, B), guide


def bayesian_decoder():
    model = BayesianVAE(MLP(D, [3], P), StandardNormal(D), BernoulliLikelihood(), B)
    over_codes = GaussianGuide(MLP(P, [6], 2 * D))
    return model, WeightsAndCodesGuide(GlobalMeanFieldGuide(model.initial_weights), over_codes, B)


def two_layers():
    return TwoLayers(), LayeredGaussianGuide([MLP(1, [6], 2), MLP(1, [6], 2)])


# Constructors by name, of small pairs on data (B, P).
PAIRS = {
    "bernoulli": lambda: vae(BernoulliLikelihood()),
    "gaussian": lambda: vae(GaussianLikelihood()),
    "gaussian-learned-scale": lambda: vae(GaussianLikelihood(learn_scale=True)),
    "convolutional": convolutional,
    "autoencoder": autoencoder,
    "linear-gaussian": lambda: (LinearGaussian.random(P, D), GaussianGuide(MLP(P, [], 2 * D))),
    "linear-gaussian-exact": exact,
    "bits": bits,
    "gaussian-toy": gaussian_toy,
    "clusters": lambda: clusters(enumerated=False),
    "clusters-enumerated": lambda: clusters(enumerated=True),
    "gaussian-mixture-drawn": lambda: gaussian_mixture(
        FullCovariance, CategoricalGuide(MLP(P, [6], 3), enumerated=False)
    ),
    "gaussian-mixture-summed": lambda: gaussian_mixture(TiedCovariance, EmptyGuide()),
    "gaussian-mixture-per-datum": lambda: gaussian_mixture(
        DiagonalCovariance, PerDatumCategoricalGuide(B, 3)
    ),
    "bayesian-mixture": bayesian_mixture,
    "bayesian-regression": lambda: bayesian_regression(full_rank=False),
    "bayesian-regression-full-rank": lambda: bayesian_regression(full_rank=True),
    "bayesian-decoder": bayesian_decoder,
    "per-datum": lambda: (vae(BernoulliLikelihood())[0], PerDatumGuide(B, D)),
    "with-holes": lambda: with_holes(convolutions=False),
    "with-holes-convolutional": lambda: with_holes(convolutions=True),
    "squared": lambda: (Squared(), GaussianGuide(MLP(1, [6], 2))),
    "two-layers": two_layers,
    **{n: partial(build, P, D) for n, build in {**RICH, **VQ, **DISCRETE, **DEEP}.items()},
    **{name: partial(build, P) for name, build in LABELLED.items()},
}

# Events of the latent sites where they are not one code z, (D,).
LATENTS = {
    GaussianToy: {"z": (P,)},
    ClusterMixture: {"y": ()},
    GaussianMixture: {"y": ()},
    BayesianGaussianMixture: {"y": ()},
    BayesianLogisticRegression: {},
    Squared: {"z": (1,)},
    TwoLayers: {"z1": (1,), "z2": (1,)},
}


# Events of the latent sites that are there once, outside of the plate of the data, by model.
GLOBALS = {
    BayesianGaussianMixture: {"weights": (3,), "precisions": (3, 2, 2), "means": (3, 2)},
    BayesianLogisticRegression: {"w": (P + 1,)},
    BayesianVAE: {
        "decoder_layers_0_weight": (3, D),
        "decoder_layers_0_bias": (3,),
        "decoder_layers_2_weight": (P, 3),
        "decoder_layers_2_bias": (P,),
    },
}

# The observed site where it is not x.
OBSERVED = {BayesianLogisticRegression: "y"}

# Guides that leave the latent sites of the rows to the model, which sums them out.
WITHOUT_ROWS = (EmptyGuide, NormalWishartGuide)

# Fields beside x and index that a model or a guide asks for, made from rows x, by class and name.
FIELDS = {
    **LABELLED_FIELDS,
    BayesianLogisticRegression: {"y": lambda x: x[:, 0]},
    MaskedGuide: {"mask": lambda x: torch.arange(x.numel()).reshape(x.shape) % 3 > 0},
}


def latents_of(pair):
    """The event shape of each latent site, by name."""
    if isinstance(pair[1], ConcreteGuide):
        return {"z": (D, STATES)}
    model = pair[0]
    found = latents_of_labelled(model) or latents_of_vq(model, D) or latents_of_deep(model, D)
    return found or LATENTS.get(type(model), {"z": (D,)})


def guided_of(pair):
    """The event shape of each latent site that the guide has for each row, by name."""
    return {} if isinstance(pair[1], WITHOUT_ROWS) else latents_of(pair)


def globals_of(pair):
    """The event shape of each latent site outside of the plate of the data, by name."""
    return GLOBALS.get(type(pair[0]), {})


def observed_of(pair):
    """The name of the observed site."""
    return OBSERVED.get(type(pair[0]), "x")


def rows_for(pair):
    """Data (B, P) that the model admits: bits, or single real values."""
    if isinstance(pair[0], Squared | TwoLayers):
        return 2 * torch.randn(B, 1)
    if isinstance(pair[0], BayesianGaussianMixture):
        return torch.randn(B, 2)
    return torch.rand(B, P).lt(0.3).to(torch.get_default_dtype())


def fields_for(pair, x):
    """A batch of rows x, (B, P): x, their numbers, and the fields that FIELDS has for the pair."""
    fields = {"x": x, "index": torch.arange(len(x))}
    for part in pair:
        fields |= {name: make(x) for name, make in FIELDS.get(type(part), {}).items()}
    return fields


def programs_of(pair):
    """Model and guide as Pyro calls them, with all fields: each takes those that it asks for."""
    return tuple(map(_taking, pair))


def _taking(program):
    asked = inspect.signature(getattr(program, "forward", program)).parameters
    return lambda **fields: program(**{n: value for n, value in fields.items() if n in asked})
