"""log p(x) from weights: the estimate, its standard error, and how many draws carry it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ppvae.estimators.log_mean import log_mean

__all__ = ["Evidence", "estimate_evidence", "mean_over_draws"]


class Evidence(NamedTuple):
    """An estimate of log p(x) per datum, in nats, (B,).

    Attributes:
        value: log of the mean weight; in expectation a lower bound on log p(x).
        standard_error: of the value, from the same draws.
        ess: how many equal weights would be as good as these, from 1 to K.
    """

    value: Tensor
    standard_error: Tensor
    ess: Tensor


def estimate_evidence(log_weight: Tensor) -> Evidence:
    r"""The importance-weighted estimate of log p(x) with its standard error.

    .. math:: \log \bar w, \quad
        \mathrm{se}(\log \bar w) \approx \frac{s_w}{\bar w \sqrt K}, \quad
        \frac{(\sum_k w_k)^2}{\sum_k w_k^2}

    The error is the delta method's: that of the mean weight over the mean weight, with s_w the
    standard deviation of the K weights. It means little where a few draws carry the mean: look at
    the effective sample size beside it.

    Args:
        log_weight: log p(x, z) - log q(z|x) at K draws z ~ q(z|x), (K, B) nats.

    Returns:
        Value, standard error (nan for K = 1) and effective sample size, each (B,).

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, eq. 8 (the estimate).
    """
    top = log_weight.max(0).values
    # A datum that no draw explains has log p(x) = -inf, and no error.
    weight = (log_weight - top.masked_fill(top == -math.inf, 0.0)).exp()
    mean, error = mean_over_draws(weight)
    value = log_mean(log_weight)
    return Evidence(value, error / mean, weight.sum(0).square() / weight.square().sum(0))


def mean_over_draws(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of K independent draws, (K, B), and its standard error (nan for K = 1), each (B,)."""
    mean = draws.mean(0)
    if len(draws) == 1:
        return mean, torch.full_like(mean, math.nan)
    return mean, draws.std(0) / math.sqrt(len(draws))
