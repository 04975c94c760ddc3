"""The built-in data sets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ppvae.data.binarized_mnist import read_binarized_mnist
from ppvae.data.breast_cancer import read_breast_cancer
from ppvae.data.digits import read_digits
from ppvae.data.faithful import read_faithful
from ppvae.data.fields import Raw
from ppvae.data.mnist import read_mnist
from ppvae.data.photographs import read_photographs
from ppvae.data.simulated import (
    simulate_clusters,
    simulate_gaussian_toy,
    simulate_layers,
    simulate_squares,
    simulate_two_classes,
)
from ppvae.data.wine import read_wine

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
    "photographs": BuiltIn(
        "5800 crops of two photographs, 32x32 colour (scikit-learn; embedded, no download)",
        lambda data_dir: read_photographs(),
        binarize=("none",),
    ),
    "breast_cancer": BuiltIn(
        "569 tumours, 30 measurements, standardised, with labels (scikit-learn; embedded)",
        lambda data_dir: read_breast_cancer(),
        binarize=("none",),
    ),
    "faithful": BuiltIn(
        "272 eruptions of Old Faithful: minutes long, minutes to the next (embedded)",
        lambda data_dir: read_faithful(),
        binarize=("none",),
    ),
    "wine": BuiltIn(
        "178 wines, 13 measurements, with labels (scikit-learn; embedded, no download)",
        lambda data_dir: read_wine(),
        binarize=("none",),
    ),
    "gaussian_toy": BuiltIn(
        "1536 rows of 20 values, simulated: x ~ N(z, I), z ~ N(mu, I), mu ~ N(0, I)",
        lambda data_dir: simulate_gaussian_toy(),
        binarize=("none",),
    ),
    "clusters": BuiltIn(
        "12000 values, simulated: x ~ N(10 y, 5^2), label y of 0 to 19 in proportion to 5 + y",
        lambda data_dir: simulate_clusters(),
        binarize=("none",),
    ),
    "squares": BuiltIn(
        "1536 values, simulated: x ~ N(z^2, 0.5^2), z ~ N(0, 1)",
        lambda data_dir: simulate_squares(),
        binarize=("none",),
    ),
    "two_classes": BuiltIn(
        "12010 rows of 50 values, simulated: x ~ N(+-mu, I), |mu| = 1.75, label y of 0 or 1",
        lambda data_dir: simulate_two_classes(),
        binarize=("none",),
    ),
    "layers": BuiltIn(
        "1536 values, simulated: x ~ N(z1, 0.5^2), z1 ~ N(2 tanh(z2), 0.5^2), z2 ~ N(0, 1)",
        lambda data_dir: simulate_layers(),
        binarize=("none",),
    ),
}

NAMES = {name: built_in.summary for name, built_in in BUILT_IN.items()}
