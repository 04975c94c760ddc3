"""Pairs whose guide or prior is richer than a diagonal Gaussian: part of the registry of pairs."""

from functools import partial

import pyro.distributions.transforms as pyro_transforms
import torch
from zuko.flows import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from ppvae.distributions import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    FlowPrior,
    MixturePrior,
    PixelGaussianLikelihood,
    StandardNormal,
    Sylvester,
    VampPrior,
    full_gaussian_width,
)
from ppvae.guides import FlowGuide, FullGaussianGuide, GaussianGuide, MixtureGuide
from ppvae.models import VAE
from ppvae.networks import MLP

CONTEXT = 3
SPLINE = {"univariate": MonotonicRQSTransform, "shapes": ((4,), (4,), (3,))}


def autoregressive(latent_dim, context=0, **kwargs):
    return MaskedAutoregressiveTransform(latent_dim, context, hidden_features=[4], **kwargs)


# From the widths of code and context to a transform, by name.
FLOWS = {
    "planar": lambda d, context: pyro_transforms.conditional_planar(d, context, [4]),
    "radial": lambda d, context: pyro_transforms.conditional_radial(d, context, [4]),
    "iaf": autoregressive,
    "spline": lambda d, context: autoregressive(d, context, **SPLINE),
    "coupling": lambda d, context: autoregressive(d, context, passes=2),
    "sylvester": Sylvester,
}


def bernoulli_vae(width, latent_dim, prior=None):
    prior = StandardNormal(latent_dim) if prior is None else prior
    return VAE(MLP(latent_dim, [6], width), prior, BernoulliLikelihood())


def gaussian_guide(width, latent_dim):
    return GaussianGuide(MLP(width, [6], 2 * latent_dim))


def flow_guide(name, width, latent_dim):
    flows = [FLOWS[name](latent_dim, CONTEXT) for _ in range(2)]
    guide = FlowGuide(MLP(width, [6], 2 * latent_dim + CONTEXT), flows, CONTEXT)
    return bernoulli_vae(width, latent_dim), guide


def full_gaussian(width, latent_dim):
    guide = FullGaussianGuide(MLP(width, [6], full_gaussian_width(latent_dim)))
    return bernoulli_vae(width, latent_dim), guide


def mixture_guide(enumerated, width, latent_dim):
    guide = MixtureGuide(MLP(width, [6], 3 * (1 + 2 * latent_dim)), 3, enumerated)
    return bernoulli_vae(width, latent_dim), guide


def mixture_prior(width, latent_dim):
    prior = MixturePrior(latent_dim, 3)
    return bernoulli_vae(width, latent_dim, prior), gaussian_guide(width, latent_dim)


def vamp_prior(width, latent_dim):
    guide = gaussian_guide(width, latent_dim)
    prior = VampPrior(guide.distribution, torch.randn(3, width), squash=torch.sigmoid)
    return bernoulli_vae(width, latent_dim, prior), guide


def flow_prior(width, latent_dim):
    coupling = autoregressive(latent_dim, passes=2, **SPLINE)
    prior = FlowPrior(latent_dim, [autoregressive(latent_dim).inv, coupling])
    return bernoulli_vae(width, latent_dim, prior), gaussian_guide(width, latent_dim)


# Likelihoods, and how wide a decoder each needs for a pixel.
LIKELIHOODS = {
    "logistic-levels": (lambda: DiscretizedLogisticLikelihood(levels=2), 2),
    "logistic-mixture-levels": (lambda: DiscretizedLogisticLikelihood(2, levels=2), 6),
    "categorical-levels": (lambda: CategoricalLikelihood(2), 2),
    "continuous-bernoulli": (ContinuousBernoulliLikelihood, 1),
    "pixel-gaussian": (PixelGaussianLikelihood, 2),
}


def with_likelihood(name, width, latent_dim):
    make, each = LIKELIHOODS[name]
    model = VAE(MLP(latent_dim, [6], each * width), StandardNormal(latent_dim), make())
    return model, gaussian_guide(width, latent_dim)


# Constructors by name, from the widths of data and code.
RICH = {
    "full-gaussian": full_gaussian,
    "mixture-guide": partial(mixture_guide, True),
    "mixture-guide-drawn": partial(mixture_guide, False),
    **{f"flow-guide-{name}": partial(flow_guide, name) for name in FLOWS},
    "mixture-prior": mixture_prior,
    "vamp-prior": vamp_prior,
    "flow-prior": flow_prior,
    **{name: partial(with_likelihood, name) for name in LIKELIHOODS},
}
