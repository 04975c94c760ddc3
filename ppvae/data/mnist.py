"""MNIST and Fashion-MNIST, read from torchvision's folders.

Source: LeCun, Cortes & Burges, The MNIST database; Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747.
"""

import os
import tempfile
from pathlib import Path

import torch

from ppvae.data.fields import Fields, Raw
from ppvae.data.idx import read_idx

__all__ = ["read_mnist"]

_SHAPES = {
    "train-images-idx3-ubyte": (60000, 28, 28),
    "train-labels-idx1-ubyte": (60000,),
    "t10k-images-idx3-ubyte": (10000, 28, 28),
    "t10k-labels-idx1-ubyte": (10000,),
}


def read_mnist(name: str, data_dir: Path) -> Raw:
    """70000 images, 28x28, values 0 to 255 divided by 255, with labels.

    The first 50000 training images train, the last 10000 validate, the 10000 test images test.
    Files that are there, plain or .gz, are read in place; only missing ones are downloaded.

    Args:
        name: the class in torchvision.datasets and the folder in data_dir, "MNIST" or
            "FashionMNIST".
        data_dir: the files lie in `<data_dir>/<name>/raw`.

    Raises:
        FileNotFoundError: a file is missing and its download failed.
        ValueError: a file is damaged.
    """
    folder = data_dir / name / "raw"
    if _missing(folder):
        _download(name, data_dir)
    rows = {part: _part(folder, part) for part in ("train", "t10k")}
    train = {field: values[:50000] for field, values in rows["train"].items()}
    valid = {field: values[50000:] for field, values in rows["train"].items()}
    return Raw({"train": train, "valid": valid, "test": rows["t10k"]}, (1, 28, 28))


def _part(folder: Path, part: str) -> Fields:
    images, labels = (
        read_idx(_candidates(folder, stem)[0], shape)
        for stem, shape in _SHAPES.items()
        if stem.startswith(part)
    )
    x = torch.tensor(images.reshape(-1, 784), dtype=torch.float32).div_(255)
    return {"x": x, "y": torch.tensor(labels, dtype=torch.int64)}


def _candidates(folder: Path, stem: str) -> list[Path]:
    return [path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()]


def _missing(folder: Path) -> list[str]:
    return [stem for stem in _SHAPES if not _candidates(folder, stem)]


def _download(name: str, data_dir: Path) -> None:
    from torchvision import datasets

    folder = data_dir / name / "raw"
    missing = _missing(folder)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # Files appear under their names only when complete, and those that are there stay.
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".download-") as part:
            getattr(datasets, name)(part, download=True)
            folder.mkdir(parents=True, exist_ok=True)
            for stem in missing:
                os.replace(Path(part, name, "raw", f"{stem}.gz"), folder / f"{stem}.gz")
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{name} must lie in {folder} where it cannot be downloaded; "
            f"got {type(error).__name__}, so put {', '.join(missing)} there, plain or as .gz."
        ) from error
