"""From a reader's rows to a data set."""

from dataclasses import replace

import torch

from ppvae.data.binarize import binarized_once, require_unit_interval
from ppvae.data.data import Data
from ppvae.data.fields import SPLITS, Fields, Raw
from ppvae.data.source import Source

__all__ = ["assemble", "with_mode"]


def with_mode(source: Source, modes: tuple[str, ...]) -> Source:
    """The source with its choice of binarisation made.

    Args:
        source: its binarize is None or one of the modes.
        modes: what this data set admits, its default first.

    Raises:
        ValueError: binarize is none of the modes.
    """
    mode = modes[0] if source.binarize is None else source.binarize
    if mode not in modes:
        rule = " or ".join(map(repr, modes))
        raise ValueError(f"binarize must be {rule} for {source.name}; got {mode!r}.")
    return replace(source, binarize=mode)


def assemble(raw: Raw, source: Source) -> Data:
    """The data set of these rows, numbered and binarised as the source says.

    Raises:
        ValueError: values to be binarised lie outside [0, 1].
    """
    splits = _numbered(raw.splits)
    grey: Fields = {}
    if source.binarize in ("dynamic", "once"):
        grey = {split: splits[split]["x"] for split in SPLITS}
        for split in SPLITS:
            require_unit_interval(grey[split], f"{split} of {source.name}")
        for split, x in binarized_once(grey).items():
            splits[split]["x"] = x
    return Data(source, **splits, image_shape=raw.image_shape, grey=grey, notes=raw.notes)


def _numbered(splits: dict[str, Fields]) -> dict[str, Fields]:
    numbered, start = {}, 0
    for split in SPLITS:
        stop = start + len(splits[split]["x"])
        numbered[split] = splits[split] | {"index": torch.arange(start, stop)}
        start = stop
    return numbered
