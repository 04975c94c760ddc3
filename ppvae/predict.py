"""Which label a row has: by the guide's q(y|x), and by Bayes' rule from the model's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import Tensor

from ppvae.pair import Batch, Pair, as_batch
from ppvae.passes import as_pair, at_rest, select_rows, size_of
from ppvae.terms import LogTerms
from ppvae.tracing import rehearse, trace_pair

__all__ = ["Calibration", "LabelProbabilities", "Prediction", "predict"]

# Labels times draws times rows of one pass: it decides the draws, and nothing of the machine does.
_AT_ONCE = 2**16

Floats = NDArray[np.floating[Any]]


class Calibration(NamedTuple):
    """How often the likeliest label is right, by how probable it is said to be.

    Attributes:
        confidence: its mean probability in each bin, nan in an empty one.
        accuracy: how often it is right there, likewise.
        rows: how many lie in each bin.
        error: the expected calibration error, the mean over rows of |accuracy - confidence| of
            their bin.
    """

    confidence: Floats
    accuracy: Floats
    rows: NDArray[np.integer[Any]]
    error: float


@dataclass(frozen=True, eq=False)
class LabelProbabilities:
    """Probabilities of labels by row, and how good they are where labels are known.

    Args:
        probability: of each label, (N, C).
        y: the labels, (N,), -1 where not known; None where none is.
    """

    probability: Floats
    y: NDArray[np.integer[Any]] | None = None

    @property
    def label(self) -> NDArray[np.integer[Any]]:
        """The likeliest label of each row, (N,)."""
        return self.probability.argmax(1)

    @property
    def accuracy(self) -> float:
        """The share of known labels that are the likeliest.

        Raises:
            ValueError: no label is known.
        """
        return float((self.label == self._known())[self._rows()].mean())

    @property
    def confusion(self) -> NDArray[np.integer[Any]]:
        """Rows by known label, down, and likeliest label, across, (C, C).

        Raises:
            ValueError: no label is known.
        """
        rows, classes = self._rows(), np.arange(self.probability.shape[1])
        found: NDArray[np.integer[Any]] = confusion_matrix(
            self._known()[rows], self.label[rows], labels=classes
        )
        return found

    def calibration(self, bins: int = 10) -> Calibration:
        """The likeliest label's probability against how often it is right, in equal bins.

        Args:
            bins: how many from 0 to 1, at least 1.

        Raises:
            ValueError: bins is below 1, or no label is known.

        Source: Guo et al. (2017), On calibration of modern neural networks, arXiv:1706.04599,
        eqs. 2, 3 and 5.
        """
        if bins < 1:
            raise ValueError(f"bins must be at least 1; got {bins}.")
        rows = self._rows()
        said = self.probability.max(1)[rows]
        right = (self.label == self._known())[rows]
        # Bins are closed above, so that probability 1 lies in the last.
        place = np.clip(np.ceil(said * bins).astype(int) - 1, 0, bins - 1)
        count = np.bincount(place, minlength=bins)
        sums = [np.bincount(place, each, bins) for each in (said, right)]
        means = [np.where(count > 0, each / np.maximum(count, 1), np.nan) for each in sums]
        error = float(np.abs(sums[1] - sums[0]).sum() / len(said))
        return Calibration(means[0], means[1], count, error)

    def _known(self) -> NDArray[np.integer[Any]]:
        if self.y is None or not (self.y >= 0).any():
            raise ValueError("y must be known in some rows to be compared with; got none.")
        return self.y

    def _rows(self) -> NDArray[np.bool_]:
        return self._known() >= 0


class Prediction(NamedTuple):
    """What :func:`predict` returns.

    Attributes:
        guide: q(y|x), as the guide has it.
        bayes: p(y|x) of the model, by Bayes' rule from its evidence estimated at K draws.
    """

    guide: LabelProbabilities
    bayes: LabelProbabilities

    def __str__(self) -> str:
        if self.guide.y is None or not (self.guide.y >= 0).any():
            return f"labels of {len(self.guide.probability)} rows, none known to compare with"
        lines = [
            f"{name:<22} accuracy {each.accuracy:.4f}, calibration error "
            f"{each.calibration().error:.4f}"
            for name, each in (("q(y|x) of the guide", self.guide), ("p(y|x) by Bayes", self.bayes))
        ]
        return "\n".join(lines)


def predict(
    run: Any, batch: Any, *, site: str = "y", num_particles: int = 100, seed: int = 0
) -> Prediction:
    r"""The probability of each label, by row: q(y|x) of the guide, and p(y|x) of the model.

    .. math:: p(y|x) \propto \hat p(x, y) = \frac{1}{K} \sum_k \frac{p(x, y, z_k)}{q(z_k|x, y)}

    Labels that the batch holds are hidden from the pair, and what is found is compared with them.
    A q(y|x, z) that depends on a draw is averaged over the K draws.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: a tensor x, (N, ...), or named fields, y with -1 where a label is not known.
        site: the label's name, of the site and of the field.
        num_particles: K, draws for each row and label, at least 1.
        seed: of the draws.

    Raises:
        ValueError: num_particles is below 1, the site is not summed out by the guide, or another
            one is too.
    """
    if num_particles < 1:
        raise ValueError(f"num_particles must be at least 1; got {num_particles}.")
    pair = as_pair(run)
    args, fields = as_batch(batch)
    known = fields.get(site)
    hidden = dict(fields)
    if isinstance(known, Tensor):
        hidden[site] = torch.full_like(known, -1)
    with at_rest(pair, seed) as device, pyro.validation_enabled(False):
        rows = select_rows((args, hidden), slice(None), device)
        by_guide, by_bayes = _by_chunks(pair, rows, site, num_particles)
    y = known.cpu().numpy() if isinstance(known, Tensor) else None
    return Prediction(LabelProbabilities(by_guide, y), LabelProbabilities(by_bayes, y))


def _by_chunks(pair: Pair, rows: Batch, site: str, num_particles: int) -> tuple[Floats, Floats]:
    one = select_rows(rows, slice(0, 1), None)
    rehearse(pair, one)
    classes = len(_scored(pair, one, site, 1)[0])
    size = max(1, _AT_ONCE // (classes * num_particles))
    parts = [
        _scored(pair, select_rows(rows, slice(start, start + size), None), site, num_particles)
        for start in range(0, size_of(rows), size)
    ]
    by_guide, by_bayes = (torch.cat(each, 1).T.cpu().numpy() for each in zip(*parts, strict=True))
    return by_guide, by_bayes


def _scored(pair: Pair, rows: Batch, site: str, num_particles: int) -> tuple[Tensor, Tensor]:
    """q(y|x) and p(y|x), (C, B) each."""
    terms = LogTerms(pair, rows, trace_pair(pair, rows, num_particles), num_particles)
    _refuse_other(terms.enumerated, terms.posterior, site)
    shape = (len(terms.values[site]), num_particles, terms.batch_size)
    of_guide = terms.posterior[site].expand(shape).exp().mean(1)
    drawn = [term for name, term in terms.posterior.items() if name != site]
    log_weight = (terms.log_joint - sum(drawn)).expand(shape)
    # The K of the mean is the same for all labels.
    return of_guide, log_weight.logsumexp(1).softmax(0)


def _refuse_other(enumerated: list[str], posterior: Mapping[str, Tensor], site: str) -> None:
    summed = [name for name in enumerated if name in posterior]
    if summed != [site]:
        raise ValueError(
            f"predict needs a guide that sums out the label {site!r} and nothing else, marked "
            f"infer={{'enumerate': 'parallel'}}; got {summed} of the sites {list(posterior)}."
        )
