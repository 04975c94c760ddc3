"""An exact quantity of a batch, which may have holes."""

from collections.abc import Callable

from torch import Tensor

from ppvae.pair import Batch, fields_asked
from ppvae.scope import Program

__all__ = ["exact_on", "knows"]


def knows(function: Callable[..., Tensor], batch: Batch, model: Program) -> bool:
    """Whether an exact quantity is that of what the model scores in a batch.

    A model that heeds the mask of a batch scores a part of x; a formula that does not ask for the
    mask too is then that of something else.
    """
    _, fields = batch
    heeds = "mask" in fields and _asks(model)
    return not heeds or _asks(function)


def exact_on(function: Callable[..., Tensor], batch: Batch, model: Program) -> Tensor:
    """The exact quantity of the rows of a batch, (B,), or of what the model scores of them."""
    args, fields = batch
    x = args[0] if args else fields["x"]
    if "mask" in fields and _asks(model) and _asks(function):
        return function(x, mask=fields["mask"])
    return function(x)


def _asks(program: Callable[..., object]) -> bool:
    asked = fields_asked(program)
    return asked is not None and "mask" in asked
