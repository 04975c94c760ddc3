"""Figures, each returned and never shown: of training, of what a pair does, of comparisons."""

from ppvae.plot.curves import curves, curves_by, history
from ppvae.plot.draws import ByDraws, against_draws
from ppvae.plot.pictures import (
    images,
    interpolation,
    latent_map,
    manifold,
    reconstructions,
    samples,
)
from ppvae.plot.rows import heat, histograms, intervals, sums

__all__ = [
    "ByDraws",
    "against_draws",
    "curves",
    "curves_by",
    "heat",
    "histograms",
    "history",
    "images",
    "interpolation",
    "intervals",
    "latent_map",
    "manifold",
    "reconstructions",
    "samples",
    "sums",
]
