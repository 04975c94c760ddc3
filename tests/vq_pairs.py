"""Pairs whose codes come out of codebooks, or whose pixels depend on those before them."""

from functools import partial

from ppvae.distributions import (
    AutoregressiveCodes,
    AutoregressiveLikelihood,
    BernoulliLikelihood,
    StandardNormal,
    UniformCodes,
)
from ppvae.guides import GaussianGuide, VQGuide
from ppvae.models import VAE, VQVAE
from ppvae.networks import (
    MLP,
    CausalNetwork,
    Codebook,
    GridDecoder,
    GridEncoder,
    GridJoin,
    JoinedDecoder,
    ResidualDecoder,
    ResidualEncoder,
)

CHANNELS = 4
SMALL = {"channels": CHANNELS, "halvings": 1, "blocks": 1}


def image(width):
    """(1, H, H) of so many pixels."""
    side = int(width**0.5)
    return 1, side, side


def one_level(causal, width, latent_dim):
    """Codes on a grid of 2 x 2, of 3 vectors."""
    codebook = Codebook(3, latent_dim)
    prior = UniformCodes(codebook, 4)
    if causal:
        prior = AutoregressiveCodes(codebook, CausalNetwork((1, 2, 2), 3, features=6, blocks=1))
    decoder = GridDecoder(latent_dim, image(width), **SMALL)
    guide = VQGuide([GridEncoder(image(width), latent_dim, **SMALL)], [codebook])
    return VQVAE(decoder, [prior], BernoulliLikelihood()), guide


def two_levels(width, latent_dim):
    """Codes on grids of 2 x 2 and 1 x 1."""
    low, top = Codebook(3, latent_dim), Codebook(4, latent_dim)
    join = GridJoin(latent_dim, latent_dim, (2, 2), CHANNELS)
    decoder = GridDecoder(CHANNELS, image(width), **SMALL)
    above = GridDecoder(latent_dim, (2, 2, 2), **SMALL)
    network = CausalNetwork((1, 2, 2), 3, features=6, blocks=1, context_features=2)
    model = VQVAE(
        JoinedDecoder([join], decoder),
        [AutoregressiveCodes(low, network, above), UniformCodes(top, 1)],
        BernoulliLikelihood(),
    )
    guide = VQGuide(
        [
            GridEncoder(image(width), CHANNELS, **SMALL),
            GridEncoder((CHANNELS, 2, 2), latent_dim, **SMALL),
        ],
        [low, top],
        [GridJoin(CHANNELS, latent_dim, (2, 2), latent_dim)],
    )
    return model, guide


def pixel_by_pixel(width, latent_dim):
    """Bits that depend on those before them, and on the code."""
    network = CausalNetwork(image(width), 2, features=6, blocks=1, context_features=1)
    likelihood = AutoregressiveLikelihood(network)
    model = VAE(MLP(latent_dim, [6], width), StandardNormal(latent_dim), likelihood)
    return model, GaussianGuide(MLP(width, [6], 2 * latent_dim))


def residual(width, latent_dim):
    model = VAE(
        ResidualDecoder(latent_dim, image(width), **SMALL),
        StandardNormal(latent_dim),
        BernoulliLikelihood(),
    )
    return model, GaussianGuide(ResidualEncoder(image(width), 2 * latent_dim, **SMALL))


# Constructors by name, from the widths of data and code.
VQ = {
    "vq": partial(one_level, False),
    "vq-causal-prior": partial(one_level, True),
    "vq-two-levels": two_levels,
    "pixel-by-pixel": pixel_by_pixel,
    "residual": residual,
}


def latents_of_vq(model, latent_dim):
    """The event shape of each grid of codes, by name; None for another model."""
    if not isinstance(model, VQVAE):
        return None
    if len(model.priors) == 1:
        return {"z": (4, latent_dim)}
    return {"z1": (4, latent_dim), "z2": (1, latent_dim)}
