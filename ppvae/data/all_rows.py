"""All rows of a data set together, for what is fitted to them without a held-out part."""

import torch

from ppvae.data.data import Data
from ppvae.data.fields import SPLITS, Fields

__all__ = ["all_rows"]


def all_rows(data: Data) -> Fields:
    """The fields of training, validation and test rows in one table, in the order of "index".

    Published log-likelihoods of mixtures are of all rows, fitted and scored on the same ones. What
    is trained on these has seen the test rows: nothing that is evaluated there may be.

    Args:
        data: as :func:`ppvae.data.load` gives it.

    Returns:
        Tensors by name, N rows each.

    Example:
        >>> from ppvae.data import load
        >>> all_rows(load("faithful"))["x"].shape
        torch.Size([272, 2])
    """
    return {name: torch.cat([data.splits[split][name] for split in SPLITS]) for name in data.train}
