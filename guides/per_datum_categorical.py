"""A categorical guide with logits of its own for each row of the data.

q(y_n) = Categorical(y_n; softmax(a_n))
"""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["PerDatumCategoricalGuide"]


class PerDatumCategoricalGuide(PyroModule):
    """q(y_n) over C labels, one free table row for each datum: nothing is amortized.

    The rows are found by the field "index", which counts training, validation and test rows in this
    order. A row that was never trained on keeps the equal chances that it began with.

    Args:
        num_rows: N, how many rows the data have, all splits together; at least 1.
        classes: C, at least 1.
        enumerated: whether y is marked to be summed out; a drawn y has no path gradient.

    Raises:
        ValueError: num_rows or classes is below 1, or index is not (B,).
    """

    def __init__(self, num_rows: int, classes: int, enumerated: bool = True) -> None:
        super().__init__()
        for name, size in (("num_rows", num_rows), ("classes", classes)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1; got {size}.")
        self.table = nn.Parameter(torch.zeros(num_rows, classes))
        self.enumerated = enumerated

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Return labels y for rows of these numbers, (B,): all C of them, or draws, (..., B)."""
        if index.shape != x.shape[:1]:
            raise ValueError(
                f"index must hold one number for each row of x, ({len(x)},); "
                f"got shape {tuple(index.shape)}."
            )
        labels = dist.Categorical(logits=self.table[index])
        infer: Any = {"enumerate": "parallel"} if self.enumerated else {}
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("y", labels, infer=infer)
