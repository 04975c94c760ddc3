"""Which values of a row are observed: pixels, a block, strokes or quadrants left out.

Each way is a function of uniform numbers alone, so that a stream that is the same on every machine
and a generator on a GPU draw the same kind of masks.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ppvae.data.fields import SPLITS
from ppvae.data.streams import FixedStream, stream

__all__ = [
    "MISSING_SEED",
    "Draw",
    "Uniform",
    "block",
    "drawn_anew",
    "drawn_once",
    "missing_named",
    "pixels",
    "quadrants",
    "strokes",
]

# Of the one draw that held-out rows, and all rows of incomplete data, keep in every run.
MISSING_SEED = 0

# From a shape to uniform numbers in [0, 1).
Uniform = Callable[..., Tensor]
# From uniform numbers, N and (H, W) to masks (N, H, W), true where a pixel is observed.
Draw = Callable[[Uniform, int, tuple[int, int]], Tensor]

_FORMS = "pixels:FRACTION, block:SIDE, strokes:NUMBER, strokes:NUMBER:WIDTH or quadrants:OBSERVED"


def pixels(uniform: Uniform, num_rows: int, size: tuple[int, int], *, fraction: float) -> Tensor:
    """Each pixel left out with a probability, by itself: missing completely at random."""
    return uniform(num_rows, *size) >= fraction


def block(uniform: Uniform, num_rows: int, size: tuple[int, int], *, side: int) -> Tensor:
    """A square left out; all its places within the image are equally likely.

    Raises:
        ValueError: the square is larger than the image.
    """
    height, width = size
    if side > min(size):
        raise ValueError(f"block must fit an image of {height}x{width}; got side {side}.")
    places = uniform(num_rows, 2)
    top = (places[:, 0] * (height - side + 1)).long()[:, None, None]
    left = (places[:, 1] * (width - side + 1)).long()[:, None, None]
    rows, columns = _grid(size, places)
    return (rows < top) | (rows >= top + side) | (columns < left) | (columns >= left + side)


def strokes(
    uniform: Uniform, num_rows: int, size: tuple[int, int], *, number: int, width: float = 1.0
) -> Tensor:
    """Straight strokes left out, each between two places uniform over the image."""
    ends = uniform(number, num_rows, 2, 2)
    ends = ends * ends.new_tensor(size)
    (row, column), (to_row, to_column) = (
        (end[..., 0, None, None], end[..., 1, None, None]) for end in ends.unbind(-2)
    )
    rows, columns = _grid(size, ends)
    down, right = rows + 0.5 - row, columns + 0.5 - column
    along, across = to_row - row, to_column - column
    # The nearest place on the stroke, as a share of the way from its one end to the other.
    length = (along.square() + across.square()).clamp(min=1e-12)
    share = ((down * along + right * across) / length).clamp(0, 1)
    distance = (down - share * along).square() + (right - share * across).square()
    # At least the half diagonal of a pixel, so that a stroke has no gaps.
    return (distance > max(width / 2, 0.5**0.5) ** 2).all(0)


def quadrants(uniform: Uniform, num_rows: int, size: tuple[int, int], *, observed: int) -> Tensor:
    """The same quadrants of all rows: 1, the lower left; 2, the left half; 3, all but lower right.

    Source: Sohn, Lee & Yan (2015), Learning structured output representation using deep
    conditional generative models; which ones, as Pyro's example of it has them.
    """
    rows, columns = _grid(size, uniform(1))
    lower, left = rows >= size[0] // 2, columns < size[1] // 2
    kept = {1: lower & left, 2: left, 3: left | ~lower}[observed]
    return kept.expand(num_rows, *size)


def missing_named(name: str) -> Draw:
    """The way to leave values out that a name stands for.

    Args:
        name: "pixels:0.5", "block:4", "strokes:3", "strokes:3:2" or "quadrants:1".

    Raises:
        ValueError: an unknown form, or a number out of its range.
    """
    kind, *words = name.split(":")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    counted = bool(numbers) and numbers[0].is_integer() and numbers[0] >= 1
    match kind, numbers:
        case "pixels", [fraction] if 0 < fraction < 1:
            return partial(pixels, fraction=fraction)
        case "block", [side] if counted:
            return partial(block, side=int(side))
        case "strokes", [number] if counted:
            return partial(strokes, number=int(number))
        case "strokes", [number, width] if counted and 0 < width < float("inf"):
            return partial(strokes, number=int(number), width=width)
        case "quadrants", [observed] if observed in (1, 2, 3):
            return partial(quadrants, observed=int(observed))
    raise ValueError(
        f"missing must be {_FORMS}, with a fraction between 0 and 1, 1 to 3 quadrants and other "
        f"numbers above 0; got {name!r}."
    )


def drawn_once(
    draw: Draw, x: dict[str, Tensor], image_shape: Sequence[int] | None
) -> dict[str, Tensor]:
    """The fixed masks of each split, (N, P), equal on every machine; x on the CPU.

    Raises:
        ValueError: rows that are no images are to lose more than single values.
    """
    numbers = FixedStream("missing once", seed=MISSING_SEED)

    def uniform(*shape: int) -> Tensor:
        return torch.from_numpy(numbers.uniform(*shape))

    return {split: _masks(draw, uniform, x[split], image_shape) for split in SPLITS}


def drawn_anew(
    draw: Draw, x: Tensor, image_shape: Sequence[int] | None, *, seed: int, epoch: int
) -> Tensor:
    """Masks of rows x, (N, P), for one epoch: a function of (seed, epoch) on a kind of device."""
    generator = stream("missing", seed=seed, epoch=epoch, device=x.device)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=x.device, dtype=torch.float32)

    return _masks(draw, uniform, x, image_shape)


def _masks(draw: Draw, uniform: Uniform, x: Tensor, image_shape: Sequence[int] | None) -> Tensor:
    if image_shape is None:
        if getattr(draw, "func", draw) is not pixels:
            raise ValueError(
                "missing must be pixels:FRACTION where rows are no images of known shape; "
                f"got {getattr(draw, 'func', draw).__name__}."
            )
        return draw(uniform, len(x), (1, x.shape[1])).reshape(len(x), -1)
    channels, height, width = image_shape
    masks = draw(uniform, len(x), (height, width))
    # A pixel is left out in all of its channels.
    return masks[:, None].expand(-1, channels, -1, -1).reshape(len(x), -1)


def _grid(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """The row, (H, 1), and the column, (1, W), of each pixel, on the device of a tensor."""
    rows, columns = (torch.arange(side, device=like.device) for side in size)
    return rows[:, None], columns[None]
