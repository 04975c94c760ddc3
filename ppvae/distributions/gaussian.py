"""The likelihoods of real-valued data: one scale for all pixels, or one for each."""

import math

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

__all__ = ["GaussianLikelihood", "PixelGaussianLikelihood"]


class GaussianLikelihood(nn.Module):
    """p(x|z) = N(loc, scale^2 I) with loc from the decoder and one scale, fixed or learned.

    Args:
        scale: the standard deviation, or its first value; 1, with which the log-likelihood is
            minus half the squared error, up to a constant.
        learn_scale: whether log(scale - min_scale) is a parameter.
        min_scale: what the scale stays above, at least 0: a decoder that meets its data exactly
            has no largest likelihood without.

    Raises:
        ValueError: scale is not finite and above min_scale, or min_scale is negative.

    Source: Rybkin, Daniilidis & Levine (2021), arXiv:2006.13202, on one learned scale.
    """

    log_scale: Tensor

    def __init__(
        self, scale: float = 1.0, learn_scale: bool = False, min_scale: float = 0.0
    ) -> None:
        super().__init__()
        if not min_scale >= 0:
            raise ValueError(f"min_scale must be at least 0; got {min_scale}.")
        if not min_scale < scale < math.inf:
            least = f"above {min_scale}" if min_scale else "positive"
            raise ValueError(f"scale must be {least} and finite; got {scale}.")
        self.min_scale = float(min_scale)
        log_scale = torch.tensor(math.log(scale - min_scale))
        if learn_scale:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self, params: Tensor) -> dist.TorchDistribution:
        """Return p(x|z) with event shape (P,) from its mean, (..., P)."""
        return dist.Normal(params, self.min_scale + self.log_scale.exp()).to_event(1)


class PixelGaussianLikelihood(nn.Module):
    """p(x|z) = N(loc, diag(scale^2)), a scale for each pixel from the decoder.

    With (a, b) the two halves of the decoder's output, loc is a and scale min_scale + softplus(b).

    Args:
        min_scale: positive: without it a pixel that never changes has an infinite density.

    Raises:
        ValueError: min_scale is not positive and finite, or the decoder's width is odd.
    """

    def __init__(self, min_scale: float = 0.01) -> None:
        super().__init__()
        if not 0 < min_scale < math.inf:
            raise ValueError(f"min_scale must be positive and finite; got {min_scale}.")
        self.min_scale = float(min_scale)

    def forward(self, params: Tensor) -> dist.TorchDistribution:
        """Return p(x|z) with event shape (P,) from (..., 2 P)."""
        if params.shape[-1] % 2:
            raise ValueError(
                f"decoder must be 2 P wide for a scale of each pixel; got {params.shape[-1]}."
            )
        loc, raw = params.chunk(2, dim=-1)
        return dist.Normal(loc, self.min_scale + softplus(raw)).to_event(1)
