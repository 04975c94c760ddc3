"""`ppvae compare`: stub."""

from __future__ import annotations

from ppvae.cli.parser import Verb

__all__ = ["COMPARE"]

COMPARE = Verb(
    name="compare",
    summary="compare ELBO estimators on a pair, at equal steps and at equal seconds",
    usage="[EXPERIMENT...]",
    description=__doc__ or "",
    add_options=lambda parser: None,
    run=lambda arguments: 0,
    takes_experiment=True,
)
