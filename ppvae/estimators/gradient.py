"""How the gradient of a bound is estimated: a part that is chosen apart from the bound."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from ppvae.estimators.base import Estimator, refuse_scored
from ppvae.terms import LogTerms

__all__ = ["BoundOfWeights", "Gradient", "Reparameterized"]


class BoundOfWeights(Estimator):
    """What a gradient estimator can ask of a bound: see :class:`ppvae.estimators.OfWeights`.

    Attributes:
        averages: whether the bound is a mean over the draws, as the ELBO is; it then gives
            ``addends``.
    """

    expected: bool
    averages: bool = False

    @abstractmethod
    def of_weights(self, log_weight: Tensor) -> Tensor:
        """The bound from log-weights in nats: (..., K, B) to (..., B)."""

    @abstractmethod
    def weights(self, terms: LogTerms) -> Tensor:
        """The log-weights that the bound is a function of, (C, ..., K, B)."""

    @abstractmethod
    def summed(self, terms: LogTerms, values: Tensor) -> Tensor:
        """A function of the weights of each datum, (C, ..., B), summed over labels, (B,)."""

    @abstractmethod
    def slopes(self, log_weight: Tensor) -> Tensor:
        """Each dF / d log w_k at given log-weights, (..., K, B), without a gradient of its own."""

    @abstractmethod
    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Each d^2F / d(log w_k)^2 at given log-weights, (..., K, B), without a gradient."""

    def addends(self, terms: LogTerms) -> dict[tuple[str, str], Tensor]:
        """What a bound that averages is the mean of, by kind and site, (C, ..., K, B) nats each.

        Kinds are "likelihood", "prior", "posterior" (with a minus), "kl" (with a minus) and
        "joint", of all sites of the model together.
        """
        raise NotImplementedError


class Gradient(nn.Module):
    """A gradient estimator for any bound that is a function of the log-weights.

    One's own gives ``surrogate``, and ``observe`` where it learns from what it sees, a baseline
    for one; ``accept`` where it cannot serve every bound, ``biased_for`` where its expectation is
    not always the gradient of the expected bound.
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse, when an estimator is made, the one whose gradient this cannot give.

        Raises:
            ValueError: it cannot.
        """

    def biased_for(self, estimator: BoundOfWeights) -> str | None:
        """What it estimates instead of the gradient of the expected bound; None if that is it."""
        return None

    @abstractmethod
    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,); its value does not matter."""

    def observe(self, estimator: BoundOfWeights, terms: LogTerms) -> None:
        """Learn from a training step, without gradients."""

    def __repr__(self) -> str:
        # In one line, as a run's settings and tables name it.
        return f"{type(self).__name__}({self.extra_repr()})"


class Reparameterized(Gradient):
    r"""The gradient through reparameterized draws, of the bound as it is written.

    .. math:: \nabla F(\log w_1, \dots, \log w_K), \quad z_k = g(x, \epsilon_k)

    A site that is neither reparameterized nor enumerated is refused, as its gradient would be
    left out.

    Source: Kingma & Welling (2014), arXiv:1312.6114, section 2.3.
    """

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """The bound itself, (B,)."""
        refuse_scored(estimator, terms)
        return estimator.bound(terms)
