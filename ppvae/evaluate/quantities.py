"""What can be said of a pair per datum, and why some of it cannot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyro.distributions as dist
import torch
from pyro.poutine import Trace
from torch import Tensor

from ppvae.diagnose import NotFiniteError
from ppvae.distributions import Flat
from ppvae.means import is_discrete
from ppvae.terms import LogTerms
from ppvae.tracing import Traces

__all__ = [
    "Quantities",
    "closed_kl",
    "largest",
    "no_evidence",
    "quantities_of",
    "refuse_not_numbers",
    "scores",
]


@dataclass(frozen=True)
class Quantities:
    """Which quantities have a meaning for a pair.

    Attributes:
        has_evidence: whether there is a p(x), and a density q(z|x) to estimate it with.
        kl: how KL(q(z|x) || p(z)) is got, in words; empty where there is none.
        has_bits: whether the model observes x alone, and x is discrete.
        notes: what the words do not say, and why others are left out, one sentence each.
        shared: the latent sites outside of the data plate, one value for all rows.
        scored: what of a row has a density: x, or the observed sites by name.
    """

    has_evidence: bool
    kl: str
    has_bits: bool
    notes: list[str] = field(default_factory=list)
    shared: tuple[str, ...] = ()
    scored: str = "x"


def quantities_of(traces: Traces, terms: LogTerms) -> Quantities:
    """What can be said of a pair.

    Args:
        traces: of model and guide.
        terms: their log-terms.

    Raises:
        ValueError: nothing can be said per datum: there is a ``poutine.scale`` on a site.
    """
    if terms.rescaled:
        raise ValueError(
            "evaluate needs log-densities as they are; "
            f"got a poutine.scale on {terms.rescaled[0]!r}."
        )
    reason = no_evidence(traces, terms)
    notes = [f"log_evidence, elbo and kl are left out: {reason}."] if reason else []
    if not reason and _has_labels(terms):
        notes.append("log_evidence of a row with a label is that of the data and the label.")
    no_bits = reason or _no_bits(traces[0], terms)
    if no_bits and not reason:
        notes.append(f"bits_per_dim is left out: {no_bits}.")
    shared = tuple(terms.global_posterior)
    if shared and not reason:
        notes.append(_of_shared(shared))
    kl = "" if reason or not terms.posterior else _how_kl(terms)
    scored = _scored(traces[0], terms)
    return Quantities(not reason, kl, not no_bits, notes, shared, scored)


def scores(terms: LogTerms, known: Quantities) -> dict[str, Tensor]:
    """Log-weights for log p(x), and what is averaged over draws, each (K, B) nats.

    Enumerated labels are summed inside the weight for log p(x), and under q(y|x) elsewhere.
    """
    found = {"reconstruction": terms.expected(_log_likelihood(terms))}
    if known.has_evidence:
        found["log_weight"] = terms.marginal
        found["elbo"] = terms.expected(terms.log_weight)
        if known.kl:
            found["kl"] = terms.expected(_kl(terms))
    return found


def largest(terms: LogTerms) -> dict[str, Tensor]:
    """The largest log-density of each site, (): NaN if there is one. By site and role in words."""
    of_model = {**terms.prior, **terms.likelihood}
    return {
        f"'{name}' of the {role}": log_density.amax()
        for role, of_role in (("guide", terms.posterior), ("model", of_model))
        for name, log_density in of_role.items()
    }


def refuse_not_numbers(found: Mapping[str, Tensor]) -> None:
    """Refuse log-densities of which the largest is no number below infinity.

    Args:
        found: what :func:`largest` gave.

    Raises:
        NotFiniteError: a site's log-density is NaN or plus infinity.
    """
    values = torch.stack([value.double() for value in found.values()])
    for site, value in zip(found, values.tolist(), strict=True):
        if not value < math.inf:
            raise NotFiniteError(f"log-densities must be numbers; got {value} at site {site}.")


def closed_kl(terms: LogTerms) -> dict[str, Tensor]:
    """KL(q || p) by latent site that has a closed form, (C, ..., K, B) nats."""
    order = [name for name in terms.posterior if name in terms.prior]
    # In another order, q of one site stands under what the model draws after it.
    same = order == [name for name in terms.prior if name in terms.posterior]
    return terms.kl if same else {}


def _of_shared(sites: tuple[str, ...]) -> str:
    """What the evidence of a row is where a latent site has one value for all rows."""
    names = f"'{sites[0]}'" if len(sites) == 1 else f"the {len(sites)} sites outside of the plate"
    return (
        f"log_evidence of a row is its log predictive density, {names} drawn from the guide; elbo "
        "is a bound on that, without what the guide of these costs."
    )


def no_evidence(traces: Traces, terms: LogTerms) -> str:
    """Why there is no p(x), or no density q(z|x) to estimate it with; empty if there are both."""
    model, guide = traces
    for name in terms.prior:
        if isinstance(_base(model.nodes[name]["fn"]), Flat | dist.ImproperUniform):
            return f"the prior of '{name}' is improper, so that there is no p(x)"
        is_point = name in guide and isinstance(_base(guide.nodes[name]["fn"]), dist.Delta)
        if is_point and not is_discrete(model.nodes[name]["fn"]):
            return f"the guide puts '{name}' at a point, so that there is no density q(z|x)"
    return ""


def _no_bits(model: Trace, terms: LogTerms) -> str:
    if _has_labels(terms):
        return "the evidence of rows with labels is that of x and the label"
    scored = _scored(model, terms)
    if scored != "x":
        return f"the model observes {scored}, not x alone"
    (name,) = terms.likelihood
    if not is_discrete(model.nodes[name]["fn"]):
        return f"p({name}|z) is a density, whose bits depend on the scale of {name}"
    return ""


def _scored(model: Trace, terms: LogTerms) -> str:
    """What of a row has a density, in words: x, whatever its site is called, or the sites."""
    args, fields = terms.batch
    x = args[0] if args else fields["x"]
    names = sorted(terms.likelihood)
    value: Any = model.nodes[names[0]]["value"] if len(names) == 1 else None
    if value is not None and value.numel() == x.numel():
        return "x"
    return " and ".join(names)


def _has_labels(terms: LogTerms) -> bool:
    return any(bool(rows.any()) for rows in terms.labelled.values())


def _how_kl(terms: LogTerms) -> str:
    exact = {*closed_kl(terms), *terms.enumerated}
    sampled = [name for name in terms.posterior if name not in exact]
    if not sampled:
        return "closed form"
    closed = [name for name in terms.posterior if name in exact]
    return f"closed form at {', '.join(closed)}, else sampled" if closed else "sampled"


def _log_likelihood(terms: LogTerms) -> Tensor:
    """Log p(x|z), (C, ..., K, B): labels that only the model enumerates summed under p(y|z)."""
    if all(name in terms.posterior for name in terms.enumerated):
        return terms.log_likelihood
    prior = _sum(terms.prior.values())
    joint = terms.log_likelihood + prior
    return _without_model_labels(joint, terms) - _without_model_labels(prior, terms)


def _kl(terms: LogTerms) -> Tensor:
    """KL(q(z|x) || p(z)), closed where a formula is known, else at the draws, (C, ..., K, B)."""
    closed = closed_kl(terms)
    prior = _sum(term for name, term in terms.prior.items() if name not in closed)
    posterior = _sum(term for name, term in terms.posterior.items() if name not in closed)
    return _sum(closed.values()) + posterior - _without_model_labels(prior, terms)


def _without_model_labels(log_density: Tensor, terms: LogTerms) -> Tensor:
    # The model's own labels stand left of those that the guide enumerates too.
    guided = sum(name in terms.posterior for name in terms.enumerated)
    dims = list(range(log_density.dim() - 2 - guided))
    return log_density.logsumexp(dims) if dims else log_density


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.as_tensor(sum(terms))


def _base(fn: Any) -> Any:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn
