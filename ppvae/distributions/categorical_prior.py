"""A prior over labels."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["CategoricalPrior", "refuse_probabilities"]


class CategoricalPrior(nn.Module):
    """The prior p(y) over labels 0 to C - 1, held fixed, with event shape ().

    Args:
        probabilities: of the labels, (C,), positive; they are divided by their sum.

    Raises:
        ValueError: probabilities are not (C,) with C at least 2, or one is not positive.

    Example:
        >>> import torch
        >>> CategoricalPrior.empirical(torch.tensor([0, 1, 1, -1, 1]), classes=2)().probs
        tensor([0.2500, 0.7500])
    """

    logits: Tensor

    def __init__(self, probabilities: Tensor) -> None:
        super().__init__()
        refuse_probabilities(probabilities)
        # A buffer, so that it follows the pair's device and dtype, and is kept with it.
        self.register_buffer("logits", (probabilities / probabilities.sum()).log())

    @classmethod
    def uniform(cls, classes: int) -> "CategoricalPrior":
        """Each of C labels with probability 1 / C."""
        return cls(torch.ones(classes))

    @classmethod
    def empirical(cls, y: Tensor, classes: int) -> "CategoricalPrior":
        """Each label as often as in y, (N,), where it is observed.

        Raises:
            ValueError: a class has no label, which would rule it out.
        """
        counts = torch.bincount(y[y >= 0], minlength=classes)
        if len(counts) != classes or int(counts.min()) == 0:
            raise ValueError(
                f"y must have a label of each of the {classes} classes and of no other; "
                f"got counts {counts.tolist()}."
            )
        return cls(counts.to(torch.get_default_dtype()))

    def forward(self) -> dist.TorchDistribution:
        """Return p(y), with batch shape () and event shape ()."""
        return dist.Categorical(logits=self.logits)


def refuse_probabilities(probabilities: Tensor) -> None:
    """Refuse what are no probabilities of at least two labels, up to a factor.

    Raises:
        ValueError: as said there.
    """
    if probabilities.dim() != 1 or len(probabilities) < 2:
        raise ValueError(
            "probabilities must be (C,), one for each of at least 2 classes; "
            f"got shape {tuple(probabilities.shape)}."
        )
    if not bool((probabilities > 0).all() and probabilities.isfinite().all()):
        raise ValueError(
            f"probabilities must be positive and finite; got {probabilities.tolist()}."
        )
