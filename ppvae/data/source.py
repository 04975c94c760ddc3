"""What to load, as a record that can be written down and loaded again."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Source", "data_folder"]


@dataclass(frozen=True)
class Source:
    """What to load; `dataclasses.asdict` gives plain JSON, `Source(**json)` reads it back.

    Args:
        name: a built-in name, or the path of a .npy, .npz or .pt file or of an image folder.
        binarize: "dynamic", "once", "none" or "fixed"; None is the default of that data set.
        image_size: side in pixels to which the images of a folder are resized.
        crop: whether the images of a folder are cropped to their central square first.
        channels: 1 (grey) or 3 (colour) for an image folder; None where all images agree.
        missing: how values go missing, "pixels:0.5", "block:4", "strokes:3" or "quadrants:1"; None
            leaves the rows whole.
        masks: "once" for data that really are incomplete, "anew" for masks drawn in each epoch.
        labels: how many training rows keep their label, balanced over classes; None keeps all.
        label_seed: of which rows these are.
    """

    name: str
    binarize: str | None = None
    image_size: int | None = None
    crop: bool = False
    channels: int | None = None
    missing: str | None = None
    masks: str = "once"
    labels: int | None = None
    label_seed: int = 0


def data_folder(data_dir: str | Path | None = None) -> Path:
    """The folder of data files: the argument, else PPVAE_DATA, else ~/.cache/ppvae."""
    if data_dir is None:
        data_dir = os.environ.get("PPVAE_DATA") or "~/.cache/ppvae"
    return Path(data_dir).expanduser().absolute()
