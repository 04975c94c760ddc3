"""Twenty clusters in a row: who learns q(y|x) of a discrete label best?

    ppvae fit mixture                      # the label is summed out
    ppvae fit mixture --no-enumerate       # the label is drawn, and its draws are scored
    ppvae compare mixture --no-enumerate

Places and widths of the clusters are known, their shares are learned. The exact posterior of the
label is a softmax, to which the guide's can be held. The ELBO has poor local optima here: with the
label summed out, so that its gradient is exact, it ends after 10000 steps at an ELBO of -10.64 and
a log p(x) of -6.67 nats on test rows, where the process itself has a log p(x) of -5.25 nats. A
guide that is sure too soon leaves a cluster out, and the shares follow the guide.

Settings as published, but for two: the data set is finite, 10000 rows instead of fresh draws at
each step, and the encoder reads x standardised, since the kinks of 16 new tanh units that read x
itself all lie among the first few clusters.

Source: Le et al. (2019), Revisiting reweighted wake-sleep, arXiv:1805.10469.
"""

import sys

import torch
from torch import Tensor, nn

from ppvae import ELBO, IWAE, Experiment
from ppvae.cli import main
from ppvae.data import Data, Source
from ppvae.estimators import VIMCO
from ppvae.exact import ExactSum
from ppvae.guides import CategoricalGuide
from ppvae.models import ClusterMixture
from ppvae.networks import MLP

__all__ = ["DATA", "ESTIMATORS", "mixture"]

DATA = Source("clusters")
ESTIMATORS = ("elbo:5+score", "iwae:5+vimco", "rws:5")


def mixture(data: Data, clusters: int = 20, hidden: int = 16, enumerate: bool = True) -> Experiment:
    """Clusters with unknown shares, whose label is summed out or drawn.

    Args:
        data: real rows of one value, (N, 1).
        clusters: C, how many; they stand at 0, 10, 20, ..., each of standard deviation 5.
        hidden: width of the one hidden layer of the encoder.
        enumerate: whether the label is marked to be summed out exactly.
    """
    model = ClusterMixture(10.0 * torch.arange(clusters)[:, None], width=5.0)
    encoder = nn.Sequential(
        Standardized(data), MLP(data.data_dim, [hidden], clusters, activation=nn.Tanh)
    )
    guide = CategoricalGuide(encoder, enumerated=enumerate)
    exact = ExactSum(model, guide, {"y": torch.arange(clusters)})
    return Experiment(
        model=model,
        guide=guide,
        estimator=ELBO() if enumerate else IWAE(5, gradient=VIMCO()),
        epochs=100,
        lr=1e-3,
        batch_size=100,
        log_evidence=exact.log_evidence,
        elbo=exact.elbo,
        cross_entropy=exact.cross_entropy,
    )


class Standardized(nn.Module):
    """From x to (x - mean) / standard deviation of the training rows."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.register_buffer("mean", data.mean)
        self.register_buffer("deviation", data.train["x"].std(0))

    def forward(self, x: Tensor) -> Tensor:
        """Map x, (..., P), to (..., P)."""
        return (x - self.mean) / self.deviation


if __name__ == "__main__":
    sys.exit(main(["fit", "mixture", *sys.argv[1:]]))
