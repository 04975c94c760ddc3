"""A linear layer of several inputs, each multiplied at its own shape."""

from collections.abc import Sequence
from itertools import zip_longest

from torch import Tensor, nn
from torch.nn.functional import linear

__all__ = ["BroadcastLinear"]


class BroadcastLinear(nn.Module):
    """W_1 x_1 + ... + W_n x_n + b for inputs whose leading dimensions broadcast.

    It is ``nn.Linear`` on the inputs side by side, [x_1, ..., x_n], with the same weight, bias and
    first values, but only the sums are broadcast: where a label y is summed out, (C, 1, P_2), the
    product with x, (B, P_1), is computed once and not once for each of the C labels.

    Args:
        in_features: widths of the inputs, P_1, ..., P_n.
        out_features: width of the output.

    Raises:
        ValueError: there is no input, a width is below 1, or inputs differ in number, width or
            leading dimensions from these rules.
    """

    def __init__(self, in_features: Sequence[int], out_features: int) -> None:
        super().__init__()
        self.in_features = tuple(in_features)
        self.out_features = out_features
        if not self.in_features:
            raise ValueError("in_features must hold at least one width; got ().")
        if min(*self.in_features, out_features) < 1:
            raise ValueError(
                "widths of a BroadcastLinear must be at least 1; "
                f"got {self.in_features} and {out_features}."
            )
        side_by_side = nn.Linear(sum(self.in_features), out_features)
        self.weight, self.bias = side_by_side.weight, side_by_side.bias

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map (..., P_1), ..., (..., P_n) to (..., out_features), where (...) is broadcast."""
        self._refuse_other(inputs)
        blocks = self.weight.split(self.in_features, dim=1)
        pairs = zip(inputs, blocks, strict=True)
        # From few rows to many: the sum, and the bias in it, is as small as it can be for longest.
        (x, block), *others = sorted(pairs, key=lambda pair: pair[0].shape[:-1].numel())
        out = linear(x, block, self.bias)
        for x, block in others:
            out = out + linear(x, block)
        return out

    def extra_repr(self) -> str:
        """Name the widths, as ``nn.Linear`` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"

    def _refuse_other(self, inputs: Sequence[Tensor]) -> None:
        widths = self.in_features
        if len(inputs) != len(widths):
            raise ValueError(
                f"inputs must be {len(widths)}, one for each of the widths {widths}; "
                f"got {len(inputs)}."
            )
        shapes = [tuple(x.shape) for x in inputs]
        if any(shape[-1:] != (width,) for shape, width in zip(shapes, widths, strict=True)):
            raise ValueError(f"inputs must be {widths} wide; got shapes {shapes}.")
        # torch.broadcast_shapes would say so too, and take as long as a small product.
        sizes = zip_longest(*(shape[-2::-1] for shape in shapes), fillvalue=1)
        if any(len({*size} - {1}) > 1 for size in sizes):
            raise ValueError(
                f"inputs must have leading dimensions that broadcast; got shapes {shapes}."
            )
