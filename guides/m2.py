"""The guide of M2: a classifier of the data, and a code for each label.

    q(y|x)    = Categorical(y; softmax(classifier(x))), or a point mass where y is known
    q(z|x, y) = N(loc, diag(scale^2)),    (loc, log scale) = encoder(x, y)

With an encoder of x alone, :class:`ppvae.networks.FirstInput`, it is q(y|x) q(z|x).

Source: Kingma et al. (2014), arXiv:1406.5298, eq. 4, whose scale of z depends on x alone.
"""

from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import PartlyObserved, diagonal_gaussian
from ppvae.networks import one_hot

__all__ = ["M2Guide"]


class M2Guide(PyroModule):
    """q(y|x) q(z|x, y), with labels that are known in some rows.

    Args:
        classifier: from data (B, P) to logits, (B, C).
        encoder: from data, (B, P), and one-hot labels, (..., C), to loc and log scale side by
            side, (..., B, 2 D).
        labels: how q(y|x) is made of logits and known labels; soft ones by
            :class:`ppvae.distributions.GumbelLabels`.
        enumerated: whether y is marked to be summed out, where that can be done; a drawn label has
            no path gradient.

    Raises:
        ValueError: y is not one label a row from 0 to C - 1, or -1 where it is not known; or the
            encoder's width is odd.
        TypeError: y holds no whole numbers.
    """

    def __init__(
        self,
        classifier: nn.Module,
        encoder: nn.Module,
        labels: Callable[[Tensor, Tensor], TorchDistribution] = PartlyObserved,
        enumerated: bool = True,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.encoder = encoder
        self.labels = labels
        self.enumerated = enumerated

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return labels and codes for data x, (B, P), and labels y, (B,), none known if not given.

        Labels are all C of them, (C, ..., 1), or draws, (..., B); codes are (..., B, D).
        """
        known = torch.full(x.shape[:1], -1, device=x.device) if y is None else y
        labels = self.labels(self.classifier(x), known)
        summed = self.enumerated and labels.has_enumerate_support
        infer: Any = {"enumerate": "parallel"} if summed else {}
        with pyro.plate("data", len(x), dim=-1):
            label = pyro.sample("y", labels, infer=infer)
            params = self.encoder(x, one_hot(label, labels.param_shape[-1], x.dtype))
            z = pyro.sample("z", diagonal_gaussian(params, "encoder"))
        return label, z
