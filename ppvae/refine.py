"""An amortized guide refined: q(z|x) of given rows raised further, each datum by itself."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ppvae.ancestral import random_sites, traced
from ppvae.dependencies import dependencies
from ppvae.draws import drawn_terms
from ppvae.estimators import ELBO
from ppvae.estimators.gradients import StickingTheLanding
from ppvae.pair import Pair, as_batch
from ppvae.passes import as_pair, at_rest, select_rows, size_of
from ppvae.svi import SVI
from ppvae.terms import LogTerms

__all__ = ["Refined", "RefinedGuide", "refine"]

Moments = Mapping[str, tuple[Tensor, Tensor]]


class RefinedGuide(nn.Module):
    """q(z_n) = N(loc_n, diag(scale_n^2)) of certain rows, a table for each latent site.

    Args:
        moments: the first loc and scale by site, (B, *event) each.
    """

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self.locs = nn.ParameterDict({n: nn.Parameter(loc) for n, (loc, _) in moments.items()})
        self.log_scales = nn.ParameterDict(
            {n: nn.Parameter(scale.log()) for n, (_, scale) in moments.items()}
        )

    def forward(self, x: Tensor, refined_row: Tensor) -> dict[str, Tensor]:
        """Draw codes by site, (..., B, *event), for the rows with these places in the tables."""
        drawn = {}
        with pyro.plate("data", len(x), dim=-1):
            for name, loc in self.locs.items():
                scale = self.log_scales[name][refined_row].exp()
                posterior = dist.Normal(loc[refined_row], scale).to_event(loc.dim() - 1)
                drawn[name] = pyro.sample(name, posterior)
        return drawn


@dataclass(frozen=True)
class Refined:
    """What :func:`refine` returns: two pairs of one model, and the rows that both are run on.

    Attributes:
        amortized: the pair as it was.
        pair: its model with the refined guide.
        batch: the rows by field, with their places in the guide's tables as ``refined_row``.
        source: what was refined, a run or a pair.
    """

    amortized: Pair
    pair: Pair
    batch: Mapping[str, Tensor]
    source: Any


def refine(
    run: Any,
    batch: Any,
    *,
    steps: int = 500,
    lr: float = 0.1,
    num_particles: int = 10,
    seed: int = 0,
    compile: str = "auto",
) -> Refined:
    r"""Start at q(z|x) of an amortized guide and raise the ELBO of each datum by itself.

    .. math:: q_n^* = \arg\max_q E_q [\log p(x_n, z) - \log q(z)], \quad
        q = N(\mathrm{loc}_n, \mathrm{diag}(\mathrm{scale}_n^2))

    The model stays as it is; all rows are moved at once, independent of each other. Adam's
    learning rate falls to zero along half a cosine; the gradient is the path derivative.

    Args:
        run: a run, a Pair or a tuple (model, guide), whose guide has independent Gaussian
            coordinates at each latent site.
        batch: a tensor x, (B, ...), or named fields.
        steps: how many.
        lr: learning rate of Adam at the first step, for loc and log scale alike.
        num_particles: draws for each datum in a step.
        seed: of the draws; the global generators stay as they are.
        compile: how a step is computed, as in :func:`ppvae.fit`.

    Raises:
        ValueError: a count is below 1, lr is not positive, or a latent site lies outside of the
            data plate, is not Gaussian with independent coordinates, or depends on the draw of
            another.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> def model(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        ...         pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> def guide(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        >>> refined = refine((model, guide), torch.tensor([1.0, -2.0]), steps=200)
        >>> refined.pair.guide.locs["z"].detach().round(decimals=2)  # exact: x / 2
        tensor([ 0.5000, -1.0000])

    Source: Kim, Wiseman, Miller, Sontag & Rush (2018), Semi-amortized variational autoencoders,
    arXiv:1802.02550; Cremer, Li & Duvenaud (2018), arXiv:1801.03558.
    """
    for name, count in {"steps": steps, "num_particles": num_particles}.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1; got {count}.")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be positive and finite; got {lr}.")
    pair = as_pair(run)
    args, named = as_batch(batch)
    if len(args) > 1:
        raise ValueError(f"batch must be x or named fields; got {len(args)} arguments.")
    given = {"x": args[0]} if args else dict(named)
    with at_rest(pair, seed, scoped=False) as device:
        fields = dict(select_rows(((), given), slice(None), device)[1])
        guide = RefinedGuide(_moments(pair, fields))
        fields["refined_row"] = torch.arange(size_of(((), fields)), device=device)
        refined = Pair(pair.model, guide)
        # Named params of the model belong to the pair that trained them.
        refined.scope.share(pair.scope)
        with _frozen(pair), torch.enable_grad():
            _raise(refined, fields, steps, lr, num_particles, compile)
    return Refined(pair, refined, fields, run)


def _raise(
    pair: Pair, fields: Mapping[str, Tensor], steps: int, lr: float, draws: int, compile: str
) -> None:
    estimator = ELBO(draws, gradient=StickingTheLanding())
    optim = partial(torch.optim.Adam, lr=lr)
    svi = SVI(pair.model, pair.guide, optim, estimator, compile=compile)
    svi.begin(steps, len(fields["x"]))
    for step in range(steps):
        svi.update(**fields)
        assert svi.optimizer is not None, "the first step makes the optimizer"
        for group in svi.optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * (step + 1) / steps))


@contextlib.contextmanager
def _frozen(pair: Pair) -> Iterator[None]:
    """Hold all parameters of the pair inside this."""
    leaves = list(pair.leaves.values())
    for leaf in leaves:
        leaf.requires_grad_(False)
    try:
        yield
    finally:
        for leaf in leaves:
            leaf.requires_grad_(True)


def _moments(pair: Pair, fields: Mapping[str, Tensor]) -> Moments:
    """Loc and scale of q(z|x) by latent site, (B, *event), copied.

    Raises:
        ValueError: the guide cannot be refined.
    """
    terms = drawn_terms(pair, ((), fields), 1)
    with pair.entered():
        guide = traced(pair.program("guide", ((), fields)))
    _refuse_plates(terms)
    found = dependencies(terms).guide
    sites = dict(random_sites(guide))
    moments = {}
    for name in terms.posterior:
        others = sorted(found[name] - {name})
        if others:
            raise ValueError(
                f"refine needs sites whose q(z|x) stands by itself; got {name!r}, which depends "
                f"on {others[0]!r}."
            )
        fn = sites[name]["fn"]
        if not isinstance(_base(fn), torch.distributions.Normal) or terms.plates(name) != {"data"}:
            raise ValueError(
                "refine needs independent Gaussian coordinates in plate 'data' alone; "
                f"got {type(_base(fn)).__name__} at {name!r} in {sorted(terms.plates(name))}."
            )
        shape = (terms.batch_size, *fn.event_shape)
        moments[name] = (fn.mean.expand(shape).clone(), fn.stddev.expand(shape).clone())
    return moments


def _refuse_plates(terms: LogTerms) -> None:
    if terms.has_global:
        raise ValueError(
            "refine needs every latent site inside the data plate, one value per datum; got one "
            "outside of it."
        )
    if terms.scale != 1:
        raise ValueError(
            f"refine needs a data plate of the rows alone; got one row in {terms.scale:g}."
        )


def _base(fn: Any) -> Any:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn
