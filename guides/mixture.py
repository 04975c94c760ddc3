"""The guide by a mixture of Gaussians.

    q(z|x) = sum_c w_c N(loc_c, diag(scale_c^2)),    (w, loc, scale) from encoder(x)

Source: Morningstar et al. (2021), arXiv:2003.01687, on draws by component; Figurnov, Mohamed & Mnih
(2018), arXiv:1805.08498, on the path gradient of a mixture's own draws.
"""

from typing import Any

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import DiagonalMixture, Stratum
from ppvae.networks import filled

__all__ = ["MixtureGuide"]


class MixtureGuide(PyroModule):
    """q(z|x) with several modes.

    The component is a site of its own, "component", that the model has not; with z it has the
    density of the mixture. Summed out, each component has its own draws.

    Args:
        encoder: from data (B, P) to C logits, then loc and log scale of all components, side by
            side, (B, C (1 + 2 D)).
        components: C, at least 1.
        enumerated: whether the component is marked to be summed out. Otherwise z is drawn from the
            mixture in one site; its path gradient is rough where modes lie far apart.

    Raises:
        ValueError: components is below 1, the encoder's width does not fit it, or the mask has
            another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(self, encoder: nn.Module, components: int, enumerated: bool = True) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"components must be at least 1; got {components}.")
        self.encoder = encoder
        self.num_components = components
        self.enumerated = enumerated

    def distribution(self, x: Tensor, mask: Tensor | None = None) -> DiagonalMixture:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        params = self.encoder(filled(x, mask))
        count, width = self.num_components, params.shape[-1]
        if width <= count or (width - count) % (2 * count):
            raise ValueError(
                f"encoder must have width C (1 + 2 D) for C = {count} components; got {width}."
            )
        logits, rest = params[..., :count], params[..., count:]
        loc, log_scale = rest.unflatten(-1, (2, count, -1)).unbind(-3)
        return DiagonalMixture(logits, loc, log_scale.exp())

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P), read with 0 where a mask hides them.

        Of summed components all C draws, (C, ..., B, D).
        """
        posterior = self.distribution(x, mask)
        with pyro.plate("data", len(x), dim=-1):
            if not self.enumerated:
                return pyro.sample("z", posterior)
            # The model has no such site, and Pyro need not warn of that.
            infer: Any = {"enumerate": "parallel", "is_auxiliary": True}
            choice = dist.Categorical(logits=posterior.logits)
            component = pyro.sample("component", choice, infer=infer)
            return pyro.sample("z", Stratum(posterior, component))
