"""The built-in data sets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ppvae.data.binarized_mnist import read_binarized_mnist
from ppvae.data.digits import read_digits
from ppvae.data.fields import Raw
from ppvae.data.mnist import read_mnist

__all__ = ["BUILT_IN", "NAMES", "BuiltIn"]


@dataclass(frozen=True)
class BuiltIn:
    """A data set known by name.

    Args:
        summary: what it is, for a list.
        read: from the folder of data files to its rows.
        binarize: the modes it admits, its default first.
    """

    summary: str
    read: Callable[[Path], Raw]
    binarize: tuple[str, ...] = ("dynamic", "once", "none")


BUILT_IN = {
    "digits": BuiltIn(
        "1797 handwritten digits, 8x8 grey, with labels (scikit-learn; embedded, no download)",
        lambda data_dir: read_digits(),
    ),
    "mnist": BuiltIn(
        "70000 handwritten digits, 28x28 grey, with labels (torchvision; downloaded once)",
        lambda data_dir: read_mnist("MNIST", data_dir),
    ),
    "fashion_mnist": BuiltIn(
        "70000 pieces of clothing, 28x28 grey, with labels (torchvision; downloaded once)",
        lambda data_dir: read_mnist("FashionMNIST", data_dir),
    ),
    "binarized_mnist": BuiltIn(
        "the fixed binarisation of MNIST, 28x28 bits, no labels (files to be put in place)",
        read_binarized_mnist,
        binarize=("fixed",),
    ),
}

NAMES = {name: built_in.summary for name, built_in in BUILT_IN.items()}
