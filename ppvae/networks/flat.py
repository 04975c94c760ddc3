"""Leading dimensions, (K, B), out of a network's way and back."""

from torch import Tensor

__all__ = ["rows"]


def rows(x: Tensor, width: int) -> Tensor:
    """Return x, (..., P), as rows (N, P) after checking its width.

    Image layers and batch normalisation read the wrong axis, or refuse, when a particle dimension
    stands before the batch.

    Args:
        x: a batch, (..., P).
        width: the P that the network was built for.

    Raises:
        ValueError: x is not `width` wide.
    """
    if x.shape[-1:] != (width,):
        raise ValueError(f"input must be {width} wide, (..., {width}); got shape {tuple(x.shape)}.")
    return x.reshape(-1, width)
