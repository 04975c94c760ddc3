"""The fixed split into training, validation and test rows."""

import torch

from ppvae.data.fields import Fields
from ppvae.data.streams import FixedStream

__all__ = ["SPLIT_SEED", "permuted_parts", "tenth"]

SPLIT_SEED = 0


def permuted_parts(fields: Fields, *sizes: int) -> list[Fields]:
    """Disjoint parts of these sizes, by one permutation that depends on the number of rows alone.

    Args:
        fields: tensors of N rows.
        sizes: rows in each part; they add up to N.
    """
    order = torch.from_numpy(FixedStream("split", seed=SPLIT_SEED).permutation(sum(sizes)))
    return [
        {name: field[rows] for name, field in fields.items()} for rows in order.split(list(sizes))
    ]


def tenth(num_rows: int) -> int:
    """The size of a held-out part: a tenth of the rows, rounded down, at least 1."""
    return max(1, num_rows // 10)
