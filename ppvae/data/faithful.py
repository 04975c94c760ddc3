"""The eruptions of the Old Faithful geyser, in a file beside this one.

Source: Azzalini & Bowman (1990), A look at some data on the Old Faithful geyser, Applied Statistics
39; the 272 rows of R's data set ``faithful``.
"""

from importlib import resources

import torch

from ppvae.data.fields import SPLITS, Raw
from ppvae.data.splits import permuted_parts, tenth

__all__ = ["read_faithful"]


def read_faithful() -> Raw:
    """272 rows: an eruption's length and the waiting time to the next one, both in minutes.

    One fixed permutation gives 218 training, 27 validation and 27 test rows. Published figures are
    of all 272: :func:`ppvae.data.all_rows` has them.
    """
    text = resources.files("ppvae.data").joinpath("faithful.csv").read_text(encoding="utf-8")
    lines = text.splitlines()[1:]
    x = torch.tensor([[float(value) for value in line.split(",")] for line in lines])
    held_out = tenth(len(x))
    parts = permuted_parts({"x": x.float()}, len(x) - 2 * held_out, held_out, held_out)
    return Raw(dict(zip(SPLITS, parts, strict=True)), None)
