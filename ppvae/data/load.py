"""The door to data: a name, a path or arrays in, a data set out."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ppvae.data.arrays import raw_from_arrays
from ppvae.data.assemble import assemble, with_mode
from ppvae.data.data import Data
from ppvae.data.files import SUFFIXES, read_arrays, tensor_of
from ppvae.data.images import read_images
from ppvae.data.labels import keep_labels
from ppvae.data.missing import with_missing
from ppvae.data.registry import BUILT_IN, BuiltIn
from ppvae.data.source import Source, data_folder

__all__ = ["from_arrays", "load"]

# Of one's own data, which may be anything: the default is first.
_OWN_MODES = ("none", "dynamic", "once")


def load(
    source: Source | str | Path,
    *,
    data_dir: str | Path | None = None,
    device: str | torch.device = "cpu",
    binarize: str | None = None,
    image_size: int | None = None,
    crop: bool | None = None,
    channels: int | None = None,
    missing: str | None = None,
    masks: str | None = None,
    labels: int | None = None,
    label_seed: int | None = None,
) -> Data:
    """The data set that a built-in name, a path or a source stands for.

    Args:
        source: a name in `ppvae.data.NAMES`; the path of a .npy, .npz or .pt file or of an image
            folder; or a `Source`.
        data_dir: folder of the built-in sets' files; None is PPVAE_DATA, else ~/.cache/ppvae.
        device: where all tensors go.
        binarize: "dynamic" (training rows drawn anew each epoch, held-out rows once), "once" or
            "none"; None is "dynamic" for built-in grey images and "none" for one's own data.
        image_size: for an image folder, as in `Source`; None is the source's own.
        crop: likewise.
        channels: likewise.
        missing: how values go missing, "pixels:0.5", "block:4", "strokes:3" or "quadrants:1", as
            `ppvae.data.masks.missing_named` has them; None leaves the rows whole.
        masks: "once" (data that really are incomplete) or "anew" (in each epoch, x stays whole),
            as `ppvae.data.missing.with_missing` has them.
        labels: how many training rows keep their label, balanced over classes; None keeps all.
        label_seed: of which rows these are, as `ppvae.data.keep_labels` has it.

    Raises:
        FileNotFoundError: a file is missing; the message says what to put where.
        ValueError: an unknown name or mode, a damaged file, or values that break a rule.
        TypeError: a file holds another kind of values.

    Example:
        >>> data = load("digits")
        >>> data.num_train, data.data_dim, data.binarize
        (1297, 64, 'dynamic')
    """
    if not isinstance(source, Source):
        # A Path is never a built-in name.
        source = Source(source if isinstance(source, str) else str(source.absolute()))
    options: dict[str, Any] = {"image_size": image_size, "crop": crop, "channels": channels}
    options |= {"binarize": binarize, "missing": missing, "masks": masks}
    options |= {"labels": labels, "label_seed": label_seed}
    source = replace(source, **{name: o for name, o in options.items() if o is not None})
    if source.name in BUILT_IN:
        data = _built_in(source, BUILT_IN[source.name], data_folder(data_dir))
    else:
        path = _own_path(source.name)
        # Absolute, so that a run can be resumed from another folder.
        data = _own(replace(source, name=str(path)), path)
    data = keep_labels(data, source.labels, source.label_seed)
    return with_missing(data, source.missing, source.masks).to(device)


def from_arrays(
    arrays: Mapping[str, Any],
    *,
    name: str = "arrays",
    binarize: str | None = None,
    missing: str | None = None,
    masks: str = "once",
) -> Data:
    """The data set of tensors or NumPy arrays in memory, named and split as those of a .npz file.

    Args:
        arrays: x, with y and mask where there are any, or train, valid and test, as
            `ppvae.data.arrays.raw_from_arrays` has them.
        name: what `describe` and messages call it; it cannot be loaded again by this name.
        binarize: as in `load`; None is "none".
        missing: as in `load`.
        masks: as in `load`.

    Raises:
        ValueError: a name, shape or value breaks a rule.
        TypeError: an array holds another kind of values.
    """
    source = with_mode(Source(name, binarize), _OWN_MODES)
    tensors = {key: tensor_of(array, f"{key} of {name}") for key, array in arrays.items()}
    data = assemble(raw_from_arrays(tensors, name), source)
    return with_missing(data, missing, masks)


def _built_in(source: Source, built_in: BuiltIn, data_dir: Path) -> Data:
    source = with_mode(source, built_in.binarize)
    _require_no_image_options(source)
    return assemble(built_in.read(data_dir), source)


def _own(source: Source, path: Path) -> Data:
    source = with_mode(source, _OWN_MODES)
    if path.is_dir():
        size, crop, channels = source.image_size, source.crop, source.channels
        return assemble(read_images(path, image_size=size, crop=crop, channels=channels), source)
    _require_no_image_options(source)
    return assemble(raw_from_arrays(read_arrays(path), str(path)), source)


def _own_path(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if (path.is_dir() and name) or (path.is_file() and path.suffix in SUFFIXES):
        return path
    if path.is_file():
        raise ValueError(f"data file must end in {', '.join(SUFFIXES)}; got {path}.")
    if os.sep in name or path.suffix in SUFFIXES:
        raise FileNotFoundError(f"data file or folder must exist; got {path}.")
    near = difflib.get_close_matches(name, BUILT_IN)
    hint = f" Near names: {', '.join(near)}." if near else ""
    raise ValueError(
        f"data must be {', '.join(BUILT_IN)}, or the path of a {', '.join(SUFFIXES)} file or of "
        f"an image folder; got {name!r}.{hint}"
    )


def _require_no_image_options(source: Source) -> None:
    options = {"image_size": source.image_size, "crop": source.crop, "channels": source.channels}
    stated = [
        f"{name} {option}"
        for name, option in options.items()
        if option is not None and option is not False
    ]
    if stated:
        raise ValueError(
            f"image_size, crop and channels must be left out unless data is an image folder; "
            f"got {', '.join(stated)} with {source.name}."
        )
