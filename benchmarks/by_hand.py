"""The losses of the workloads in plain torch, as one writes them without a library.

Each is a module whose ``forward(x)`` draws its noise and returns minus the bound, summed over the
batch, in nats. Their networks are plain ``nn.Sequential``s.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["IWAEByHand", "M2ByHand", "VAEByHand"]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_bernoulli(x: Tensor, logits: Tensor) -> Tensor:
    """Log p(x) of pixels, (..., B, P), summed over pixels."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def log_normal(z: Tensor, loc: Tensor, log_scale: Tensor) -> Tensor:
    """Log N(z; loc, scale^2), summed over coordinates."""
    standard = (z - loc) / log_scale.exp()
    return (-0.5 * standard.square() - log_scale - HALF_LOG_2PI).sum(-1)


def log_standard_normal(z: Tensor) -> Tensor:
    """Log N(z; 0, I)."""
    return (-0.5 * z.square() - HALF_LOG_2PI).sum(-1)


class VAEByHand(nn.Module):
    """Minus the ELBO of a VAE, with one draw.

    Args:
        encoder: from x, (B, P), to loc and log scale side by side, (B, 2 D).
        decoder: from z, (..., D), to logits, (..., P).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        """The loss of rows x, (B, P)."""
        loc, log_scale = self.encoder(x).chunk(2, dim=-1)
        z = loc + log_scale.exp() * torch.randn_like(loc)
        log_joint = log_bernoulli(x, self.decoder(z)) + log_standard_normal(z)
        return (log_normal(z, loc, log_scale) - log_joint).sum()


class IWAEByHand(nn.Module):
    """Minus the importance-weighted bound of a VAE.

    Args:
        encoder: from x, (B, P), to loc and log scale side by side, (B, 2 D).
        decoder: from z, (..., D), to logits, (..., P).
        num_particles: K.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, num_particles: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.num_particles = num_particles

    def forward(self, x: Tensor) -> Tensor:
        """The loss of rows x, (B, P)."""
        loc, log_scale = self.encoder(x).chunk(2, dim=-1)
        noise = torch.randn(self.num_particles, *loc.shape, dtype=loc.dtype, device=loc.device)
        z = loc + log_scale.exp() * noise
        logits = self.decoder(z)
        log_joint = log_bernoulli(x.expand_as(logits), logits) + log_standard_normal(z)
        log_weight = log_joint - log_normal(z, loc, log_scale)
        return -(log_weight.logsumexp(0) - math.log(self.num_particles)).sum()


class M2ByHand(nn.Module):
    """Minus the ELBO of M2 on unlabelled rows: x is repeated for each label, the labels summed out.

    Args:
        classifier: from x, (B, P), to logits of the labels, (B, C).
        encoder: from [x, y] to loc and log scale side by side, (..., 2 D).
        decoder: from [z, y] to logits, (..., P).
        classes: C.
    """

    labels: Tensor

    def __init__(
        self, classifier: nn.Module, encoder: nn.Module, decoder: nn.Module, classes: int
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("labels", torch.eye(classes).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """The loss of rows x, (B, P)."""
        classes = len(self.labels)
        log_q = self.classifier(x).log_softmax(-1).T
        y = self.labels.expand(-1, len(x), -1)
        repeated = x.expand(classes, -1, -1)
        loc, log_scale = self.encoder(torch.cat([repeated, y], -1)).chunk(2, dim=-1)
        z = loc + log_scale.exp() * torch.randn_like(loc)
        logits = self.decoder(torch.cat([z, y], -1))
        log_joint = log_bernoulli(repeated, logits) + log_standard_normal(z) - math.log(classes)
        bound = log_joint - log_normal(z, loc, log_scale)
        return -(log_q.exp() * (bound - log_q)).sum()
