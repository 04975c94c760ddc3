"""The likelihood of real-valued data, with one scale for all pixels."""

import math

import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["GaussianLikelihood"]


class GaussianLikelihood(nn.Module):
    """p(x|z) = N(loc, scale^2 I) with loc from the decoder and one scale, fixed or learned.

    Args:
        scale: the standard deviation, or its first value; 1, with which the log-likelihood is
            minus half the squared error, up to a constant.
        learn_scale: whether log(scale) is a parameter.

    Raises:
        ValueError: scale is not a positive finite number.
    """

    log_scale: Tensor

    def __init__(self, scale: float = 1.0, learn_scale: bool = False) -> None:
        super().__init__()
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite; got {scale}.")
        log_scale = torch.tensor(math.log(scale))
        if learn_scale:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self, params: Tensor) -> dist.TorchDistribution:
        """Return p(x|z) with event shape (P,) from its mean, (..., P)."""
        return dist.Normal(params, self.log_scale.exp()).to_event(1)
