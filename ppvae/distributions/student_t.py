"""The likelihood of real-valued data with heavy tails."""

import pyro.distributions as dist
from torch import Tensor, nn
from torch.nn.functional import softplus

__all__ = ["StudentTLikelihood"]


class StudentTLikelihood(nn.Module):
    """p(x|z) of independent Student-t values, of which the decoder gives place, scale and tail.

    With (a, b, c) the three parts of the decoder's output,

        x_i ~ StudentT(degrees of freedom 3 + softplus(c_i), a_i, 0.001 + softplus(b_i))

    so that each value has a variance, and a datum that is met exactly no infinite density.

    Raises:
        ValueError: the decoder's width is no multiple of 3.

    Source: Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633, and its authors' notebooks (the
    bounds 3 and 0.001).
    """

    def forward(self, params: Tensor) -> dist.TorchDistribution:
        """Return p(x|z) with event shape (P,) from (..., 3 P)."""
        if params.shape[-1] % 3:
            raise ValueError(
                f"decoder must be 3 P wide for a Student-t likelihood; got {params.shape[-1]}."
            )
        loc, scale, tail = params.chunk(3, dim=-1)
        return dist.StudentT(3 + softplus(tail), loc, 0.001 + softplus(scale)).to_event(1)
