"""The mean of several importance-weighted bounds."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.gradient import Gradient
from ppvae.estimators.iwae import target_of_draws
from ppvae.estimators.log_mean import log_mean
from ppvae.estimators.of_weights import OfWeights

__all__ = ["MIWAE"]


class MIWAE(OfWeights):
    r"""Importance-weighted bound of K draws, averaged over M groups of them.

    .. math:: \frac{1}{M} \sum_m \log \frac{1}{K} \sum_k w_{mk}, \quad
        w_{mk} = p(x, z_{mk}) / q(z_{mk}|x)

    Another thing of the same name is the bound of incomplete data of Mattei & Frellsen (2019): here
    that is ``IWAE(K)`` with a model that asks for the mask (``ppvae.guides.MaskedGuide``).

    Its expectation is that of L_K. More groups lower the noise of a gradient without the loss of
    the guide's signal that comes with more draws in a group. One group is the IWAE; groups of one
    draw are the ELBO.

    Args:
        num_groups: M, at least 1.
        group_size: K, draws from the guide per datum and group, at least 1. All draws together,
            M K, are ``num_particles``.
        gradient: how the gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: num_groups or group_size is below 1.
        TypeError: gradient is no Gradient.

    Source: Rainforth et al. (2018), arXiv:1802.04537, section 5.
    """

    bound_kind = "lower"

    def __init__(
        self,
        num_groups: int,
        group_size: int,
        *,
        gradient: Gradient | None = None,
        expected: bool = False,
    ) -> None:
        for name, number in {"num_groups": num_groups, "group_size": group_size}.items():
            if number < 1:
                raise ValueError(f"{name} must be at least 1; got {number}.")
        super().__init__(num_groups * group_size, gradient=gradient, expected=expected)
        self.num_groups = num_groups
        self.group_size = group_size

    def of_weights(self, log_weight: Tensor) -> Tensor:
        """Log of the mean weight, averaged over groups: (..., M K, B) to (..., B)."""
        return log_mean(self._grouped(log_weight)).mean(-2)

    def target(self, role: str) -> str:
        """L_K, of one group."""
        return target_of_draws(self.group_size, self.expected)

    def slopes(self, log_weight: Tensor) -> Tensor:
        """The weights normalized in their group, over M, (..., M K, B)."""
        return self._normalized(log_weight) / self.num_groups

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """(v - v^2) / M of the weights v normalized in their group, (..., M K, B)."""
        normalized = self._normalized(log_weight)
        return (normalized - normalized.square()) / self.num_groups

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"{self.num_groups}, {self.group_size}, {super().extra_repr()}"

    def _grouped(self, log_weight: Tensor) -> Tensor:
        """Groups in front of their draws, (..., M, K, B)."""
        return log_weight.unflatten(-2, (self.num_groups, self.group_size))

    def _normalized(self, log_weight: Tensor) -> Tensor:
        return self._grouped(log_weight.detach()).softmax(-2).flatten(-3, -2)
