"""A trained pair judged on rows that it has not seen."""

from ppvae.evaluate.conditional import conditional_evidence
from ppvae.evaluate.evaluation import evaluate
from ppvae.evaluate.report import summary

__all__ = ["conditional_evidence", "evaluate", "summary"]
