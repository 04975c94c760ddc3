"""A multilayer perceptron."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from ppvae.networks.flat import rows

__all__ = ["MLP"]


class MLP(nn.Module):
    """A perceptron from (..., in_features) to (..., out_features), linear at the end.

    Args:
        in_features: width of the input.
        hidden: widths of the hidden layers; empty for a linear map.
        out_features: width of the output.
        activation: the nonlinearity after each hidden layer; tanh, which is smooth, by default.

    Raises:
        ValueError: a width is below 1, or an input is not in_features wide.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        activation: Callable[[], nn.Module] = nn.Tanh,
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden, out_features]
        if min(widths) < 1:
            raise ValueError(f"widths of an MLP must be at least 1; got {widths}.")
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), activation()]
        self.in_features = in_features
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map x, (..., in_features), to (..., out_features)."""
        out: Tensor = self.layers(rows(x, self.in_features))
        return out.reshape(*x.shape[:-1], out.shape[-1])
