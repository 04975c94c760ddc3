"""A posterior with two modes: which of them does each objective find?

    ppvae fit squared
    ppvae compare squared --estimators elbo iwae:50

The datum is the square of the code, with noise, so that z and -z explain it equally well, and half
of p(z|x) lies on each side of 0. The guide is Gaussian: the ELBO, KL(q || p), puts it on one mode;
what lowers KL(p || q) spreads it over both. All integrals over z are taken on a grid of 4001
points, at which the trapezoid rule is exact to rounding.
"""

import sys

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data, Source
from ppvae.exact import ExactSum, grid
from ppvae.guides import GaussianGuide
from ppvae.models import Squared
from ppvae.networks import MLP

__all__ = ["DATA", "squared"]

DATA = Source("squares")


def squared(data: Data, scale: float = 0.5, hidden: int = 16) -> Experiment:
    """The square of a Gaussian code with noise, whose posterior has two modes.

    Args:
        data: real rows of one value, (N, 1).
        scale: s, the standard deviation of the noise at first; it is learned.
        hidden: width of the one hidden layer of the encoder.
    """
    model, guide = Squared(scale), GaussianGuide(MLP(data.data_dim, [hidden], 2))
    points, log_volume = grid(limit=10.0, size=4001)
    exact = ExactSum(model, guide, {"z": points}, log_volume)
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
    sys.exit(main(["fit", "squared", *sys.argv[1:]]))
