"""Data as tensors with named fields: built-in sets, one's own arrays, a folder of images."""

from ppvae.data.all_rows import all_rows
from ppvae.data.batches import batches
from ppvae.data.batching import Batching
from ppvae.data.binarize import HELD_OUT_SEED
from ppvae.data.data import Data
from ppvae.data.fields import SPLITS, Fields
from ppvae.data.labels import count_classes, keep_labels
from ppvae.data.load import from_arrays, load
from ppvae.data.missing import with_missing
from ppvae.data.registry import NAMES
from ppvae.data.source import Source, data_folder

__all__ = [
    "HELD_OUT_SEED",
    "NAMES",
    "SPLITS",
    "Batching",
    "Data",
    "Fields",
    "Source",
    "all_rows",
    "batches",
    "count_classes",
    "data_folder",
    "from_arrays",
    "keep_labels",
    "load",
    "with_missing",
]
