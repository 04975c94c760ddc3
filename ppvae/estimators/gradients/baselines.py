"""What is subtracted from a learning signal so that its score has less noise."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ppvae.estimators.gradient import BoundOfWeights
from ppvae.terms import LogTerms

__all__ = ["Baseline", "LeaveOneOut", "MovingAverage", "NeuralBaseline"]


class Baseline(nn.Module):
    """A guess at a draw's learning signal that does not look at the draw.

    Since the score has expectation zero, any such guess leaves the gradient's expectation as it is.
    One's own gives ``forward``, and ``observe`` where it learns from what it sees. A guess
    with a gradient is trained, by squared error, along with the pair.
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse, when an estimator is made, the one whose signals this cannot guess.

        Raises:
            ValueError: it cannot.
        """

    @abstractmethod
    def forward(self, signal: Tensor, terms: LogTerms) -> Tensor:
        """The guess in nats, which broadcasts against the signal, (..., K, B)."""

    def observe(self, signal: Tensor) -> None:
        """Learn from the signal of a training step, (..., K, B), without gradients."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class MovingAverage(Baseline):
    r"""Average of the signals of earlier training steps, over draws and rows.

    .. math:: b_t = \frac{a_t}{1 - d^t}, \quad a_t = d \, a_{t-1} + (1 - d) \bar s_t

    Before the first step it is zero. A baseline that serves several sites averages them all: give
    each one of its own where their signals differ much.

    Args:
        decay: d, in [0, 1); 0.9 remembers about ten steps, as Pyro has it.

    Raises:
        ValueError: decay is outside of [0, 1).
    """

    average: Tensor
    remaining: Tensor

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1; got {decay}.")
        self.decay = float(decay)
        self.register_buffer("average", torch.zeros((), dtype=torch.float64))
        self.register_buffer("remaining", torch.ones((), dtype=torch.float64))

    def forward(self, signal: Tensor, terms: LogTerms) -> Tensor:
        """The average so far, ()."""
        seen = 1.0 - self.remaining
        return torch.where(seen > 0, self.average / seen, 0.0).to(signal.dtype)

    def observe(self, signal: Tensor) -> None:
        """Take in the signals of a training step."""
        self.average += (1.0 - self.decay) * (signal.mean() - self.average)
        self.remaining *= self.decay

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"decay={self.decay:g}"


class NeuralBaseline(Baseline):
    """A network's guess from x, trained by squared error within the same loss.

    Its parameters are the estimator's, which ``ppvae.SVI`` gives to the optimizer with the pair's.

    Args:
        network: from x, (B, ...), to a number in nats for each row, (B,).

    Raises:
        ValueError: in training, the network gives another shape, or the site lies outside of the
            data plate.

    Source: Mnih & Gregor (2014), arXiv:1402.0030, on input-dependent baselines.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, signal: Tensor, terms: LogTerms) -> Tensor:
        """The network's guess, (B,)."""
        if signal.shape[-1] != terms.batch_size:
            raise ValueError(
                "NeuralBaseline must serve a site in the data plate, whose signal has rows; "
                "got one signal for all rows."
            )
        args, fields = terms.batch
        guess: Tensor = self.network(args[0] if args else fields["x"])
        if guess.shape != (terms.batch_size,):
            raise ValueError(
                f"network must give one number per row, ({terms.batch_size},); "
                f"got shape {tuple(guess.shape)}."
            )
        return guess

    def extra_repr(self) -> str:
        """The kind of network."""
        return type(self.network).__name__


class LeaveOneOut(Baseline):
    r"""For each draw the mean signal of the K - 1 others, which is independent of it.

    .. math:: b_k = \frac{1}{K - 1} \sum_{j \ne k} s_j

    It is for bounds with a signal per draw, as the ELBO has; a K-sample bound is one signal of
    all draws, and what leaves one out of that is :class:`VIMCO`.

    Raises:
        ValueError: num_particles is 1, or the bound has one signal for all draws.

    Source: Kool, van Hoof & Welling (2019), "Buy 4 REINFORCE samples, get a baseline for free!".
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse one draw, and a bound with one signal for all of them."""
        if estimator.num_particles < 2:
            raise ValueError(
                f"num_particles must be at least 2 for LeaveOneOut; got {estimator.num_particles}."
            )
        if not estimator.averages:
            raise ValueError(
                "LeaveOneOut must have a signal per draw, as the ELBO has; got "
                f"{type(estimator).__name__}, which VIMCO serves."
            )

    def forward(self, signal: Tensor, terms: LogTerms) -> Tensor:
        """The mean of the other draws' signals, (..., K, B)."""
        return (signal.sum(-2, keepdim=True) - signal) / (signal.shape[-2] - 1)
