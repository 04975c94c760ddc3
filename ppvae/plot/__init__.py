"""Figures, each returned and never shown: of training, of what a pair does, of comparisons."""

from ppvae.plot.beside import beside
from ppvae.plot.classes import accuracies, by_class
from ppvae.plot.curves import curves, curves_by, history
from ppvae.plot.draws import ByDraws, against_draws
from ppvae.plot.fillings import fillings
from ppvae.plot.gaps import gaps
from ppvae.plot.mixtures import Ellipses, ellipses, staircase, touching
from ppvae.plot.pictures import (
    images,
    interpolation,
    latent_map,
    manifold,
    reconstructions,
    samples,
)
from ppvae.plot.posteriors import posteriors
from ppvae.plot.rows import heat, histograms, intervals, sums
from ppvae.plot.walks import pushforward, traversal

__all__ = [
    "ByDraws",
    "Ellipses",
    "accuracies",
    "against_draws",
    "beside",
    "by_class",
    "curves",
    "curves_by",
    "ellipses",
    "fillings",
    "gaps",
    "heat",
    "histograms",
    "history",
    "images",
    "interpolation",
    "intervals",
    "latent_map",
    "manifold",
    "posteriors",
    "pushforward",
    "reconstructions",
    "samples",
    "staircase",
    "sums",
    "touching",
    "traversal",
]
