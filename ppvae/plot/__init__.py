"""Figures, each returned and never shown: curves of training, and pictures of what a pair does."""

from ppvae.plot.curves import curves, history
from ppvae.plot.pictures import (
    images,
    interpolation,
    latent_map,
    manifold,
    reconstructions,
    samples,
)

__all__ = [
    "curves",
    "history",
    "images",
    "interpolation",
    "latent_map",
    "manifold",
    "reconstructions",
    "samples",
]
