"""Pairs with several layers of codes, or a code moved by the model's gradient: for the registry."""

from functools import partial

from rich_pairs import bernoulli_vae

from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import HamiltonianGuide, LadderGuide, LayeredGaussianGuide
from ppvae.models import HierarchicalVAE
from ppvae.networks import MLP


def hierarchical(depth, width, latent_dim):
    """All codes are of one width, so that one table says what the sites are."""
    layers = [MLP(latent_dim, [3], 2 * latent_dim) for _ in range(depth - 1)]
    decoder = MLP(latent_dim, [4], width)
    return HierarchicalVAE(decoder, layers, StandardNormal(latent_dim), BernoulliLikelihood())


def layered(depth, width, latent_dim):
    widths = [width, *[latent_dim] * (depth - 1)]
    guide = LayeredGaussianGuide([MLP(below, [4], 2 * latent_dim) for below in widths])
    return hierarchical(depth, width, latent_dim), guide


def ladder(width, latent_dim):
    model = hierarchical(2, width, latent_dim)
    features = [MLP(width, [], 4), MLP(4, [4], 3)]
    heads = [MLP(below, [], 2 * latent_dim) for below in (4, 3)]
    return model, LadderGuide(features, heads, model.layers)


def hamiltonian(width, latent_dim):
    model = bernoulli_vae(width, latent_dim)
    encoder = MLP(width, [4], 2 * latent_dim)
    reverse = MLP([latent_dim, width], [3], 2 * latent_dim)
    return model, HamiltonianGuide(encoder, reverse, model, latent_dim)


# Constructors by name, from the widths of data and code.
DEEP = {
    "two-layers-upward": partial(layered, 2),
    "three-layers-upward": partial(layered, 3),
    "two-layers-ladder": ladder,
    "hamiltonian": hamiltonian,
}


def latents_of_deep(model, latent_dim):
    """The event shape of each latent site, by name; None of another model."""
    if not isinstance(model, HierarchicalVAE):
        return None
    return {f"z{number + 1}": (latent_dim,) for number in range(len(model.layers) + 1)}
