"""Expectation-maximization over any model whose latent sites can be enumerated."""

from ppvae.em.along import Along, along
from ppvae.em.result import EMResult
from ppvae.em.steps import em
from ppvae.em.table import JointTable, joint_table, posterior_table

__all__ = ["Along", "EMResult", "JointTable", "along", "em", "joint_table", "posterior_table"]
