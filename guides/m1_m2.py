"""The guide of M1+M2: M2's guide on a draw of M1's code.

    q(z1|x)      = N(loc, diag(scale^2)),    (loc, log scale) = lower(x)
    q(y|z1)      = Categorical(y; softmax(classifier(z1))), or a point mass where y is known
    q(z2|z1, y)  = N(loc, diag(scale^2)),    (loc, log scale) = upper(z1, y)

Source: Kingma et al. (2014), arXiv:1406.5298, section 2 on the stacked model, eq. 4 on its guide.
"""

from typing import Any

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import PartlyObserved, diagonal_gaussian, refuse_labels
from ppvae.networks import one_hot

__all__ = ["M1M2Guide"]


class M1M2Guide(PyroModule):
    """q(z1|x) q(y|z1) q(z2|z1, y), with labels that are known in some rows.

    q(y|z1) differs from draw to draw, so that a K-sample bound cannot sum y outside of it.

    Args:
        lower: from data (B, P) to loc and log scale of z1 side by side, (B, 2 D1); the encoder of
            a trained M1, held by :class:`ppvae.networks.Frozen`, or one that trains too.
        classifier: from lower codes, (..., B, D1), to logits, (..., B, C).
        upper: from lower codes and one-hot labels, (..., C), to loc and log scale of z2 side by
            side, (..., B, 2 D2).
        enumerated: whether y is marked to be summed out.

    Raises:
        ValueError: y is not one label a row from 0 to C - 1, or -1 where it is not known; or the
            width of lower or upper is odd.
        TypeError: y holds no whole numbers.
    """

    def __init__(
        self, lower: nn.Module, classifier: nn.Module, upper: nn.Module, enumerated: bool = True
    ) -> None:
        super().__init__()
        self.lower = lower
        self.classifier = classifier
        self.upper = upper
        self.enumerated = enumerated

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return z1, labels and z2 for data x, (B, P), and labels y, (B,), none if not given."""
        known = torch.full(x.shape[:1], -1, device=x.device) if y is None else y
        infer: Any = {"enumerate": "parallel"} if self.enumerated else {}
        with pyro.plate("data", len(x), dim=-1):
            z1 = pyro.sample("z1", diagonal_gaussian(self.lower(x), "lower"))
            logits = self.classifier(z1)
            refuse_labels(known, x.shape[:1], logits.shape[-1])
            labels = PartlyObserved(logits, known.expand(logits.shape[:-1]))
            label = pyro.sample("y", labels, infer=infer)
            params = self.upper(z1, one_hot(label, logits.shape[-1], x.dtype))
            z2 = pyro.sample("z2", diagonal_gaussian(params, "upper"))
        return z1, label, z2
