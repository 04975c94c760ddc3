"""Arrays read from .npy, .npz and .pt files, in which nothing is executed."""

import pickle
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

__all__ = ["SUFFIXES", "read_arrays", "tensor_of"]

SUFFIXES = (".npy", ".npz", ".pt")


def read_arrays(path: Path) -> dict[str, Tensor]:
    """The numeric arrays of the file by name; a single array is called "x".

    Raises:
        ValueError: the file is damaged, or holds pickled objects, which are never loaded.
        TypeError: an array holds no numbers.
    """
    with path.open("rb") as file:
        try:
            found = _read_torch(file) if path.suffix == ".pt" else _read_numpy(file)
        except MemoryError:
            raise
        # Damaged bytes make the parsers of NumPy and torch raise almost any kind of exception.
        except Exception as error:
            objects = isinstance(error, pickle.UnpicklingError) or "pickle" in str(error)
            got = "pickled objects or another format" if objects else "a damaged file"
            raise ValueError(
                f"{path} must be a complete {path.suffix} file of plain arrays; got {got}."
            ) from error
    arrays = found if isinstance(found, dict) else {"x": found}
    return {str(name): tensor_of(array, f"{name} in {path}") for name, array in arrays.items()}


def _read_numpy(file: BinaryIO) -> Any:
    # allow_pickle=False: an object array is a program that would run while it loads.
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        return {name: loaded[name] for name in loaded.files}


def _read_torch(file: BinaryIO) -> Any:
    with warnings.catch_warnings():
        # Older versions of torch warn of the protocol of what they then refuse.
        warnings.simplefilter("ignore", UserWarning)
        return torch.load(file, map_location="cpu", weights_only=True)


def tensor_of(array: Any, what: str) -> Tensor:
    """The array as a tensor on the CPU: uint8, bool, int64 or float32.

    Raises:
        TypeError: it is no array of real numbers.
    """
    if isinstance(array, Tensor):
        tensor = array.detach().cpu()
        if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
            raise TypeError(f"{what} must be a dense array of real numbers; got {tensor.type()}.")
        if tensor.dtype in (torch.uint8, torch.bool):
            return tensor
        return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"{what} must be an array of real numbers; got {kind}.")
    if array.dtype not in (np.uint8, np.bool_):
        # An overflow to inf is found and named by the check for finite values.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    return torch.tensor(array)
