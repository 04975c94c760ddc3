"""A guide over parameters beside an amortized guide over codes.

    q(W, z|x) = q(W) q(z|x)

Source: Kingma & Welling (2014), arXiv:1312.6114, its appendix on full VB.
"""

from collections.abc import Callable
from typing import Any

from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor

__all__ = ["WeightsAndCodesGuide"]


class WeightsAndCodesGuide(PyroModule):
    """q(W) q(z|x) of two guides, one after the other.

    Args:
        over_weights: q(W), a guide outside of the data plate.
        over_codes: q(z|x), a guide inside of it.
        num_rows: N, as the model has it: the B rows of a batch count N / B times in both.

    Raises:
        ValueError: num_rows is below 1.
    """

    def __init__(
        self, over_weights: Callable[..., Any], over_codes: Callable[..., Tensor], num_rows: int
    ) -> None:
        super().__init__()
        if num_rows < 1:
            raise ValueError(f"num_rows must be at least 1; got {num_rows}.")
        self.over_weights = over_weights
        self.over_codes = over_codes
        self._num_rows = num_rows

    def forward(self, x: Tensor) -> Tensor:
        """Draw weights W, and codes z, (..., B, D), for data x, (B, P); return the codes."""
        self.over_weights(x)
        # The guide over codes knows the rows that it is given, and not how many there are.
        with poutine.scale(scale=self._num_rows / len(x)):
            return self.over_codes(x)
