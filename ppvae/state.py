"""What a training moves: parameters, running statistics, and what an estimator learns."""

from __future__ import annotations

from collections.abc import Mapping

import pyro
import torch
from torch import Tensor, nn

from ppvae.data import Fields
from ppvae.estimators import Estimator
from ppvae.svi import SVI

__all__ = ["figures_of", "held_out_bound", "live_tensors", "put_state", "taken_state"]

_SEED = 0
_TAKEN = ("step", "seconds", "train_bound", "valid_bound")
# Draws of a held-out bound at once: rows times particles.
_AT_ONCE = 8192


def live_tensors(svi: SVI) -> dict[str, Tensor]:
    """The tensors that training changes, by name."""
    tensors = svi.pair.leaves | svi.pair.buffers
    if isinstance(svi.loss, nn.Module):
        tensors |= {f"loss.{n}": t for n, t in svi.loss.state_dict(keep_vars=True).items()}
    return tensors


def taken_state(svi: SVI) -> dict[str, Tensor]:
    """Copies of the tensors that training changes, on the CPU, by name."""
    return {name: tensor.detach().cpu().clone() for name, tensor in live_tensors(svi).items()}


def put_state(live: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Copy values by name into tensors.

    Raises:
        ValueError: names, shapes or dtypes differ.
    """
    ours, kept = ({n: _kind(t) for n, t in tensors.items()} for tensors in (live, state))
    if ours != kept:
        odd = min(name for name in {*ours, *kept} if ours.get(name) != kept.get(name))
        raise ValueError(
            f"checkpoint must be of this pair; '{odd}' is {kept.get(odd, 'missing')} in "
            f"the checkpoint and {ours.get(odd, 'missing')} in the pair."
        )
    with torch.no_grad():
        for name, tensor in live.items():
            tensor.copy_(state[name])


def figures_of(svi: SVI) -> dict[str, float]:
    """The figures of the estimator now, by name, read from the device at once.

    Raises:
        ValueError: one has the name of a number that every history holds.
    """
    figures = svi.loss.figures() if isinstance(svi.loss, Estimator) else {}
    if not figures:
        return {}
    for name in figures:
        if name in _TAKEN:
            raise ValueError(f"figures of an estimator must have names of their own; got {name!r}.")
    values = torch.stack([value.double() for value in figures.values()]).tolist()
    return dict(zip(figures, values, strict=True))


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def held_out_bound(
    svi: SVI, fields: Fields, full_size: int | None = None, seed: int = _SEED
) -> float:
    """The loss's own bound on given rows, in nats per datum, from draws of a fixed seed.

    Args:
        svi: pair and loss.
        fields: rows by field, (N, ...).
        full_size: the size of a subsampled data plate, over which the loss is scaled.
        seed: of the draws.
    """
    pyro.set_rng_seed(seed)
    rows = len(fields["x"])
    size = max(1, _AT_ONCE // int(getattr(svi.loss, "num_particles", 1)))
    total = 0.0
    for start in range(0, rows, size):
        part = {name: values[start : start + size] for name, values in fields.items()}
        loss = svi.evaluate_loss(**part)
        loss = sum(loss) if isinstance(loss, tuple) else loss
        total -= loss * (len(part["x"]) / full_size if full_size else 1.0)
    return total / rows
