"""Rainforth's Gaussian toy: do tighter bounds give better gradients?

    ppvae gradients gaussian-toy
    ppvae evaluate gaussian-toy --perturbation 0

Everything is known here. At the best parameters, mu the mean of the rows, A = I / 2 and b = mu / 2,
the guide's covariance 2/3 I is too wide for the posterior's 1/2 I: each datum's ELBO lies 0.4565
nats below log p(x), and K (log p(x) - L_K) tends to 0.4534 nats. By default all parameters are a
little off, as in the paper, since at the best ones the guide's gradient is zero in the mean.

Source: Rainforth et al. (2018), Tighter variational bounds are not necessarily better,
arXiv:1802.04537.
"""

import sys

import torch

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data, Source
from ppvae.exact import ExactGaussian
from ppvae.guides import AffineGuide
from ppvae.models import GaussianToy

__all__ = ["DATA", "gaussian_toy"]

DATA = Source("gaussian_toy")


def gaussian_toy(data: Data, perturbation: float = 0.01) -> Experiment:
    """A Gaussian pair at or near its best parameters, with every bound known exactly.

    Args:
        data: real rows, (N, D).
        perturbation: standard deviation of the noise added to each parameter; 0 for the optimum.
    """
    if not 0 <= perturbation < float("inf"):
        raise ValueError(f"perturbation must be at least 0 and finite; got {perturbation}.")
    mean = data.mean.to("cpu", torch.get_default_dtype())
    model = GaussianToy(_near(mean, perturbation))
    guide = AffineGuide(
        slope=_near(torch.eye(data.data_dim) / 2, perturbation),
        offset=_near(mean / 2, perturbation),
        spread=(2 / 3) ** 0.5,
    )
    exact = ExactGaussian(model.log_evidence, model.posterior, guide.distribution)
    return Experiment(
        model=model,
        guide=guide,
        epochs=50,
        lr=1e-3,
        log_evidence=exact.log_evidence,
        elbo=exact.elbo,
        cross_entropy=exact.cross_entropy,
    )


def _near(best: torch.Tensor, perturbation: float) -> torch.Tensor:
    return best + perturbation * torch.randn(best.shape)


if __name__ == "__main__":
    sys.exit(main(["fit", "gaussian-toy", *sys.argv[1:]]))
