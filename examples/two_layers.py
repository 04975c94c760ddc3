"""Two layers of codes: do estimators stay right where one draw depends on another?

    ppvae fit two-layers
    ppvae compare two-layers

The guide draws z1 given x and z2 given z1, so that a gradient along the path to z1 runs on through
z2. Each code is one number, and all integrals are taken on a grid of 161 x 161 points, at which
the trapezoid rule is exact to rounding.
"""

import sys

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data, Source
from ppvae.exact import ExactSum, grid
from ppvae.guides import LayeredGaussianGuide
from ppvae.models import TwoLayers
from ppvae.networks import MLP

__all__ = ["DATA", "ESTIMATORS", "two_layers"]

DATA = Source("layers")
# Guide and model sample in different orders, for which TraceMeanField_ELBO has no formula.
ESTIMATORS = ("Trace_ELBO", "elbo:5", "elbo+stl", "iwae:5", "iwae:5+dreg")


def two_layers(data: Data, hidden: int = 16) -> Experiment:
    """Two layers of one-dimensional codes and a layered guide.

    Args:
        data: real rows of one value, (N, 1).
        hidden: width of the one hidden layer of both networks of the guide.
    """
    model = TwoLayers()
    guide = LayeredGaussianGuide([MLP(data.data_dim, [hidden], 2), MLP(1, [hidden], 2)])
    points, log_volume = grid(limit=10.0, size=161, dims=2)
    exact = ExactSum(model, guide, {"z1": points[:, :1], "z2": points[:, 1:]}, log_volume)
    return Experiment(
        model=model,
        guide=guide,
        epochs=100,
        lr=5e-3,
        log_evidence=exact.log_evidence,
        elbo=exact.elbo,
        cross_entropy=exact.cross_entropy,
    )


if __name__ == "__main__":
    sys.exit(main(["fit", "two-layers", *sys.argv[1:]]))
