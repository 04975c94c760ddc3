"""The semi-supervised model M2 as a Pyro pair, with its labels summed out.

    y ~ Categorical(1/C, ..., 1/C)               label, (B, C), one-hot
    z ~ N(0, I)                                  code, (B, D)
    x | y, z ~ Bernoulli(sigmoid(f(z, y)))       data, (B, P)

    q(y|x) = Categorical(g(x)),    q(z|x, y) = N(loc, diag(scale^2)),  (loc, log scale) = h(x, y)

A network of two inputs is either a layer of several inputs, :class:`ppvae.networks.MLP`, or
:class:`Concatenated`, as one writes it without that.

Source: Kingma et al. (2014), arXiv:1406.5298, eqs. 2, 4 and 7.
"""

from itertools import pairwise

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["M2", "Concatenated", "M2Guide"]


class Concatenated(nn.Module):
    """A perceptron of [x, y], side by side: x is repeated for each label that is summed out.

    Args:
        in_features: widths of the two inputs.
        hidden: widths of the hidden layers.
        out_features: width of the output.
    """

    def __init__(
        self, in_features: tuple[int, int], hidden: tuple[int, ...], out_features: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([sum(in_features), *hidden, out_features]):
            layers += [nn.Linear(before, after), nn.Tanh()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Map x, (..., P), and y, (..., C), to (..., out_features)."""
        leading = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
        both = [each.expand(*leading, each.shape[-1]) for each in (x, y)]
        out: Tensor = self.layers(torch.cat(both, -1))
        return out


class M2(PyroModule):
    """p(y) p(z) p(x|y, z) for binary x.

    Args:
        decoder: f, from codes and labels to logits, (..., B, P).
        classes: C.
        latent_dim: D.
    """

    def __init__(self, decoder: nn.Module, classes: int, latent_dim: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.classes = classes
        self.latent_dim = latent_dim

    def forward(self, x: Tensor) -> None:
        """Score data x, (B, P)."""
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", dist.OneHotCategorical(logits=x.new_zeros(self.classes)))
            z = pyro.sample("z", dist.Normal(x.new_zeros(self.latent_dim), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z, y)).to_event(1), obs=x)


class M2Guide(PyroModule):
    """q(y|x) q(z|x, y).

    Args:
        classifier: g, from data to logits, (B, C).
        encoder: h, from data and labels to loc and log scale side by side, (..., B, 2 D).
    """

    def __init__(self, classifier: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier
        self.encoder = encoder

    def forward(self, x: Tensor) -> None:
        """Draw labels and codes for data x, (B, P)."""
        with pyro.plate("data", len(x), dim=-1):
            label = dist.OneHotCategorical(logits=self.classifier(x))
            y = pyro.sample("y", label, infer={"enumerate": "parallel"})
            loc, log_scale = self.encoder(x, y).chunk(2, dim=-1)
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))
