"""A codebook that follows the vectors it stands for.

With n_k how many of a batch's N vectors are nearest to code k, of K, and m_k their sum, each
training step does

    U_k <- g U_k + (1 - g) n_k K / N,    S_k <- g S_k + (1 - g) m_k K / N,    e_k = S_k / U_k

which is k-means by moving averages, and like k-means ends in one of several optima. U_k is 1 where
all codes are used alike. One that is used too little begins anew at a vector of the batch; all do
so in the first step.

Source: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937, appendix A.1.
"""

import torch
from torch import Tensor, nn

__all__ = ["Codebook", "perplexity"]

# Multiples of it, without their whole part, lie evenly in [0, 1), however many there are.
_GOLDEN = 0.6180339887498949


class Codebook(nn.Module):
    """K vectors e_k of width D; quantises others to the nearest of them.

    It moves where it quantises in training mode, as batch normalisation does: nothing of it is a
    parameter. A model's prior over codes and the guide share one.

    Args:
        size: K, at least 2.
        code_dim: D, at least 1.
        decay: g, in [0, 1).
        restart_below: the share of an even use of all codes below which one begins anew, at
            least 0; 0 where no code does after the first step.

    Raises:
        ValueError: an argument breaks these rules.
    """

    codes: Tensor
    uses: Tensor
    sums: Tensor
    steps: Tensor

    def __init__(
        self, size: int, code_dim: int, decay: float = 0.95, restart_below: float = 0.1
    ) -> None:
        super().__init__()
        if size < 2:
            raise ValueError(f"size of a codebook must be at least 2; got {size}.")
        if code_dim < 1:
            raise ValueError(f"code_dim must be at least 1; got {code_dim}.")
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1); got {decay}.")
        if not 0 <= restart_below < 1:
            raise ValueError(f"restart_below must be in [0, 1); got {restart_below}.")
        self.decay = float(decay)
        self.restart_below = float(restart_below)
        self.held = False
        self.register_buffer("codes", torch.randn(size, code_dim))
        self.register_buffer("uses", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, code_dim))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, vectors: Tensor) -> Tensor:
        """Quantise vectors, (..., D): the nearest codes, with the gradient passed straight on.

        The Jacobian is the identity; codes have no gradient.

        Raises:
            ValueError: the vectors are not D wide.
        """
        if vectors.shape[-1:] != self.codes.shape[-1:]:
            raise ValueError(
                f"vectors must be as wide as the codes, {self.codes.shape[-1]}; "
                f"got shape {tuple(vectors.shape)}."
            )
        if self.training:
            with torch.no_grad(), _in_full(vectors):
                self._follow(vectors.to(self.codes.dtype).flatten(0, -2))
        # What is added is exactly zero, so that the value is exactly a code.
        return self.at(self.nearest(vectors)) + (vectors - vectors.detach())

    def nearest(self, vectors: Tensor) -> Tensor:
        """Which code is nearest to each vector, (..., D): whole numbers below K, (...)."""
        with torch.no_grad(), _in_full(vectors):
            flat = vectors.to(self.codes.dtype).reshape(-1, self.codes.shape[1])
            apart = torch.addmm(self.codes.square().sum(-1), flat, self.codes.T, alpha=-2)
            return apart.argmin(-1).reshape(vectors.shape[:-1])

    def hold(self) -> "Codebook":
        """Stay as it is from now on, in training too."""
        self.held = True
        return self.eval()

    def train(self, mode: bool = True) -> "Codebook":
        """Switch to training or evaluation; one that is held stays in evaluation."""
        return super().train(mode and not self.held)

    @property
    def size(self) -> int:
        """K."""
        return len(self.codes)

    def at(self, index: Tensor) -> Tensor:
        """The codes of whole numbers below K, (...): (..., D)."""
        chosen = self.codes.index_select(0, index.flatten())
        return chosen.unflatten(0, index.shape)

    def begin_at(self, codes: Tensor) -> None:
        """Begin at given codes, (K, D), such as those of k-means, as if they were used alike.

        Raises:
            ValueError: the codes have another shape.
        """
        if codes.shape != self.codes.shape:
            raise ValueError(
                f"codes must be {tuple(self.codes.shape)}; got shape {tuple(codes.shape)}."
            )
        self.codes.copy_(codes)
        self.sums.copy_(codes)
        self.uses.fill_(1.0)
        self.steps.fill_(1)

    def _follow(self, vectors: Tensor) -> None:
        """Move by one batch of vectors, (N, D)."""
        size, each = self.size, self.size / len(vectors)
        # In the first step all begin at vectors, unless they were begun elsewhere.
        dead = (self.steps == 0) | (self.uses < self.restart_below)
        # Spread over the batch, elsewhere in each step, without noise that a graph would not have.
        number = torch.arange(size, device=vectors.device) + size * self.steps
        place = (number.double() * _GOLDEN).remainder(1).mul(len(vectors)).long()
        fresh = vectors.index_select(0, place)
        self.steps.add_(1)
        self.uses.masked_fill_(dead, 1.0)
        for kept in (self.codes, self.sums):
            kept.copy_(torch.where(dead.unsqueeze(-1), fresh, kept))
        tiny = torch.finfo(self.uses.dtype).tiny
        # A product with zeros and ones: sums by index come in another order each time on a GPU.
        code = torch.arange(size, device=vectors.device).unsqueeze(-1)
        chosen = (self.nearest(vectors) == code).to(vectors.dtype)
        self.uses.copy_(torch.lerp(chosen.sum(1) * each, self.uses, self.decay))
        self.sums.copy_(torch.lerp(chosen @ vectors * each, self.sums, self.decay))
        self.codes.copy_(self.sums / self.uses.clamp(min=tiny).unsqueeze(-1))


def _in_full(vectors: Tensor) -> torch.autocast:
    """Products at the precision of the codes: which code is nearest hangs on small differences."""
    return torch.autocast(vectors.device.type, enabled=False)


def perplexity(index: Tensor, size: int) -> Tensor:
    """exp(entropy) of how often each of K codes is used, (): K if all are used alike, 1 if one is.

    Args:
        index: whole numbers below K, of any shape.
        size: K.
    """
    share = torch.bincount(index.flatten(), minlength=size).double() / index.numel()
    return torch.special.entr(share).sum().exp()
