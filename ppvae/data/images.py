"""A folder of images of one size, read with PIL."""

import struct
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ppvae.data.arrays import raw_from_arrays
from ppvae.data.fields import Raw

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_images"]

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_GREY_MODES = ("1", "L", "LA", "La")
_LISTED = 20


def read_images(folder: Path, *, image_size: int | None, crop: bool, channels: int | None) -> Raw:
    """The images below the folder in the order of their paths, values 0 to 255 divided by 255.

    They are split 80 / 10 / 10 by a fixed permutation. Files that cannot be read are left out and
    listed in a warning and in the notes; transparency is dropped, hidden files are skipped.

    Args:
        folder: searched with its subfolders.
        image_size: side in pixels after resizing (bilinear); None where all sizes agree.
        crop: whether each image is cropped to its central square first.
        channels: 1 (grey) or 3 (colour); None where all images agree.

    Raises:
        ValueError: an option is out of range, no image can be read, or images disagree.
        TypeError: an image has more than 8 bits a channel.
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be at least 1; got {image_size}.")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour); got {channels}.")
    images: dict[str, NDArray[np.uint8]] = {}
    broken = []
    for path in _image_files(folder):
        try:
            images[str(path)] = _pixels(path, image_size, crop, channels)
        except _unreadable():
            broken.append(path.relative_to(folder).as_posix())
    if not images:
        raise ValueError(
            f"{folder} must hold images ({', '.join(sorted(_SUFFIXES))}); got none that can be "
            f"read and {len(broken)} that cannot."
        )
    x = torch.from_numpy(_stacked(images)).to(torch.float32).div_(255)
    raw = raw_from_arrays({"x": x}, str(folder))
    return Raw(raw.splits, raw.image_shape, tuple(_notes(image_size, crop, broken)))


def _image_files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _unreadable() -> tuple[type[Exception], ...]:
    """What PIL raises on damaged or foreign files."""
    from PIL.Image import DecompressionBombError

    damaged = (OSError, EOFError, SyntaxError, ValueError, struct.error, zlib.error)
    return (*damaged, DecompressionBombError)


def _pixels(
    path: Path, image_size: int | None, crop: bool, channels: int | None
) -> NDArray[np.uint8]:
    """The image as (C, H, W), turned upright as its camera says."""
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        image: Image.Image = ImageOps.exif_transpose(opened)
        if image.mode.startswith(("I", "F")):
            raise TypeError(f"images must have 8 bits a channel; got mode {image.mode} in {path}.")
        grey = channels == 1 or (channels is None and image.mode in _GREY_MODES)
        if "transparency" in image.info:
            image = image.convert("RGBA")
        image = image.convert("L" if grey else "RGB")
    if crop:
        image = _central_square(image)
    if image_size is not None:
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _central_square(image: "Image") -> "Image":
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _stacked(images: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    _require_one(images, 0, 1, "channels must be stated where images disagree")
    _require_one(images, 1, 3, "image_size must be stated where images disagree")
    return np.stack(list(images.values()))


def _require_one(images: dict[str, NDArray[np.uint8]], first: int, last: int, rule: str) -> None:
    """Refuse images that differ in these dimensions of (C, H, W), with one example of each kind."""
    examples: dict[tuple[int, ...], str] = {}
    for path, pixels in images.items():
        examples.setdefault(pixels.shape[first:last], path)
    if len(examples) > 1:
        got = (f"{'x'.join(map(str, kind))} in {path}" for kind, path in examples.items())
        raise ValueError(f"{rule}; got {' and '.join(list(got)[:2])}.")


def _notes(image_size: int | None, crop: bool, broken: list[str]) -> Iterable[str]:
    if crop:
        yield "cropped to the central square"
    if image_size is not None:
        yield f"resized to {image_size}x{image_size}"
    if broken:
        more = f" and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
        text = f"{len(broken)} unreadable left out: {', '.join(broken[:_LISTED])}{more}"
        warnings.warn(f"Images: {text}.", stacklevel=4)
        yield text
