"""From traces to log-densities by site, each in nats and of shape (C, ..., K, B).

Here the dimensions are kept straight: other plates than the data plate are summed, the data
plate's scale N / B is divided out, particles and enumerated labels stay in front. They are in
float32 or wider, whatever the networks compute in: 100 nats in bfloat16 are known to 0.25.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyro.distributions.util import scale_and_mask
from pyro.poutine import Trace
from pyro.poutine.indep_messenger import CondIndepStackFrame
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ppvae.distributions.precision import scored, wide
from ppvae.networks.autocast import widened
from ppvae.tracing import Traces

__all__ = ["Layout", "Sites", "collect", "latent_sites"]

Site = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """Where the dimensions of a trace are.

    Attributes:
        data: the plate that holds the rows of the batch.
        nesting: how many dimensions the program's own plates take up.
        particles: K of this trace; 1 has no dimension of its own.
    """

    data: CondIndepStackFrame
    nesting: int
    particles: int

    @property
    def scale(self) -> float:
        """N / B, the size of the data over the size of the batch."""
        return float(self.data.full_size or self.data.size) / float(self.data.size)

    def is_local(self, site: Site) -> bool:
        """Whether a site has one value per row of the batch."""
        return any(frame.name == self.data.name for frame in site["cond_indep_stack"])

    def reduced(self, site: Site, log_density: Tensor) -> Tensor:
        """A site's log-density as (C, ..., K, B) if local, else (C, ..., K)."""
        factor = site["scale"] / self.scale if self.is_local(site) else site["scale"]
        terms = scale_and_mask(widened(log_density), factor, site["mask"])
        terms = terms[(None,) * max(0, self.nesting + (self.particles > 1) - terms.dim())]
        kept = self.data.dim if self.is_local(site) else None
        others = [dim for dim in range(-self.nesting, 0) if dim != kept]
        terms = terms.sum(others) if others else terms
        if self.particles > 1:
            return terms
        return terms.unsqueeze(-1 if kept is None else -2)

    def with_particles(self, site: Site, value: Tensor) -> Tensor:
        """A site's value with a dimension for its particles, (..., K, plates, *event)."""
        if self.particles > 1:
            return value
        width = self.nesting + int(site["fn"].event_dim)
        value = value[(None,) * max(0, width - value.dim())]
        return value.unsqueeze(-1 - width)

    def enumerated_dim(self, site: Site) -> int | None:
        """Where an enumerated site's dimension stands in a reduced log-density."""
        dim = site["infer"].get("_enumerate_dim")
        return None if dim is None else dim + self.nesting - 1 - (self.particles == 1)


@dataclass
class Sites:
    """Log-densities of one pair of traces by site, in trace order, (C, ..., K, B) or (C, ..., K).

    ``enumerated`` maps the sites summed out exactly to their dimension; ``scored`` names those that
    are neither enumerated nor reparameterized; ``rescaled`` those under a ``poutine.scale``.
    ``log_label`` and ``labelled`` are of sites of the guide that are known in some rows: log q of
    the label, 0 where there is none, and whether there is one.
    """

    layout: Layout
    likelihood: dict[str, Tensor] = field(default_factory=dict)
    prior: dict[str, Tensor] = field(default_factory=dict)
    posterior: dict[str, Tensor] = field(default_factory=dict)
    global_prior: dict[str, Tensor] = field(default_factory=dict)
    global_posterior: dict[str, Tensor] = field(default_factory=dict)
    auxiliary: dict[str, Tensor] = field(default_factory=dict)
    log_label: dict[str, Tensor] = field(default_factory=dict)
    labelled: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    enumerated: dict[str, int] = field(default_factory=dict)
    scored: list[str] = field(default_factory=list)
    rescaled: list[str] = field(default_factory=list)


def collect(traces: Traces, nesting: int, particles: int) -> Sites:
    """Score every site of a model trace and its guide trace.

    Raises:
        ValueError: model and guide differ in their latent sites, no plate holds the data, or
            a site is enumerated in a way that cannot be summed row by row.
    """
    model, guide = map(prune_subsample_sites, traces)
    _refuse_other_latents(model, guide)
    sites = Sites(Layout(_data_plate(model), nesting, particles))
    for name, site in map(_wide, _samples(model)):
        _add(sites, name, site, sites.likelihood if site["is_observed"] else sites.prior, "model")
    for name, site in map(_wide, _samples(guide)):
        _add(sites, name, site, sites.posterior, "guide")
    astray = [
        *(sites.prior.keys() & sites.global_posterior.keys()),
        *(sites.global_prior.keys() & sites.posterior.keys()),
    ]
    if astray:
        raise ValueError(
            f"model and guide must agree on which sites are in plate '{sites.layout.data.name}'; "
            f"got {astray[0]!r} in one of them."
        )
    if len(set(sites.enumerated.values())) < len(sites.enumerated):
        raise ValueError(
            "enumerated sites must have a dimension each; got one shared by several of "
            f"{sorted(sites.enumerated)} (pyro.markov). Use pyro.infer.TraceEnum_ELBO."
        )
    return sites


