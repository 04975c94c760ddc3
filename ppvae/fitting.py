"""Whether an estimator fits a pair and its data, and room for what it keeps: before a training."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from pyro.infer import TraceMeanField_ELBO

from ppvae.data import Data
from ppvae.draws import drawn_terms
from ppvae.estimators import Estimator
from ppvae.pair import Pair
from ppvae.prepare import first_rows
from ppvae.tracing import kept_as_it_was

__all__ = ["make_room", "refuse_untreatable"]


def make_room(estimator: Any, pair: Pair, data: Data, batch_size: int) -> None:
    """Let an estimator make room for what it keeps for each row, before its state is put back."""
    if isinstance(estimator, Estimator):
        rows = int(data.train["index"].max()) + 1
        estimator.prepare(pair, ((), first_rows(data, batch_size)), rows)


def refuse_untreatable(estimator: Any, pair: Pair, data: Data, batch_size: int) -> None:
    """Compute one training loss and forget it, so that an estimator refuses before work starts.

    Pyro's TraceMeanField_ELBO does not refuse a model and a guide that sample in different orders,
    and is then off: its formula at one site stands under what the guide draws later.

    Raises:
        ValueError: the estimator cannot treat the pair, in its own words.
    """
    batch = first_rows(data, batch_size)
    if isinstance(estimator, TraceMeanField_ELBO):
        with kept_as_it_was(pair), torch.no_grad():
            _ = drawn_terms(pair, ((), batch), 1).kl
    if not isinstance(estimator, Estimator):
        return
    estimator.eval()
    try:
        # What is not finite is for the training to explain.
        with kept_as_it_was(pair), torch.enable_grad(), pyro.validation_enabled(False):
            estimator.differentiable_loss(pair.model, pair.guide, **batch)
    except RuntimeError:
        return
    finally:
        estimator.train()
