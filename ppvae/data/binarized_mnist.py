"""The fixed binarisation of MNIST.

Source: Larochelle & Murray (2011), The Neural Autoregressive Distribution Estimator;
Salakhutdinov & Murray (2008), On the quantitative analysis of deep belief networks.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ppvae.data.fields import Raw
from ppvae.data.files import read_arrays

__all__ = ["read_amat", "read_binarized_mnist"]

_PACKED = "binarized_mnist_packed.npz"
_ROWS = {"train": 50000, "valid": 10000, "test": 10000}
# The number of ones tells this binarisation from any other draw.
_ONES = {"train": 5118041, "valid": 1028036, "test": 1038896}


def read_binarized_mnist(data_dir: Path) -> Raw:
    """50000 training, 10000 validation and 10000 test images, 28x28, bits, without labels.

    Raises:
        FileNotFoundError: neither the packed file nor the three text files are there.
        ValueError: a file is damaged or holds another binarisation.
    """
    folder = data_dir / "binarized_mnist"
    texts = {split: folder / f"binarized_mnist_{split}.amat" for split in _ROWS}
    if (folder / _PACKED).is_file():
        bits = _read_packed(folder / _PACKED)
    elif all(path.is_file() for path in texts.values()):
        bits = {split: read_amat(path, _ROWS[split]) for split, path in texts.items()}
    else:
        raise FileNotFoundError(
            f"binarized_mnist must lie in {folder}, as {_PACKED} or as the original text files "
            f"{', '.join(path.name for path in texts.values())}; got neither."
        )
    for split, values in bits.items():
        if (ones := int(values.sum())) != _ONES[split]:
            raise ValueError(
                f"{split} bits in {folder} must be the fixed binarisation, with {_ONES[split]} "
                f"ones; got {ones}."
            )
    splits = {
        split: {"x": torch.tensor(values, dtype=torch.float32)} for split, values in bits.items()
    }
    return Raw(splits, (1, 28, 28))


def _read_packed(path: Path) -> dict[str, NDArray[np.uint8]]:
    arrays = read_arrays(path)
    found = {name: (tuple(array.shape), array.dtype) for name, array in arrays.items()}
    if found != {split: ((rows, 98), torch.uint8) for split, rows in _ROWS.items()}:
        raise ValueError(
            f"{path} must hold uint8 arrays train (50000, 98), valid (10000, 98) and "
            f"test (10000, 98); got {found}."
        )
    return {split: np.unpackbits(arrays[split].numpy(), axis=1, count=784) for split in _ROWS}


def read_amat(path: Path, num_rows: int) -> NDArray[np.uint8]:
    """The bits of a text file of 0 and 1 between blanks, (num_rows, 784) uint8.

    Raises:
        ValueError: the file holds other characters or another number of bits.
    """
    text = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    blank = np.isin(text, np.frombuffer(b" \t\r\n", dtype=np.uint8))
    bits = text[~blank] - ord("0")
    if bits.size != num_rows * 784 or (bits > 1).any():
        raise ValueError(
            f"{path} must be text of {num_rows} x 784 zeros and ones between blanks; "
            f"got {bits.size} characters, {int((bits > 1).sum())} of them neither."
        )
    return bits.reshape(num_rows, 784)
