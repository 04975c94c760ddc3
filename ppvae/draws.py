"""Drawing from a guide and scoring both programs: the door to the log-terms."""

from __future__ import annotations

from typing import Any

from ppvae.pair import Batch, Pair, as_batch
from ppvae.rerun import noise_state
from ppvae.scope import Program
from ppvae.terms import LogTerms
from ppvae.tracing import rehearse, trace_pair

__all__ = ["drawn_terms", "log_terms"]


def log_terms(model: Program, guide: Program, batch: Any, *, num_particles: int = 1) -> LogTerms:
    """Log-densities of model and guide at K draws from the guide.

    Args:
        model: p, a Pyro program that observes the data inside ``pyro.plate("data", B, dim=-1)``.
        guide: q, a Pyro program with the same latent sites.
        batch: a tensor x, (B, ...); a tuple of arguments; or named fields, of which each program
            receives those that its signature asks for.
        num_particles: K, at least 1.

    Returns:
        Terms in nats, (K, B).

    Raises:
        ValueError: num_particles is below 1, model and guide have different latent sites, or no
            plate holds the data.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> def model(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        ...         pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> def guide(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))
        >>> terms = log_terms(model, guide, torch.tensor([0.0, 2.0]), num_particles=3)
        >>> terms.log_weight.mean(0)  # the exact posterior: every weight is log p(x)
        tensor([-1.2655, -2.2655])
    """
    if num_particles < 1:
        raise ValueError(f"num_particles must be at least 1; got {num_particles}.")
    return drawn_terms(Pair(model, guide), as_batch(batch), num_particles)


def drawn_terms(pair: Pair, batch: Batch, num_particles: int) -> LogTerms:
    """:func:`log_terms` of a pair on positional arguments and named fields."""
    with pair.entered():
        # A new pair draws its parameters first, which are not drawn again.
        rehearse(pair, batch)
        noise = noise_state()
        traces = trace_pair(pair, batch, num_particles)
        return LogTerms(pair, batch, traces, num_particles, noise)