def _add(sites: Sites, name: str, site: Site, local: dict[str, Tensor], role: str) -> None:
    layout = sites.layout
    log_density = layout.reduced(
        site, scored(site["fn"], site["value"], *site["args"], **site["kwargs"])
    )
    auxiliary = bool(site["infer"].get("auxiliary"))
    if not layout.is_local(site) and (auxiliary or site["is_observed"]):
        raise ValueError(
            f"{'auxiliary' if auxiliary else 'observed'} sites must be in plate "
            f"'{layout.data.name}' with the data; got '{name}'."
        )
    if auxiliary:
        # What the guide adds to log q is taken from what is optimised, as Pyro's own bounds do.
        sites.auxiliary[name] = log_density if role == "model" else -log_density
    elif layout.is_local(site):
        local[name] = log_density
        if float(site["scale"]) != layout.scale:
            sites.rescaled.append(name)
    else:
        (sites.global_prior if role == "model" else sites.global_posterior)[name] = log_density
    if site["is_observed"]:
        return
    dim = layout.enumerated_dim(site)
    if dim is not None:
        _refuse_nested(layout, name, site)
        sites.enumerated[name] = dim
    if role == "guide":
        sites.values[name] = layout.with_particles(site, site["value"])
        _add_labels(sites, name, site)
        if dim is None and not getattr(site["fn"], "has_rsample", False):
            sites.scored.append(name)


def _add_labels(sites: Sites, name: str, site: Site) -> None:
    """Note which rows have a label, where a distribution knows: :class:`PartlyObserved`."""
    log_label = getattr(site["fn"], "log_label", None)
    if log_label is not None:
        labelled = site["fn"].observed.to(log_label.dtype)
        sites.log_label[name] = sites.layout.reduced(site, log_label)
        sites.labelled[name] = sites.layout.reduced(site, labelled) > 0


def _refuse_nested(layout: Layout, name: str, site: Site) -> None:
    plates = [
        f.name for f in site["cond_indep_stack"] if f.name not in (layout.data.name, "particles")
    ]
    if plates or not layout.is_local(site):
        raise ValueError(
            f"enumerated sites must be in plate '{layout.data.name}' alone; "
            f"got '{name}' in plates {plates}. Use pyro.infer.TraceEnum_ELBO."
        )


def _samples(trace: Trace) -> list[tuple[str, Site]]:
    return [(n, site) for n, site in trace.nodes.items() if site["type"] == "sample"]


def _wide(named: tuple[str, Site]) -> tuple[str, Site]:
    name, site = named
    fn = wide(site["fn"])
    return name, site if fn is site["fn"] else {**site, "fn": fn}


def latent_sites(trace: Trace) -> dict[str, Site]:
    """The latent sites of a trace by name, as they are scored: no distribution in bfloat16."""
    return dict(map(_wide, _latents(trace).items()))


def _latents(trace: Trace) -> dict[str, Site]:
    return {name: site for name, site in _samples(trace) if not site["is_observed"]}


def _refuse_other_latents(model: Trace, guide: Trace) -> None:
    of_model, of_guide = _latents(model), _latents(guide)
    # What only the model enumerates is summed out; what the guide marks is its own business.
    in_model = {n for n, s in of_model.items() if "_enumerate_dim" not in s["infer"]}
    in_guide = {n for n, s in of_guide.items() if not s["infer"].get("is_auxiliary")}
    if not (in_model <= in_guide <= set(of_model)):
        raise ValueError(
            "model and guide must sample the same latent sites; "
            f"model has {sorted(of_model)}, guide has {sorted(of_guide)}."
        )


def _data_plate(model: Trace) -> CondIndepStackFrame:
    """The plate that holds every observed site and, of those, the most latent ones."""
    observed = [site for _, site in _samples(model) if site["is_observed"]]
    observed = [site for site in observed if not site["infer"].get("auxiliary")]
    if not observed:
        raise ValueError("model must observe the data at a site; got no observed site.")
    held = [{f for f in site["cond_indep_stack"] if f.vectorized} for site in observed]
    candidates = [f for f in set.intersection(*held) if f.name != "particles"]
    if not candidates:
        raise ValueError(
            'model must observe the data inside `with pyro.plate("data", len(x), dim=-1)`; '
            f"got no plate around {[site['name'] for site in observed]}."
        )

    def rank(frame: CondIndepStackFrame) -> tuple[bool, int, int]:
        inside = sum(frame in site["cond_indep_stack"] for site in _latents(model).values())
        return frame.name == "data", inside, frame.dim or 0

    return max(candidates, key=rank)
