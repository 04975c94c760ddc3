"""Laws that an estimator must keep, for tests of one's own."""

from ppvae.testing.check import LawReport, check_estimator
from ppvae.testing.laws import LawBroken
from ppvae.testing.problems import Problem, bits, labelled, layered, linear

__all__ = [
    "LawBroken",
    "LawReport",
    "Problem",
    "bits",
    "check_estimator",
    "labelled",
    "layered",
    "linear",
]
