"""Data as tensors with named fields: built-in sets, one's own arrays, a folder of images."""

from ppvae.data.batches import batches
from ppvae.data.binarize import HELD_OUT_SEED
from ppvae.data.data import Data
from ppvae.data.fields import SPLITS, Fields
from ppvae.data.load import from_arrays, load
from ppvae.data.registry import NAMES
from ppvae.data.source import Source, data_folder

__all__ = [
    "HELD_OUT_SEED",
    "NAMES",
    "SPLITS",
    "Data",
    "Fields",
    "Source",
    "batches",
    "data_folder",
    "from_arrays",
    "load",
]
