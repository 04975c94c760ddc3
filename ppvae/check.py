"""A look at a pair before it is trained: what is there, and what is wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyro
import torch
from pyro.poutine import Trace
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor
from torch.distributions.constraints import Constraint

from ppvae.check_gradients import gradient_findings
from ppvae.check_latents import misfits, why_not_run
from ppvae.check_particles import mixed_particles
from ppvae.diagnose import bad_site
from ppvae.distributions import rule_of
from ppvae.pair import Batch, Pair, as_batch
from ppvae.scope import Program
from ppvae.terms import LogTerms
from ppvae.tracing import Traces, rehearsal, rehearse, trace_pair

__all__ = ["Report", "check", "enumerated_dims", "site_problems"]

Site = Mapping[str, Any]

_WRAPPERS = ("Independent", "ExpandedDistribution")
_MASKS = ("MaskedDistribution", "Masked")


@dataclass
class Report:
    """What :func:`check` found.

    Attributes:
        sites: for each site, its plate, batch and event shape, in words.
        problems: what makes results wrong; a pair with one is not trained.
        remarks: what is allowed, and may not be meant.
        full_size: the size of the data plate if it is larger than the batch, else None.
        support: where the model lets its data lie, if it observes them as they are.
    """

    sites: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    full_size: int | None = None
    support: Constraint | None = None

    def __str__(self) -> str:
        parts = [*self.sites]
        parts += [f"wrong: {problem}" for problem in self.problems]
        parts += [f"note: {remark}" for remark in self.remarks]
        return "\n".join(parts if self.problems else [*parts, "nothing wrong was found"])

    def raise_if_wrong(self) -> None:
        """Refuse a pair with problems.

        Raises:
            ValueError: the first problem.
        """
        if self.problems:
            raise ValueError(self.problems[0])


def check(model: Program, guide: Program, batch: Any) -> Report:
    """Run a pair on a batch and say what is there and what is wrong; the pair is left as it was.

    Looked for: latent sites or their shapes that differ between model and guide, a missing
    ``to_event``, a distribution that broadcasts against the data, data outside of the support,
    values that are not finite, parameters that no gradient reaches, networks that were not made
    known, scales on one side only, and particles that score otherwise together than alone.

    Args:
        model: p, a Pyro program.
        guide: q, a Pyro program.
        batch: a tensor x, a tuple of arguments, or named fields.
    """
    pair, arguments = Pair(model, guide), as_batch(batch)
    report = Report()
    with pair.entered(), pyro.validation_enabled(False):
        try:
            rehearse(pair, arguments)
            with rehearsal(pair):
                traces = trace_pair(pair, arguments, 1)[0]
        except (ValueError, RuntimeError, IndexError, KeyError) as error:
            report.problems.append(why_not_run(pair, arguments, _in_words(error)))
            return report
        model_trace, guide_trace = map(prune_subsample_sites, traces)
        for role, trace in (("model", model_trace), ("guide", guide_trace)):
            for name, site in _samples(trace):
                report.sites.append(_described(role, name, site))
                report.problems += site_problems(role, name, site, enumerated_dims(traces))
        report.problems = report.problems or misfits(model_trace, guide_trace)
        report.remarks += _one_sided_scales(model_trace, guide_trace)
        report.remarks += _unheeded_mask(pair, arguments)
        report.support = _support(model_trace, arguments)
        if not report.problems:
            _look_at_terms(report, pair, arguments, traces)
    return report


def _look_at_terms(report: Report, pair: Pair, batch: Batch, traces: Traces) -> None:
    try:
        terms = LogTerms(pair, batch, [traces], 1)
    except (ValueError, RuntimeError) as error:
        report.problems.append(_in_words(error))
        return
    full_size = round(terms.scale * terms.batch_size)
    # A program that takes a part of the rows it is given has a plate as large as the batch.
    if full_size not in (terms.batch_size, _rows(batch)):
        report.full_size = full_size
    with rehearsal(pair):
        wrong = bad_site(pair, batch)
    if wrong is not None:
        report.problems.append(f"a pair must begin with finite values; {wrong}.")
        return
    problems, remarks = gradient_findings(pair, batch)
    report.problems += problems
    report.remarks += remarks
    report.problems += mixed_particles(pair, batch)


def _support(model: Trace, batch: Batch) -> Constraint | None:
    args, fields = batch
    for _, site in _samples(model):
        if site["is_observed"] and any(site["value"] is v for v in (*args, *fields.values())):
            return site["fn"].support
    return None


def _rows(batch: Batch) -> int | None:
    args, fields = batch
    tensors = (value for value in (*args, *fields.values()) if isinstance(value, Tensor))
    return next((len(tensor) for tensor in tensors if tensor.dim()), None)


def _samples(trace: Trace) -> list[tuple[str, Site]]:
    return [(name, site) for name, site in trace.nodes.items() if site["type"] == "sample"]


def _described(role: str, name: str, site: Site) -> str:
    plates = ", ".join(f"{f.name} {f.size} at {f.dim}" for f in site["cond_indep_stack"])
    kind = "observed" if site["is_observed"] else "latent"
    fn = site["fn"]
    return (
        f"{role} '{name}' ({kind}, {_name(fn)}): plate {plates or 'none'}; "
        f"batch {tuple(fn.batch_shape)}, event {tuple(fn.event_shape)}"
    )


def _name(fn: Any) -> str:
    while hasattr(fn, "base_dist") and type(fn).__name__ in (*_WRAPPERS, *_MASKS):
        fn = fn.base_dist
    return type(fn).__name__


def enumerated_dims(traces: Traces) -> set[int]:
    """The dimensions in which labels that are summed out stand, left of all plates."""
    sites = [site for trace in traces for _, site in _samples(trace)]
    return {s["infer"]["_enumerate_dim"] for s in sites if "_enumerate_dim" in s["infer"]}


def site_problems(role: str, name: str, site: Site, enumerated: set[int]) -> list[str]:
    """What is wrong with the shapes or the data of a site, drawn once, in words.

    Args:
        role: whose site it is, "model" or "guide".
        name: of the site.
        site: of a trace.
        enumerated: dimensions that are no plates, :func:`enumerated_dims`.
    """
    fn, value = site["fn"], site["value"]
    dims = {frame.dim: frame.size for frame in site["cond_indep_stack"] if frame.vectorized}
    batch = fn.batch_shape
    loose = {d for d in range(-len(batch), 0) if batch[d] != 1 and dims.get(d) != batch[d]}
    if loose - enumerated:
        return [
            f"site '{name}' of the {role} must have batch dimensions that are plates; got "
            f"batch shape {tuple(batch)} in plates {dict(_plates(site))} "
            "(.to_event(1) is missing, or a plate)."
        ]
    if not site["is_observed"]:
        return []
    # Behind the rows stands a datum, all of it the event.
    events = value.shape[min(len(batch), max(0, value.dim() - len(fn.event_shape))) :]
    if events != fn.event_shape:
        return [
            f"site '{name}' of the {role} must be as wide as the data, {tuple(events)}; "
            f"got {tuple(fn.event_shape)}."
        ]
    return _outside_support(role, name, site)


def _plates(site: Site) -> list[tuple[str, int]]:
    return [(f.name, f.size) for f in site["cond_indep_stack"] if f.vectorized]


def _outside_support(role: str, name: str, site: Site) -> list[str]:
    fn, value = site["fn"], site["value"]
    while type(fn).__name__ in _WRAPPERS:
        fn = fn.base_dist
    mask = getattr(fn, "_mask", None)
    nan = torch.isnan(value)
    if isinstance(mask, Tensor):
        # Over values, or over rows.
        nan = nan & mask.reshape(*mask.shape, *(1,) * (value.dim() - mask.dim()))
    if bool(nan.any()):
        return [f"data at site '{name}' must be numbers; got {int(nan.sum())} NaN."]
    try:
        inside = fn.support.check(value)
    except NotImplementedError:
        return []
    inside = inside | ~mask if isinstance(mask, Tensor) else inside
    if bool(inside.all()):
        return []
    odd = value[~inside.expand(value.shape)].flatten()[0].item()
    hint = " (grey data are binarised by --binarize dynamic)" if _name(fn) == "Bernoulli" else ""
    where = _name(fn) + rule_of(fn.support)
    return [f"data at site '{name}' must lie in the support of {where}; got {odd:g}{hint}."]


def _one_sided_scales(model: Trace, guide: Trace) -> list[str]:
    in_guide = dict(_samples(guide))
    return [
        f"site '{name}' is scaled by {float(site['scale']):g} in the model and by "
        f"{float(in_guide[name]['scale']):g} in the guide, so that the objective is no ELBO"
        for name, site in _samples(model)
        if name in in_guide and float(site["scale"]) != float(in_guide[name]["scale"])
    ]


def _unheeded_mask(pair: Pair, batch: Batch) -> list[str]:
    _, fields = batch
    asked = pair.scope.asked["model"]
    if "mask" not in fields or asked is None or "mask" in asked:
        return []
    return ["the model does not ask for the mask, so that it scores what is not observed as data"]


def _in_words(error: Exception) -> str:
    """An error of the pair's own as one sentence."""
    text = str(error).partition("Trace Shapes:")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = " ".join(lines[:2]) if lines else type(error).__name__
    if words.startswith("Shape mismatch inside plate"):
        words += " (.to_event(1) is missing, or a plate)."
    return words
