"""A likelihood that scores the observed values alone."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

__all__ = ["Masked", "masked"]


class Masked(dist.MaskedDistribution):
    """A distribution over single values whose log-density is 0, and has no gradient, in holes.

    Pyro's own masks the log-density of whatever lies in a hole, and 0 times the gradient of NaN is
    NaN. Here a hole is filled before it is scored, so that nothing that lies there is seen.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p of each value, (..., B, P), and 0 where the mask is false."""
        # 1 is a bit, a count and a positive number, so that its log-density has a gradient.
        return super().log_prob(torch.where(torch.as_tensor(self._mask), value, 1.0))


def masked(likelihood: TorchDistribution, mask: Tensor | None) -> TorchDistribution:
    """The likelihood of the values that a mask leaves, sum_i m_i log p(x_i|z).

    Where values are missing at random, and p(x|z) is independent over them, this is the
    likelihood of what is observed: the others integrate to 1.

    Args:
        likelihood: p(x|z), independent over values, with event shape (P,).
        mask: true where x is observed, (B, P); None where all of it is.

    Returns:
        p(x|z) with event shape (P,), which still draws all values.

    Raises:
        TypeError: the mask is not boolean, or the likelihood is not independent over values.
        ValueError: the mask has another shape than x.

    Example:
        >>> import pyro.distributions as dist
        >>> likelihood = dist.Normal(torch.zeros(1, 2), 1.0).to_event(1)
        >>> seen = masked(likelihood, torch.tensor([[True, False]]))
        >>> seen.log_prob(torch.tensor([[0.0, float("nan")]]))
        tensor([-0.9189])

    Source: Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633, on values missing at random.
    """
    if mask is None:
        return likelihood
    if not isinstance(likelihood, dist.Independent) or likelihood.reinterpreted_batch_ndims != 1:
        raise TypeError(
            "likelihood must be independent over values, by .to_event(1), to be masked; "
            f"got {type(likelihood).__name__}."
        )
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean, true where x is observed; got {mask.dtype}.")
    each = likelihood.base_dist
    # A mask of one row, or one value wide, would broadcast and pass for one that was given for all.
    if mask.shape != each.batch_shape[-mask.dim() :] or mask.dim() < 2:
        raise ValueError(
            f"mask must have the shape of x, {tuple(each.batch_shape[-2:])}; "
            f"got {tuple(mask.shape)}."
        )
    return Masked(each, mask).to_event(1)
