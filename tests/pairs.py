"""Every model and guide we ship in a pair, with data and sites of each: the registry of pairs."""

import torch

from ppvae.distributions import (
    BernoulliLikelihood,
    BernoulliPrior,
    FlatPrior,
    GaussianLikelihood,
    StandardNormal,
)
from ppvae.guides import (
    AffineGuide,
    BernoulliGuide,
    CategoricalGuide,
    DeltaGuide,
    GaussianGuide,
    LayeredGaussianGuide,
)
from ppvae.models import VAE, ClusterMixture, GaussianToy, LinearGaussian, Squared, TwoLayers
from ppvae.networks import MLP, ConvDecoder, ConvEncoder

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


def two_layers():
    return TwoLayers(), LayeredGaussianGuide(MLP(1, [6], 2), MLP(1, [6], 2))


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
    "squared": lambda: (Squared(), GaussianGuide(MLP(1, [6], 2))),
    "two-layers": two_layers,
}

# Events of the latent sites where they are not one code z, (D,).
LATENTS = {
    GaussianToy: {"z": (P,)},
    ClusterMixture: {"y": ()},
    Squared: {"z": (1,)},
    TwoLayers: {"z1": (1,), "z2": (1,)},
}


def latents_of(pair):
    """The event shape of each latent site, by name."""
    return LATENTS.get(type(pair[0]), {"z": (D,)})


def rows_for(pair):
    """Data (B, P) that the model admits: bits, or single real values."""
    if isinstance(pair[0], Squared | TwoLayers):
        return 2 * torch.randn(B, 1)
    return torch.rand(B, P).lt(0.3).to(torch.get_default_dtype())
