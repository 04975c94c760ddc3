"""The handwritten digits that come with scikit-learn.

Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
"""

import torch

from ppvae.data.fields import SPLITS, Raw
from ppvae.data.splits import permuted_parts

__all__ = ["read_digits"]


def read_digits() -> Raw:
    """1797 images, 8x8, grey values 0 to 16 divided by 16, with labels.

    One fixed permutation gives 1297 training, 200 validation and 300 test rows.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    fields = {
        "x": torch.tensor(x, dtype=torch.float32) / 16,
        "y": torch.tensor(y, dtype=torch.int64),
    }
    parts = permuted_parts(fields, 1297, 200, 300)
    return Raw(dict(zip(SPLITS, parts, strict=True)), (1, 8, 8))
