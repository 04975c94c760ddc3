"""Bounds that are a function of the K log-weights of each datum."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ppvae.dependencies import dependencies
from ppvae.estimators.base import per_datum, weights_of_draws
from ppvae.estimators.gradient import BoundOfWeights, Gradient, Reparameterized
from ppvae.terms import LogTerms

__all__ = ["OfWeights"]


class OfWeights(BoundOfWeights):
    r"""A bound F(log w_1, ..., log w_K) per datum, w_k = p(x, z_k) / q(z_k|x).

    One's own gives ``bound_kind`` and ``of_weights``. How its gradient is estimated is a part of
    its own, so that each of them serves each bound.

    Labels that are enumerated stand inside the weight, and then q(y|x) has no gradient, since the
    sum over y does not depend on it; or, with ``expected``, outside of the bound:

    .. math:: \sum_y q(y|x) [F(\log w_1(y), \dots) - \log q(y|x)]

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        gradient: how the gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: num_particles is below 1, or the gradient part does not serve this bound.
        TypeError: gradient is no Gradient.
    """

    def __init__(
        self, num_particles: int = 1, *, gradient: Gradient | None = None, expected: bool = False
    ) -> None:
        super().__init__(num_particles)
        if gradient is not None and not isinstance(gradient, Gradient):
            raise TypeError(f"gradient must be a Gradient; got {type(gradient).__name__}.")
        self.gradient = Reparameterized() if gradient is None else gradient
        self.expected = expected
        self.gradient.accept(self)

    @abstractmethod
    def of_weights(self, log_weight: Tensor) -> Tensor:
        """The bound from log-weights in nats: (..., K, B) to (..., B)."""

    def bound(self, terms: LogTerms) -> Tensor:
        """The bound in nats, (B,)."""
        return self.summed(terms, self.of_weights(self.weights(terms)))

    def surrogate(self, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,), as the gradient part has it."""
        return self.gradient.surrogate(self, terms)

    def observe(self, terms: LogTerms) -> None:
        """Let schedules and the gradient part go on by one training step."""
        super().observe(terms)
        self.gradient.observe(self, terms)

    def weights(self, terms: LogTerms) -> Tensor:
        """The log-weights that the bound is a function of, (K, B), or (C, ..., K, B) by label.

        Raises:
            ValueError: what :func:`weights_of_draws` refuses; or, with ``expected``, a latent site
                outside of the data plate, or a q(y|x) that depends on a draw.
        """
        if not (self.expected and terms.enumerated):
            return weights_of_draws(self, terms)
        if terms.has_global:
            raise ValueError(
                f"{type(self).__name__}(expected=True) must have all latent sites in the data "
                "plate; got one outside of it."
            )
        refuse_labels_of_draws(self, terms)
        return terms.possible(terms.log_weight)

    def summed(self, terms: LogTerms, values: Tensor) -> Tensor:
        """A function of the weights of each datum, (C, ..., B), summed over labels, (B,)."""
        if not (self.expected and terms.enumerated):
            return per_datum(values, terms)
        # The labels do not depend on the draws: each of the K has the same sum.
        return terms.expected(values.unsqueeze(-2)).mean(0)

    def slopes(self, log_weight: Tensor) -> Tensor:
        """Each dF / d log w_k at given log-weights, (..., K, B), without a gradient of its own."""
        with torch.enable_grad():
            log_weight = log_weight.detach().requires_grad_()
            return torch.autograd.grad(self.of_weights(log_weight).sum(), log_weight)[0]

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Each d^2F / d(log w_k)^2 at given log-weights, (..., K, B), without a gradient."""
        with torch.enable_grad():
            log_weight = log_weight.detach().requires_grad_()
            total = self.of_weights(log_weight).sum()
            (slopes,) = torch.autograd.grad(total, log_weight, create_graph=True)
            if not slopes.requires_grad:
                return torch.zeros_like(slopes)
            each = [
                torch.autograd.grad(slope.sum(), log_weight, retain_graph=True)[0].unbind(-2)[k]
                for k, slope in enumerate(slopes.unbind(-2))
            ]
        return torch.stack(each, -2)

    def biased_for(self) -> str | None:
        """What its mean gradient is that of, in words, if not of its bound; None if it is."""
        return self.gradient.biased_for(self)

    @property
    def follows_its_bound(self) -> bool:
        """Whether the gradient is that of the reported number itself."""
        own = type(self).surrogate is not OfWeights.surrogate
        return not own and isinstance(self.gradient, Reparameterized)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"num_particles={self.num_particles}" + (", expected=True" if self.expected else "")

    def __repr__(self) -> str:
        # In one line, as a run's settings and tables name it.
        chosen = "" if isinstance(self.gradient, Reparameterized) else f", gradient={self.gradient}"
        return f"{type(self).__name__}({self.extra_repr()}{chosen})"


def refuse_labels_of_draws(estimator: OfWeights, terms: LogTerms) -> None:
    """Refuse labels whose probabilities differ from draw to draw: no sum over them is the bound's.

    Raises:
        ValueError: the guide's q(y|x) of an enumerated site depends on a drawn one.
    """
    labels = [name for name in terms.enumerated if name in terms.posterior]
    for name in labels:
        drawn = sorted(dependencies(terms).guide[name] - {*labels})
        if drawn:
            raise ValueError(
                f"{type(estimator).__name__}(expected=True) must have labels that do not depend on "
                f"a drawn site; got {name!r}, which depends on {drawn[0]!r}."
            )
