"""The objective of semi-supervised learning: bounds of two kinds of rows, and a classifier."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ppvae.estimators.base import Estimator
from ppvae.estimators.elbo import ELBO
from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms

__all__ = ["SemiSupervised"]

_FIGURES = ("labelled_bound", "unlabelled_bound", "cross_entropy")


class SemiSupervised(Estimator):
    r"""A bound on rows with and without a label, and the labels' cross-entropy under q(y|x).

    .. math:: J = \sum_{\text{labelled}} L(x, y) + \beta \sum_{\text{others}} U(x)
        + \alpha \sum_{\text{labelled}} \log q(y|x)

    L is the bound on log p(x, y) and U that on log p(x): what the bound is in a row that has a
    label, and in one that has not, is the guide's (:class:`ppvae.distributions.PartlyObserved`). J
    is followed; the bound, without weights and without the classifier's term, is reported. In L
    the label's q(y|x) is a point, so that without the last term no label would teach q(y|x); with
    beta = 0 labels alone teach it. A pair without labels has U alone.

    alpha weighs each labelled row of a batch. In the paper it is 0.1 N times the mean over N_l
    labelled rows in an objective that sums over all N rows: alpha = 0.1 N / N_l here, if batches
    hold labelled rows as often as the data do. If they are drawn more often, L and alpha weigh as
    much more as they are.

    Args:
        alpha: weight of the cross-entropy, at least 0.
        beta: weight of rows without a label, at least 0.
        of: the bound; the ELBO of one draw unless given. A K-sample bound that has the labels
            inside of its weight gives q(y|x) no gradient from rows without a label: it needs
            ``expected=True``.

    Raises:
        ValueError: alpha or beta is negative or not finite.
        TypeError: of is no Estimator.

    Source: Kingma et al. (2014), arXiv:1406.5298, eqs. 6 to 9, and their code, dpkingma/nips14-ssl,
    on the size of alpha.
    """

    labelled_bound: Tensor
    unlabelled_bound: Tensor
    cross_entropy: Tensor

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, *, of: Estimator | None = None
    ) -> None:
        of = ELBO() if of is None else of
        if not isinstance(of, Estimator):
            raise TypeError(f"of must be a ppvae Estimator; got {type(of).__name__}.")
        super().__init__(of.num_particles)
        for name, weight in {"alpha": alpha, "beta": beta}.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite; got {weight}.")
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.of = of
        self.bound_kind = of.bound_kind
        for name in _FIGURES:
            self.register_buffer(name, torch.tensor(math.nan, dtype=torch.float64))

    def bound(self, terms: LogTerms) -> Tensor:
        """The bound on log p(x, y) of labelled rows and on log p(x) of the others, (B,) nats."""
        return self.of.bound(terms)

    def surrogate(self, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,): J, with the gradient of the bound that it has."""
        followed = self.of.surrogate(terms)
        labelled = _labelled(terms, followed)
        weight = labelled + self.beta * (1.0 - labelled)
        return weight * followed + self.alpha * _log_label(terms, followed)

    def observe(self, terms: LogTerms) -> None:
        """Note each term of a training step, and let the bound learn from it."""
        bound = self.of.bound(terms)
        labelled = _labelled(terms, bound)
        self._note("labelled_bound", bound, labelled)
        self._note("unlabelled_bound", bound, 1.0 - labelled)
        self._note("cross_entropy", -_log_label(terms, bound), labelled)
        self.of.observe(terms)

    def begin(self, steps: int) -> None:
        """Let the bound take in how many steps the run has."""
        self.of.begin(steps)

    def prepare(self, pair: Pair, batch: Batch, num_rows: int) -> None:
        """Let the bound make room."""
        self.of.prepare(pair, batch, num_rows)

    def figures(self) -> dict[str, Tensor]:
        """Each term of J in nats per datum, (), of the last batch that had such a row."""
        return {name: getattr(self, name) for name in _FIGURES}

    def target(self, role: str) -> str:
        """That of the bound, where nothing is weighed."""
        return self.of.target(role) if self._is_bound else super().target(role)

    def biased_for(self) -> str | None:
        """What is followed instead of the bound."""
        return self.of.biased_for() if self._is_bound else "that of its objective"

    @property
    def _is_bound(self) -> bool:
        return self.alpha == 0 and self.beta == 1

    def _note(self, name: str, values: Tensor, rows: Tensor) -> None:
        """The mean of values, (B,), over some rows; without one, it stays what it was."""
        held: Tensor = getattr(self, name)
        mean = (values * rows).sum() / rows.sum().clamp(min=1.0)
        held.copy_(torch.where(rows.sum() > 0, mean.to(held.dtype), held))

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"alpha={self.alpha}, beta={self.beta}, of={self.of}"

    def __repr__(self) -> str:
        # In one line, as a run's settings and tables name it.
        return f"{type(self).__name__}({self.extra_repr()})"


def _labelled(terms: LogTerms, like: Tensor) -> Tensor:
    """1 in rows that have a label, else 0, (B,)."""
    rows = like.new_zeros(terms.batch_size)
    for labelled in terms.labelled.values():
        rows = torch.maximum(rows, _by_row(labelled.to(like.dtype), terms))
    return rows


def _log_label(terms: LogTerms, like: Tensor) -> Tensor:
    """Log q(y|x) of the labels, 0 in rows without one, (B,) nats."""
    return like.new_zeros(terms.batch_size) + sum(
        _by_row(term, terms) for term in terms.log_label.values()
    )


def _by_row(values: Tensor, terms: LogTerms) -> Tensor:
    """The mean over draws, (B,): they are equal, unless q(y|x) depends on one."""
    return values.flatten(0, -2).mean(0).expand(terms.batch_size)
