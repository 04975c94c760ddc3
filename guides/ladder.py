"""The ladder guide, up through the data and down through the model.

    d_1 = upward_1(x),  d_l = upward_l(d_{l-1})              no draws
    q(z_L|x)          = N(loc_L, diag(scale_L^2))
    q(z_l|z_{l+1}, x) ~ N(loc_l, diag(scale_l^2)) p(z_l|z_{l+1})    normalized
    (loc_l, log scale_l) = head_l(d_l)

The product weighs both means by their precisions. Where the likelihood of z_l is Gaussian and
independent over coordinates, it is the model's own posterior p(z_l|z_{l+1}, x).

Source: Soenderby et al. (2016), Ladder Variational Autoencoders, arXiv:1602.02282.
"""

from collections.abc import Iterable

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian, gaussian_product
from ppvae.networks import filled

__all__ = ["LadderGuide"]


class LadderGuide(PyroModule):
    """Codes are drawn from the highest to the lowest, as in the model; sites "z1", ..., "zL".

    Args:
        upward: L networks, the lowest first: from data (B, P) to d_1, (B, H_1), and from
            d_{l-1}, (B, H_{l-1}), to d_l, (B, H_l).
        heads: L networks, the lowest first: from d_l to loc and log scale side by side,
            (B, 2 D_l).
        downward: the L - 1 networks of p(z_l|z_{l+1}), the lowest first: ``model.layers`` of a
            :class:`ppvae.models.HierarchicalVAE`, whose parameters the guide then shares.

    Raises:
        ValueError: the numbers of networks do not go together, the width of a head is odd or not
            that of its layer in the model, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(
        self,
        upward: Iterable[nn.Module],
        heads: Iterable[nn.Module],
        downward: Iterable[nn.Module],
    ) -> None:
        super().__init__()
        self.upward = nn.ModuleList(upward)
        self.heads = nn.ModuleList(heads)
        self.downward = nn.ModuleList(downward)
        depth = len(self.downward) + 1
        if (len(self.upward), len(self.heads)) != (depth, depth):
            raise ValueError(
                f"upward and heads must be one more than the layers of the model, {depth}; "
                f"got {len(self.upward)} and {len(self.heads)}."
            )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw codes z_l, (..., B, D_l), for data x, (B, P), read with 0 where a mask hides them.

        They come with the lowest first.
        """
        features, found = filled(x, mask), []
        for network, head in zip(self.upward, self.heads, strict=True):
            features = network(features)
            found.append(head(features))
        with pyro.plate("data", len(x), dim=-1):
            codes = [pyro.sample(f"z{len(found)}", diagonal_gaussian(found[-1], "the last head"))]
            for number, layer in reversed(list(enumerate(self.downward, 1))):
                params = _corrected(number, found[number - 1], layer(codes[0]))
                code = pyro.sample(f"z{number}", diagonal_gaussian(params, f"head {number}"))
                codes.insert(0, code)
        return tuple(codes)


def _corrected(number: int, head: Tensor, layer: Tensor) -> Tensor:
    """What the model says of z_l, (..., B, 2 D_l), and what x says, (B, 2 D_l), as one."""
    if head.shape[-1] != layer.shape[-1]:
        raise ValueError(
            f"head {number} must be as wide as layer {number} of the model, {layer.shape[-1]}; "
            f"got {head.shape[-1]}."
        )
    return gaussian_product(head, layer)
