"""What went wrong in a training, found by stepping on from its last good state."""

from __future__ import annotations

import math

import pyro

from ppvae.checkpoint import Checkpoint
from ppvae.data import Fields
from ppvae.diagnose import NotFiniteError, bad_gradient, bad_parameter, bad_site
from ppvae.generators import generator_states, restore_generators
from ppvae.training import Training

__all__ = ["explained"]


def explained(
    training: Training, last: Checkpoint, error: Exception, where: str
) -> NotFiniteError | None:
    """The site, gradient or parameter that went bad; None if the error is of another kind.

    Afterwards the training is in its last good state.

    Args:
        training: as it was when the error came.
        last: its last good state.
        error: what came.
        where: the last good state is kept, in words.
    """
    until = min(training.step + 1, training.steps)
    training.restore(last)
    found = _first_bad_step(training, until)
    training.restore(last)
    kept = f"The state after step {training.step} is kept {where}."
    if found is not None:
        return NotFiniteError(f"training met a value that is not finite in {found}. {kept}")
    if isinstance(error, NotFiniteError):
        return NotFiniteError(f"{error}, and not again when these steps were repeated. {kept}")
    return None


def _first_bad_step(training: Training, until: int) -> str | None:
    while training.step < until:
        epoch = training.step // training.steps_per_epoch
        training.svi.pair.train(True)
        fields, each = training.rows_left()
        for rows in each:
            batch = {name: field[rows] for name, field in fields.items()}
            states = generator_states()
            try:
                reason = _wrong(training, batch)
            except (ValueError, RuntimeError):
                # It is the error itself, come again, that says most.
                return None
            if reason is not None:
                restore_generators(states)
                draws = getattr(training.svi.loss, "num_particles", 1)
                moved = bad_parameter(training.svi.pair.leaves) is not None
                site = None if moved else bad_site(training.svi.pair, ((), batch), draws)
                return f"step {training.step + 1} (epoch {epoch + 1}): {site or reason}"
            training.count(0.0)
            if training.step == until:
                break
    return None


def _wrong(training: Training, batch: Fields) -> str | None:
    """Take a step, unless it is not finite: then why, in words."""
    svi = training.svi
    with svi.pair.entered(), pyro.validation_enabled(False):
        loss = svi.gradients(**batch)
        total = float(sum(loss) if isinstance(loss, tuple) else loss)
        if not math.isfinite(total):
            return f"the loss is {total}"
        reason = bad_gradient(svi.pair.leaves)
        if reason is None:
            svi.move()
            reason = bad_parameter(svi.pair.leaves)
        return reason
