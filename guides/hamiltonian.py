"""The Hamiltonian guide: a Gaussian code moved uphill by the model's own gradient.

    z_0 ~ N(loc, diag(scale^2)),    (loc, log scale) = encoder(x)
    v_0 ~ N(0, I)                                             the momentum
    (z_T, v_T) = T leapfrog steps of log p(x, z) from (z_0, v_0)
    r(v_T|z_T, x) = N(loc, diag(scale^2)),    (loc, log scale) = reverse(z_T, x)

    log p(x) >= E[log p(x, z_T) + log r(v_T|z_T, x) - log q_0(z_0|x) - log N(v_0)]

Source: Salimans, Kingma & Welling (2015), arXiv:1410.6460.
"""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.nn import PyroModule
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor, nn

from ppvae.distributions import OneDraw, diagonal_gaussian, leapfrog
from ppvae.networks import filled

__all__ = ["HamiltonianGuide"]


class HamiltonianGuide(PyroModule):
    """q(z|x) with correlations that the model's gradient brings.

    The momentum is a site of its own, "momentum", that the model has not. Draws are scored as they
    are made: an estimator that scores draws again, or draws from elsewhere, refuses the guide.

    Args:
        encoder: from data (B, P) to loc and log scale side by side, (B, 2 D).
        reverse: from codes (..., B, D) and data (B, P) to those of the momentum, (..., B, 2 D).
        target: p(z) p(x|z), the model of the pair, whose only latent site is "z"; its parameters
            stay its own. Rows must not touch each other there, as batch norm lets them.
        latent_dim: D, at least 1.
        steps: T, at least 1.
        step_size: where the learned step sizes, one a coordinate, begin; positive.

    Raises:
        ValueError: latent_dim, steps or step_size breaks these rules, the target has other latent
            sites, a network's width does not fit, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(
        self,
        encoder: nn.Module,
        reverse: nn.Module,
        target: Callable[..., Any],
        latent_dim: int,
        steps: int = 1,
        step_size: float = 0.2,
    ) -> None:
        super().__init__()
        for name, count in {"latent_dim": latent_dim, "steps": steps}.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1; got {count}.")
        if not 0 < step_size < math.inf:
            raise ValueError(f"step_size must be positive and finite; got {step_size}.")
        self.encoder = encoder
        self.reverse = reverse
        # Not a part: the guide neither owns nor stores the model's parameters.
        self.targets = (target,)
        self.steps = steps
        self.log_step_size = nn.Parameter(torch.full((latent_dim,), math.log(step_size)))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P), read with 0 where a mask hides them."""
        seen = filled(x, mask)
        start = diagonal_gaussian(self.encoder(seen), "encoder")
        if start.event_shape != self.log_step_size.shape:
            raise ValueError(
                f"encoder must have width 2 D, {2 * len(self.log_step_size)}; "
                f"got {2 * start.event_shape[0]}."
            )
        rows = pyro.plate("data", len(x), dim=-1)
        with rows:
            standard = dist.Normal(torch.zeros_like(start.mean), 1.0).to_event(1)
            # The model has no such site, and Pyro need not warn of that.
            v_0 = pyro.sample("momentum", standard, infer={"is_auxiliary": True})
        z_0 = start.expand(v_0.shape[:-1]).rsample()
        z, v = leapfrog(z_0, v_0, self._log_joint(x, mask), self.log_step_size.exp(), self.steps)
        reverse = diagonal_gaussian(self.reverse(z, seen), "reverse")
        # The steps preserve volume, so that log q_0 + log N(v_0) is the density of (z, v).
        log_density = start.log_prob(z_0) - reverse.log_prob(v)
        with rows:
            return pyro.sample("z", OneDraw(z, log_density))

    def _log_joint(self, x: Tensor, mask: Tensor | None) -> Callable[[Tensor], Tensor]:
        """Log p(x, z), (..., B) nats, of codes z, (..., B, D), by the target's own program."""
        batch = (x,) if mask is None else (x, mask)

        def log_joint(z: Tensor) -> Tensor:
            # The handlers around the guide are for its own sites; only parameters go through.
            with poutine.block(hide_types=["sample", "observe", "plate"]):
                held = poutine.condition(self.targets[0], data={"z": z})
                trace = prune_subsample_sites(poutine.trace(held).get_trace(*batch))
            if trace.stochastic_nodes or "z" not in trace.nodes:
                raise ValueError(
                    "target must have 'z' for its only latent site; "
                    f"got {trace.stochastic_nodes or 'none of that name'} beside it."
                )
            sites: Any = [trace.nodes[name] for name in trace.observation_nodes]
            log_probs: list[Tensor] = [site["fn"].log_prob(site["value"]) for site in sites]
            return torch.stack(log_probs).sum(0)

        return log_joint
