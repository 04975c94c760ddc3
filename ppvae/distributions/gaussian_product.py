"""The product of two diagonal Gaussians."""

import torch
from torch import Tensor

__all__ = ["gaussian_product"]


def gaussian_product(first: Tensor, second: Tensor) -> Tensor:
    r"""Loc and log scale of the Gaussian that is proportional to N(loc_1, s_1^2) N(loc_2, s_2^2).

    .. math:: s^{-2} = s_1^{-2} + s_2^{-2}, \qquad
        \mathrm{loc} = s^2 (s_1^{-2} \mathrm{loc}_1 + s_2^{-2} \mathrm{loc}_2)

    Args:
        first: loc and log scale side by side, (..., 2 D).
        second: the same of the other, (..., 2 D).

    Returns:
        Loc and log scale side by side, (..., 2 D).

    Raises:
        ValueError: the width of the first is odd, or that of the second is another.

    Source: Soenderby et al. (2016), Ladder Variational Autoencoders, arXiv:1602.02282.
    """
    if first.shape[-1] % 2:
        raise ValueError(f"a Gaussian must have even width; got {first.shape[-1]}.")
    # Width 2 would broadcast and pass for a Gaussian of more coordinates.
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"both Gaussians must have the same width; got {first.shape[-1]} "
            f"and {second.shape[-1]}."
        )
    (loc_1, log_scale_1), (loc_2, log_scale_2) = first.chunk(2, -1), second.chunk(2, -1)
    # In logarithms, so that no precision overflows: s_1^-2 / (s_1^-2 + s_2^-2) is a sigmoid.
    weight = torch.sigmoid(2 * (log_scale_2 - log_scale_1))
    log_scale = -0.5 * torch.logaddexp(-2 * log_scale_1, -2 * log_scale_2)
    return torch.cat([torch.lerp(loc_2, loc_1, weight), log_scale], -1)
