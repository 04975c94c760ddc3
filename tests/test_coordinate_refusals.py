"""What coordinate ascent refuses, each in one sentence."""

import pytest
import torch

from ppvae import coordinate_ascent
from ppvae.coordinate_ascent import (
    DirichletWeights,
    MeanFieldGaussian,
    MeanFieldMixture,
    StickBreakingWeights,
)
from ppvae.distributions import NormalWishart


def lowering():
    values = iter([3.0, 2.0])
    return lambda: torch.tensor(next(values))


def of(x=(4, 2), start=(4, 3), fill=1 / 3):
    prior = NormalWishart(torch.zeros(2), torch.tensor(1.0), torch.eye(2), torch.tensor(2.0))
    return MeanFieldMixture(torch.randn(*x), prior, DirichletWeights(1.0), torch.full(start, fill))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: coordinate_ascent({}, lowering()), "factors must name at least one; got none"),
        (
            lambda: coordinate_ascent({"a": lambda: None}, lowering()),
            r"the update of 'a' in sweep 1 must not lower the objective; got 2 nats after 3\.",
        ),
        (
            lambda: coordinate_ascent({"a": lambda: None}, lowering(), sweeps=0),
            "sweeps must be at least 1; got 0",
        ),
        (
            lambda: coordinate_ascent({"a": lambda: None}, lowering(), tolerance=-1.0),
            "tolerance must be at least 0 and finite; got -1.0",
        ),
        (lambda: of(x=(4, 3)), r"x must be \(N, P\) with prior's loc .*\(4, 3\) and \(2,\)"),
        (lambda: DirichletWeights(0.0), "concentration must be positive and finite; got 0.0"),
        (lambda: StickBreakingWeights(-1.0), "concentration must be positive and finite; got -1"),
        (lambda: of(start=(5, 3)), r"responsibilities must be \(4, C\); got \(5, 3\)"),
        (lambda: of(fill=0.5), "rows of sum 1; got a row that is 0.5 off"),
        (
            lambda: MeanFieldGaussian(torch.zeros(2), torch.eye(3), torch.zeros(2)),
            r"must fit together; got shapes \(2,\), \(3, 3\), \(2,\)",
        ),
        (
            lambda: MeanFieldGaussian(torch.zeros(2), -torch.eye(2), torch.zeros(2)),
            "covariance must be positive definite",
        ),
    ],
)
def test_what_cannot_be_climbed_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
