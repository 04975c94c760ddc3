"""Which draws each log-density of a pair depends on: found once, by following them through it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from pyro.ops.provenance import detach_provenance, get_provenance, track_provenance
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from pyro.poutine.subsample_messenger import _Subsample
from pyro.poutine.util import prune_subsample_sites
from torch.overrides import TorchFunctionMode

from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms
from ppvae.tracing import Traces, rehearsal, trace_pair

__all__ = ["Dependencies", "dependencies"]

Names = frozenset[str]

# What takes a tensor's values out of torch, where nobody can follow them.
_READS = {
    *("item", "tolist", "numpy", "equal", "allclose", "is_nonzero", "__contains__"),
    *("__bool__", "__int__", "__float__", "__complex__", "__index__", "__array__"),
}


@dataclass(frozen=True)
class Dependencies:
    """For each log-density the latent sites whose draws decide it, at first hand or through others.

    Attributes:
        model: of log p at each site of the model.
        guide: of log q at each site of the guide, its own draw among them.
    """

    model: Mapping[str, Names]
    guide: Mapping[str, Names]


def dependencies(terms: LogTerms) -> Dependencies:
    """What the log-densities of a pair depend on, found on its first call and kept with the pair.

    Every draw is marked, and torch passes the marks on. A draw that a program reads on the host
    may decide all that comes after it; where marks cannot be followed at all, each site is taken to
    depend on all that are drawn before it. Either costs variance, never a bias.

    Args:
        terms: of any draws of the pair.
    """
    known = terms.pair.scope.dependencies
    key = (*terms.posterior, "|", *terms.prior, "|", *terms.likelihood, *terms.global_posterior)
    if key not in known:
        known[key] = _found(terms)
    found: Dependencies = known[key]
    return found


def _found(terms: LogTerms) -> Dependencies:
    pair = terms.pair
    with pair.entered(), rehearsal(pair), pyro.validation_enabled(False):
        traces, read = _marked(pair, terms.batch)
        model, guide = (_marks(prune_subsample_sites(trace), read) for trace in traces)
    above: dict[str, Names] = {}
    for name, own in guide.items():
        above[name] = _with_those_above(own - {name}, above) | {name}
    return Dependencies(
        model={name: _with_those_above(own, above) for name, own in model.items()},
        guide={name: _with_those_above(own, above) for name, own in guide.items()},
    )


def _with_those_above(names: Names, above: Mapping[str, Names]) -> Names:
    return names.union(*(above.get(name, frozenset()) for name in names))


def _marked(pair: Pair, batch: Batch) -> tuple[Traces, Names | None]:
    """Traces with marked draws and the draws that were read; None if they cannot be followed."""
    reads = _HostReads()
    try:
        with _uncompiled(), _Marks(), reads:
            return trace_pair(pair, batch, 1)[0], reads.seen
    except Exception:
        # The pair has run before: what failed is to follow its draws.
        return trace_pair(pair, batch, 1)[0], None


def _uncompiled() -> contextlib.AbstractContextManager[Any]:
    """Run compiled networks as they are written: compiled ones need not pass the marks on."""
    # The compiler takes seconds to import, and nothing is compiled before it is.
    if "torch._dynamo" not in sys.modules:
        return contextlib.nullcontext()
    return torch.compiler.set_stance("force_eager")


class _Marks(Messenger):
    """Marks every latent value with the name of its site, and with nothing else."""

    def _pyro_post_sample(self, msg: Any) -> None:
        if not msg["is_observed"] and not isinstance(msg["fn"], _Subsample):
            value = detach_provenance(msg["value"])
            msg["value"] = track_provenance(value, frozenset({msg["name"]}))


class _HostReads(TorchFunctionMode):
    """Notes the marks of tensors whose values leave torch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Names = frozenset()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__name__", "") in _READS:
            self.seen |= get_provenance([args, given])
        return func(*args, **given)


def _marks(trace: Trace, read: Names | None) -> dict[str, Names]:
    """For each site the draws that its log-density has at first hand, in the order of the trace."""
    earlier: list[str] = []
    found: dict[str, Names] = {}
    for name, site in trace.nodes.items():
        if site["type"] == "sample":
            earlier += [] if site["is_observed"] else [name]
            own = None if read is None else _marks_of(site)
            before = frozenset(earlier)
            found[name] = before if own is None or read is None else before & (own | read | {name})
    return found


def _marks_of(site: Mapping[str, Any]) -> Names | None:
    try:
        log_density = site["fn"].log_prob(site["value"], *site["args"], **site["kwargs"])
    except Exception:
        # A flow without an inverse, for one, has no density at a marked copy of its draw.
        return None
    return get_provenance([log_density, site["mask"], site["scale"]])
