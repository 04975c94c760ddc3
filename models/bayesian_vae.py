"""The variational autoencoder with a prior over the weights of its decoder.

    W ~ N(0, s^2)                 each weight and bias of the decoder, one draw for all data
    z ~ p(z)                      code, (B, D); the prior
    x | z, W ~ p(x | f(z; W))     data, (B, P); the likelihood, its parameters from the decoder f

Of N rows the B in a batch count N / B times each, beside log p(W), which counts once.

Source: Kingma & Welling (2014), arXiv:1312.6114, its appendix on full VB.
"""

import copy
import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.func import functional_call

from ppvae.distributions import refuse_misfit, refuse_other_than_rows

__all__ = ["BayesianVAE"]


class BayesianVAE(PyroModule):
    """p(W) p(z) p(x|z, W) for data in rows; each weight W of the decoder is a latent site.

    Site ``decoder_layers_0_weight`` is the decoder's parameter ``layers.0.weight``.

    Args:
        decoder: f, from codes (B, D) to the likelihood's parameters, (B, P); a copy of it is kept
            for its form alone, its weights are drawn. Dropout in it is off.
        prior: returns p(z), with event shape (D,); a module if it learns.
        likelihood: returns p(x|z, W), with event shape (P,), from the decoder's output.
        num_rows: N, how many rows the data have of which x is a batch; at least 1.
        prior_scale: s, positive.

    Raises:
        ValueError: an argument breaks these rules, the decoder has no parameters or keeps running
            statistics, x is not (B, P), or the decoder does not give P-wide data.
    """

    def __init__(
        self,
        decoder: nn.Module,
        prior: Callable[[], TorchDistribution],
        likelihood: Callable[[Tensor], TorchDistribution],
        num_rows: int,
        prior_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if num_rows < 1:
            raise ValueError(f"num_rows must be at least 1; got {num_rows}.")
        if not 0 < prior_scale < math.inf:
            raise ValueError(f"prior_scale must be positive and finite; got {prior_scale}.")
        if not any(True for _ in decoder.parameters()) or any(True for _ in decoder.buffers()):
            raise ValueError(
                "decoder must have parameters and no running statistics; "
                f"got {type(decoder).__name__}."
            )
        # In a tuple, since its own weights are no parameters of this model.
        self._form = (copy.deepcopy(decoder).eval().requires_grad_(False),)
        self._names = {f"decoder_{n.replace('.', '_')}": n for n, _ in decoder.named_parameters()}
        self.prior = prior
        self.likelihood = likelihood
        self.num_rows = num_rows
        self.prior_scale = float(prior_scale)

    @property
    def initial_weights(self) -> dict[str, Tensor]:
        """The weights that the decoder came with, by site: where a guide may begin."""
        own = dict(self._form[0].named_parameters())
        return {site: own[name].detach().clone() for site, name in self._names.items()}

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, P); return the parameters of p(x|z, W), (..., B, P)."""
        refuse_other_than_rows(x)
        weights = {}
        for site, name in self._names.items():
            shape = self._form[0].get_parameter(name).shape
            prior = dist.Normal(x.new_zeros(shape), self.prior_scale)
            weights[name] = pyro.sample(site, prior.to_event(len(shape)))
        rows = torch.arange(len(x), device=x.device)
        with pyro.plate("data", self.num_rows, subsample=rows, dim=-1):
            z = pyro.sample("z", self.prior())
            params = self._decoded(z, weights)
            likelihood = self.likelihood(params)
            refuse_misfit(likelihood, x)
            pyro.sample("x", likelihood, obs=x)
        return params

    def _decoded(self, z: Tensor, weights: dict[str, Tensor]) -> Tensor:
        """The decoder of each draw of the weights at the codes that were drawn with it."""
        form = self._form[0]
        shapes = {name: form.get_parameter(name).shape for name in weights}
        several = next(w.dim() > len(shapes[n]) for n, w in weights.items())
        if not several:
            return functional_call(form, weights, (z,))
        # (K, 1, ...), the second dimension in the place of the rows: K decoders, one by one.
        each = [
            {n: w.reshape(-1, *shapes[n])[k] for n, w in weights.items()}
            for k in range(next(iter(weights.values())).shape[0])
        ]
        codes = z.expand(len(each), *z.shape[-2:])
        return torch.stack(
            [functional_call(form, w, (c,)) for w, c in zip(each, codes, strict=True)]
        )
