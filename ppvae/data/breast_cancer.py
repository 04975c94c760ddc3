"""The Wisconsin breast cancer measurements that come with scikit-learn.

Source: W. Wolberg, O. Mangasarian, N. Street, W. Street (1995), Breast Cancer Wisconsin
(Diagnostic), UCI.
"""

import torch

from ppvae.data.fields import SPLITS, Raw
from ppvae.data.splits import permuted_parts

__all__ = ["read_breast_cancer"]


def read_breast_cancer() -> Raw:
    """569 rows of 30 measurements, standardised by all rows, with labels 0 and 1.

    One fixed permutation gives 455 training, 57 validation and 57 test rows.
    """
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    fields = {
        "x": torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32),
        "y": torch.tensor(y, dtype=torch.int64),
    }
    parts = permuted_parts(fields, 455, 57, 57)
    note = "each measurement standardised to mean 0 and standard deviation 1 over all rows"
    return Raw(dict(zip(SPLITS, parts, strict=True)), None, (note,))
