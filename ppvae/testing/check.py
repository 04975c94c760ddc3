"""An estimator of one's own, held against every law on problems with exact answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ppvae.estimators import Estimator
from ppvae.generators import generators_put_back
from ppvae.named import name_of
from ppvae.testing.laws import LAWS

__all__ = ["LawReport", "check_estimator"]


@dataclass(frozen=True)
class LawReport:
    """What came of each law.

    Attributes:
        name: of the estimator.
        laws: what was found, in words, by law.
    """

    name: str
    laws: Mapping[str, str]

    def __str__(self) -> str:
        width = max(map(len, self.laws))
        return "\n".join([self.name, *(f"  {n:<{width}}  {t}" for n, t in self.laws.items())])


def check_estimator(estimator: Estimator | type[Estimator], *, draws: int = 4000) -> LawReport:
    """Hold an estimator against the laws, on small problems with exact answers, in float64.

    Its bound is (B,), of each datum alone, free of the N/B scale, on the side of log p(x) that
    ``bound_kind`` claims, and log p(x) with the exact posterior; its mean gradient is that of its
    bound, through reparameterized draws, a layered guide and an enumerated label by paired draws,
    through discrete draws by summing over all of them; evaluation changes nothing in it. The
    problems are :mod:`ppvae.testing.problems`. An estimator whose ``biased_for`` says that it
    follows another gradient is not asked for that law; what it refuses is reported, not broken.

    Args:
        estimator: or its class, which is then made without arguments.
        draws: rows of the problems where a law holds in the mean. Five standard errors leave a
            false alarm in about 1e-5 of calls.

    Returns:
        What was found, by law; print it.

    Raises:
        LawBroken: a law is broken; an ``AssertionError`` with the law, the problem and the number.
        TypeError: estimator is no Estimator.
    """
    made = estimator() if isinstance(estimator, type) else copy.deepcopy(estimator)
    if not isinstance(made, Estimator):
        raise TypeError(f"estimator must be a ppvae Estimator; got {type(made).__name__}.")
    made.eval()
    made.begin(1000)
    with generators_put_back():
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return LawReport(name_of(made), {name: law(made, draws) for name, law in LAWS.items()})
        finally:
            torch.set_default_dtype(dtype)
