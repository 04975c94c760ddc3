"""A multilayer perceptron."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from ppvae.networks.autocast import in_float32
from ppvae.networks.broadcast_linear import BroadcastLinear
from ppvae.networks.flat import rows

__all__ = ["MLP"]


class MLP(nn.Module):
    """A perceptron from (..., in_features) to (..., out_features), linear at the end.

    Of several inputs, such as data x and a label y, it is the perceptron of [x, y], whose first
    layer multiplies each at its own shape: :class:`ppvae.networks.BroadcastLinear`.

    Args:
        in_features: width of the input, or the widths of several.
        hidden: widths of the hidden layers; empty for a linear map.
        out_features: width of the output.
        activation: the nonlinearity after each hidden layer; tanh, which is smooth, by default.

    Raises:
        ValueError: a width is below 1, an input is not in_features wide, or there are more or
            fewer inputs than widths.
    """

    def __init__(
        self,
        in_features: int | Sequence[int],
        hidden: Sequence[int],
        out_features: int,
        activation: Callable[[], nn.Module] = nn.Tanh,
    ) -> None:
        super().__init__()
        widths = [*hidden, out_features]
        if isinstance(in_features, Sequence):
            self.in_features: int | tuple[int, ...] = tuple(in_features)
            _refuse_empty([*in_features, *widths])
            layers: list[nn.Module] = [BroadcastLinear(in_features, widths[0])]
        else:
            self.in_features = in_features
            _refuse_empty([in_features, *widths])
            layers = [nn.Linear(in_features, widths[0])]
        for before, after in pairwise(widths):
            layers += [activation(), nn.Linear(before, after)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Map x, (..., in_features), or several inputs, (...) broadcast, to (..., out_features)."""
        if isinstance(self.in_features, tuple):
            first, *others = self.layers
            out = first(x, *more)
            leading, out = out.shape[:-1], rows(out, out.shape[-1])
            for layer in others:
                out = layer(out)
        elif more:
            raise ValueError(f"an MLP of one width must have one input; got {1 + len(more)}.")
        else:
            leading, out = x.shape[:-1], self.layers(rows(x, self.in_features))
        return in_float32(out.reshape(*leading, out.shape[-1]))


def _refuse_empty(widths: list[int]) -> None:
    if min(widths) < 1:
        raise ValueError(f"widths of an MLP must be at least 1; got {widths}.")
