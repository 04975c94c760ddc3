"""Gradient estimators side by side, at parameters that stay as they are."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyro
import pyro.infer
import torch
import xarray as xr
from torch import Tensor

from ppvae.bench.assemble import Measured, assembled
from ppvae.bench.blocks import Blocks, Groups, blocks_of
from ppvae.bench.cost import peak_bytes, timed
from ppvae.bench.progress import DrawsProgress
from ppvae.bench.sampling import Sampler
from ppvae.bench.sums import BatchMeans
from ppvae.bench.targets import EXACT, exact_gradients
from ppvae.capture import Shared
from ppvae.diagnose import NotFiniteError
from ppvae.experiment import Experiment
from ppvae.generators import generators_put_back
from ppvae.named import name_of
from ppvae.pair import Batch, Pair, as_batch
from ppvae.run import Run
from ppvae.tracing import rehearse

__all__ = ["gradients"]


def gradients(
    source: Experiment | Run | Pair | tuple[Any, Any],
    batch: Any,
    estimators: Sequence[pyro.infer.ELBO],
    num_draws: int = 1000,
    *,
    groups: Groups | None = None,
    seed: int = 0,
    num_timed: int = 30,
    compile: str = "auto",
    progress: bool = True,
) -> xr.Dataset:
    """Bias, variance, signal-to-noise and cost of gradient estimators, where the pair stands now.

    All gradients are those of the mean bound per datum in nats, to be followed upwards. They are
    held against the exact gradient of what the estimator aims at where the experiment knows it;
    else against the one of least variance among the others that aim at the same and claim to be
    unbiased. ``reference`` says which. Nothing is changed: parameters, buffers, generators and what
    estimators have learned stay as they are; networks run in the mode that they are in.

    Args:
        source: an experiment, a run, a pair or a tuple (model, guide); the first two may know
            exact values.
        batch: a tensor x, (B, ...); a tuple of arguments; or named fields.
        estimators: ours, Pyro's or one's own.
        num_draws: gradients of each, at least 2; standard errors need 3.
        groups: named blocks beside "model" and "guide": for each the names of its parameters,
            beginnings of names, or patterns with *.
        seed: of the draws; those of different estimators are independent.
        num_timed: ordinary gradients of each that are timed, after the draws; 0 for no clock.
        compile: how gradients that cannot be drawn together are computed, as in
            :func:`ppvae.fit`. The clock and the memory are those of Pyro's Python, for all alike;
            "replay" and "inductor" time what a training step computes so once it is captured.
        progress: whether to show them being drawn.

    Returns:
        By estimator and block: ``mean_norm``, ``bias`` and ``bias_z`` (in standard errors),
        ``variance``, ``snr``, ``cosine``, ``variance_time``; by estimator ``bound``, ``ms`` and
        ``peak_bytes`` of a gradient, and ``timed_as``, how it was computed for the clock; each with
        its unit and, under ``_se``, its standard error.

    Raises:
        ValueError: num_draws is below 2 or num_timed below 0, compile is none of the four, there is
            no estimator or the same one twice, a group holds no parameter, or the pair or an
            estimator refuses the batch.
        TypeError: an estimator or the source is of another kind.
        NotFiniteError: a gradient is NaN or infinite.
    """
    _refuse(estimators, num_draws, num_timed)
    # It refuses a mode that there is not.
    Shared(compile)
    pair, known = _pair_of(source)
    rows = as_batch(batch)
    with _unchanged(pair, seed):
        rehearse(pair, rows)
        blocks = blocks_of(pair, rows, groups)
        job = _Job(pair, rows, blocks, estimators, num_draws, seed, compile)
        measured = job.drawn(progress)
        job.clock(measured, num_timed)
        exact = exact_gradients(known, rows, blocks, pair.model)
        return assembled(measured, blocks, exact, seed)


class _Job:
    """All gradients of all estimators."""

    def __init__(
        self,
        pair: Pair,
        batch: Batch,
        blocks: Blocks,
        estimators: Sequence[pyro.infer.ELBO],
        num_draws: int,
        seed: int,
        compile: str,
    ) -> None:
        self._blocks = blocks
        self._estimators = estimators
        self._num_draws = num_draws
        self._seed = seed
        # Every estimator meets the pair before hours are spent on the first.
        self._samplers = [Sampler(pair, batch, each, blocks.leaves, compile) for each in estimators]

    def drawn(self, progress: bool) -> list[Measured]:
        """The gradients of each estimator."""
        found = []
        with DrawsProgress(len(self._samplers), self._num_draws, progress) as shown:
            for estimator, sampler in zip(self._estimators, self._samplers, strict=True):
                name = name_of(estimator)
                shown.begin(name)
                means, bounds = self._drawn(sampler, name, shown)
                shown.end()
                found.append(Measured(estimator, means, bounds, sampler.at_once))
        return found

    def clock(self, measured: Sequence[Measured], rounds: int) -> None:
        """Time ordinary gradients, one by one, and look at the memory of one."""
        if not rounds:
            return
        device = next(iter(self._blocks.leaves.values())).device
        for each, taken in zip(measured, timed(self._samplers, rounds, device), strict=True):
            each.ms = taken
        for each, sampler in zip(measured, self._samplers, strict=True):
            each.timed_as = sampler.how
            each.peak_bytes = peak_bytes(sampler, device)

    def _drawn(
        self, sampler: Sampler, name: str, shown: DrawsProgress
    ) -> tuple[BatchMeans, Tensor]:
        means, bounds = BatchMeans(self._blocks.leaves, self._num_draws), []
        # Noise in common would tie draws of one estimator to other draws of its reference.
        own = np.random.SeedSequence([self._seed, zlib.crc32(name.encode())])
        pyro.set_rng_seed(int(own.generate_state(1)[0]))
        for drawn, values in sampler.draw(self._num_draws):
            means.add(drawn)
            bounds.append(values)
            shown.advance(len(values))
        if means.not_finite:
            raise NotFiniteError(
                f"gradients of {name} must be finite; got NaN or infinity in '{means.not_finite}'."
            )
        return means, torch.cat(bounds)


def _pair_of(source: Any) -> tuple[Pair, Mapping[str, Callable[[Tensor], Tensor] | None]]:
    experiment = source.experiment if isinstance(source, Run) else source
    fields = [field for field, _ in EXACT.values()]
    known = (
        {field: getattr(experiment, field) for field in fields}
        if isinstance(experiment, Experiment)
        else {}
    )
    if isinstance(source, Run | Experiment):
        return Pair(source.model, source.guide), known
    if isinstance(source, tuple) and len(source) == 2:
        return Pair(*source), known
    if isinstance(source, Pair):
        return source, known
    raise TypeError(
        "source must be an Experiment, a Run, a Pair or a tuple (model, guide); "
        f"got {type(source).__name__}."
    )


def _refuse(estimators: Sequence[Any], num_draws: int, num_timed: int) -> None:
    if num_draws < 2:
        raise ValueError(f"num_draws must be at least 2; got {num_draws}.")
    if num_timed < 0:
        raise ValueError(f"num_timed must be at least 0; got {num_timed}.")
    if not estimators:
        raise ValueError("estimators must be at least one; got none.")
    for each in estimators:
        if not isinstance(each, pyro.infer.ELBO):
            raise TypeError(f"estimators must be ELBOs; got {type(each).__name__}.")
    names = [name_of(each) for each in estimators]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"estimators must differ; got {name!r} twice.")


@contextlib.contextmanager
def _unchanged(pair: Pair, seed: int) -> Iterator[None]:
    """Draw inside this: the generators go back, and named params drawn here are of the seed."""
    with generators_put_back(), pair.entered():
        pyro.set_rng_seed(seed)
        yield
