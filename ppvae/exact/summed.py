"""A pair whose integrals over z are sums over finitely many states.

    log p(x) = log sum_z p(x, z) v,    E_q[f] = sum_z q(z|x) v f(z)

Discrete latent sites take each of their values in turn, with v = 1. A continuous code of one or two
dimensions takes the points of a fine grid, with v the volume around each: on an even grid over the
whole line this is the trapezoid rule, whose error falls exponentially as the grid is refined.
"""

from collections.abc import Mapping

import torch
from pyro import poutine
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ppvae.pair import Pair
from ppvae.scope import Program

__all__ = ["ExactSum"]


class ExactSum:
    """The two programs of a pair scored at all states, and what follows from that.

    The programs are those that are trained, run with the latent sites held at their states, (S, 1,
    *event); a program that joins x and z has to broadcast them. Every sum is differentiable in
    the parameters, on the device and in the dtype of x.

    Args:
        model: p, a Pyro program of x.
        guide: q, a Pyro program of x with the same latent sites.
        states: for each latent site its value in each of the S states, (S, *event).
        log_volume: log v, the same for all states; 0 for discrete sites.

    Raises:
        ValueError: the sites have different numbers of states.
    """

    def __init__(
        self,
        model: Program,
        guide: Program,
        states: Mapping[str, Tensor],
        log_volume: float = 0.0,
    ) -> None:
        sizes = {name: len(values) for name, values in states.items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"sites must have equally many states, at least one; got {sizes}.")
        self._pair = Pair(model, guide)
        self.states = dict(states)
        self.log_volume = log_volume

    def log_joint(self, x: Tensor) -> Tensor:
        """Log p(x, z) v in each state, (S, B) nats."""
        return self._log_mass("model", x)

    def log_guide(self, x: Tensor) -> Tensor:
        """Log q(z|x) v in each state, (S, B) nats.

        Raises:
            ValueError: the states do not hold all of q(z|x).
        """
        log_guide = self._log_mass("guide", x)
        mass = log_guide.detach().logsumexp(0).exp()
        # What rounding may take away, and no more: a narrow q falls between the points of a grid.
        worst = mass[(mass - 1).abs().argmax()]
        if not abs(worst - 1) < torch.finfo(mass.dtype).eps ** 0.5:
            raise ValueError(f"states must hold all of q(z|x), mass 1; got {worst:.6g}.")
        return log_guide

    def log_evidence(self, x: Tensor) -> Tensor:
        """Log p(x), in nats, (B,)."""
        return self.log_joint(x).logsumexp(0)

    def posterior(self, x: Tensor) -> Tensor:
        """The probability p(z|x) v of each state, (S, B)."""
        return self.log_joint(x).softmax(0)

    def elbo(self, x: Tensor) -> Tensor:
        """E_q[log p(x, z) - log q(z|x)], in nats, (B,)."""
        log_guide = self.log_guide(x)
        return (log_guide.exp() * (self.log_joint(x) - log_guide)).sum(0)

    def cross_entropy(self, x: Tensor) -> Tensor:
        """-E_p[log q(z|x)] under p(z|x), in nats, (B,)."""
        return -(self.posterior(x) * (self.log_guide(x) - self.log_volume)).sum(0)

    def inclusive_kl(self, x: Tensor) -> Tensor:
        """KL(p(z|x) || q(z|x)), in nats, (B,)."""
        log_posterior = self.log_joint(x).log_softmax(0)
        return (log_posterior.exp() * (log_posterior - self.log_guide(x))).sum(0)

    def _log_mass(self, role: str, x: Tensor) -> Tensor:
        held = {name: _above_rows(values, x) for name, values in self.states.items()}
        with self._pair.entered():
            program = poutine.condition(self._pair.program(role, ((x,), {})), held)
            trace = prune_subsample_sites(poutine.trace(program).get_trace())
        trace.compute_log_prob()
        sites = {name: site for name, site in trace.nodes.items() if site["type"] == "sample"}
        latent = sorted(n for n, site in sites.items() if n in held or not site["is_observed"])
        if latent != sorted(held):
            raise ValueError(
                f"states must be given for the latent sites of the {role}, {latent}; "
                f"got {sorted(held)}."
            )
        return torch.as_tensor(sum(site["log_prob"] for site in sites.values()) + self.log_volume)


def _above_rows(values: Tensor, x: Tensor) -> Tensor:
    """States (S, *event) as (S, 1, *event): one for all rows, so that networks see each once."""
    dtype = x.dtype if values.is_floating_point() else values.dtype
    return values.to(x.device, dtype).unsqueeze(1)
