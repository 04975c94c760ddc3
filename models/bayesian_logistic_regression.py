"""Logistic regression with a prior over its weights.

    w ~ N(0, s^2 I)                              slopes and intercept, (F + 1,), one for all data
    y | x, w ~ Bernoulli(sigmoid(w' [f(x), 1]))  labels in {0, 1}, (B,)

Of N rows the B in a batch count N / B times each, so that their sum stands for that over all data
beside log p(w), which counts once.

Source: Bishop (2006), Pattern recognition and machine learning, section 4.5; Hoffman et al. (2013),
Stochastic variational inference, on the factor N / B.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["BayesianLogisticRegression"]


class BayesianLogisticRegression(PyroModule):
    """p(w) p(y|x, w), whose one latent site lies outside of the data plate.

    Args:
        num_features: F, at least 1.
        num_rows: N, how many rows the data have of which x is a batch; at least 1.
        prior_scale: s, positive; the intercept, the last weight, has the same.
        features: f, from x (B, P) to (B, F); x itself unless given.

    Raises:
        ValueError: an argument breaks these rules, the features are not (B, F), or y is not (B,).
    """

    def __init__(
        self,
        num_features: int,
        num_rows: int,
        prior_scale: float = 1.0,
        features: nn.Module | None = None,
    ) -> None:
        super().__init__()
        for name, count in {"num_features": num_features, "num_rows": num_rows}.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1; got {count}.")
        if not 0 < prior_scale < math.inf:
            raise ValueError(f"prior_scale must be positive and finite; got {prior_scale}.")
        self.num_features = num_features
        self.num_rows = num_rows
        self.prior_scale = float(prior_scale)
        self.features = nn.Identity() if features is None else features

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Score labels y, (B,), of data x, (B, P), or draw them; return their logits, (..., B)."""
        features = self._featured(x, y)
        prior = dist.Normal(features.new_zeros(self.num_features + 1), self.prior_scale)
        w = pyro.sample("w", prior.to_event(1))
        # A draw of w is one for all rows: (F + 1,), or (K, 1, F + 1), against (B, F).
        logits = (features * w[..., :-1]).sum(-1) + w[..., -1]
        rows = torch.arange(len(x), device=x.device)
        labels = None if y is None else y.to(features.dtype)
        with pyro.plate("data", self.num_rows, subsample=rows, dim=-1):
            pyro.sample("y", dist.Bernoulli(logits=logits), obs=labels)
        return logits

    def _featured(self, x: Tensor, y: Tensor | None) -> Tensor:
        features: Tensor = self.features(x)
        if features.shape != (len(x), self.num_features):
            raise ValueError(
                f"features must be (B, {self.num_features}), B = {len(x)}; "
                f"got shape {tuple(features.shape)}."
            )
        # A column of labels would broadcast against the logits and pass for B x B of them.
        if y is not None and y.shape != x.shape[:1]:
            raise ValueError(
                f"y must hold one label a row, ({len(x)},); got shape {tuple(y.shape)}."
            )
        return features
