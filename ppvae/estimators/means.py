"""Functions of weights that are built of means over the draws."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from ppvae.estimators.log_mean import log_mean

__all__ = ["Means", "PowerMean"]


class Means(ABC):
    """A function of K log-weights in which one draw may count more than another."""

    @abstractmethod
    def __call__(self, log_weight: Tensor, log_count: Tensor) -> Tensor:
        """Its value where draw k counts exp(log_count_k)-fold: (..., K, B) to (..., B) nats."""

    @abstractmethod
    def slopes(self, log_weight: Tensor) -> Tensor:
        """Its derivatives in the log-weights where draws count alike, (..., K, B)."""

    @abstractmethod
    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Its second derivatives, each in one log-weight, where draws count alike, (..., K, B)."""


class PowerMean(Means):
    r"""Log of the mean of a power of the weights, over that power.

    .. math:: \frac{1}{s} \log \frac{1}{K} \sum_k w_k^s

    It rises with s on every draw.

    Args:
        power: s, not 0.
    """

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, log_weight: Tensor, log_count: Tensor) -> Tensor:
        """Log of the power mean: (..., K, B) to (..., B)."""
        return log_mean(self.power * log_weight + log_count) / self.power

    def slopes(self, log_weight: Tensor) -> Tensor:
        """The normalized powers of the weights, (..., K, B)."""
        return (self.power * log_weight).softmax(-2)

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Of the normalized powers v: s (v - v^2), (..., K, B)."""
        normalized = self.slopes(log_weight)
        return self.power * (normalized - normalized.square())
