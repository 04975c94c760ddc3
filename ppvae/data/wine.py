"""The wines that come with scikit-learn.

Source: S. Aeberhard, M. Forina (1991), Wine, UCI.
"""

import torch

from ppvae.data.fields import SPLITS, Raw
from ppvae.data.splits import permuted_parts, tenth

__all__ = ["read_wine"]


def read_wine() -> Raw:
    """178 wines: 13 measurements as they are, in units of very different size, and the cultivar.

    One fixed permutation gives 144 training, 17 validation and 17 test rows.
    """
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    fields = {
        "x": torch.tensor(x, dtype=torch.float32),
        "y": torch.tensor(y, dtype=torch.int64),
    }
    held_out = tenth(len(x))
    parts = permuted_parts(fields, len(x) - 2 * held_out, held_out, held_out)
    return Raw(dict(zip(SPLITS, parts, strict=True)), None)
