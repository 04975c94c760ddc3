"""Covariances of the components of a mixture: one each, one for all, or variances alone.

Each knows its Cholesky factors, in which densities are written, and the covariances that maximise
the expected log-likelihood, in closed form. They are learned through numbers without bounds: the
factor L below its diagonal, and log L_ii.
"""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions.transforms import LowerCholeskyTransform

__all__ = ["Covariance", "DiagonalCovariance", "FullCovariance", "TiedCovariance"]

# From numbers without bounds to a factor with a positive diagonal.
_as_factor = LowerCholeskyTransform()


class Covariance(nn.Module):
    """What a mixture asks of the covariances of its C components in P dimensions.

    Args:
        components: C, at least 1.
        data_dim: P, at least 1.

    Raises:
        ValueError: either is below 1.
    """

    def __init__(self, components: int, data_dim: int) -> None:
        super().__init__()
        for name, size in (("components", components), ("data_dim", data_dim)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1; got {size}.")
        self.components = components
        self.data_dim = data_dim

    @abstractmethod
    def forward(self) -> Tensor:
        """Return the lower Cholesky factors L of the covariances L L', (C, P, P)."""

    @abstractmethod
    def assign(self, covariance: Tensor) -> None:
        """Take given values.

        Raises:
            ValueError: they have another shape, or are not positive definite.
        """

    @abstractmethod
    def assign_all(self, covariance: Tensor) -> None:
        """Take one covariance, (P, P), for all components, as a start.

        Raises:
            ValueError: it has another shape, or is not positive definite.
        """

    @abstractmethod
    def m_step(self, scatter: Tensor, counts: Tensor) -> None:
        """Take the values that maximise the expected log-likelihood.

        Args:
            scatter: sum_n q(y_n = c) (x_n - mu_c)(x_n - mu_c)', (C, P, P).
            counts: sum_n q(y_n = c), (C,), positive.

        Raises:
            ValueError: a covariance is not positive definite.
        """


class FullCovariance(Covariance):
    """A covariance for each component, (C, P, P); the identity at first.

    The closed M-step is scatter_c / count_c.

    Args:
        components: C, at least 1.
        data_dim: P, at least 1.

    Raises:
        ValueError: either is below 1.
    """

    def __init__(self, components: int, data_dim: int) -> None:
        super().__init__(components, data_dim)
        self.root = nn.Parameter(torch.zeros(components, data_dim, data_dim))

    def forward(self) -> Tensor:
        """Return the lower Cholesky factors L of the covariances L L', (C, P, P)."""
        return _as_factor(self.root)

    def assign(self, covariance: Tensor) -> None:
        """Take given covariances, (C, P, P)."""
        _assign(self.root, covariance, _root_of)

    def assign_all(self, covariance: Tensor) -> None:
        """Take one covariance, (P, P), for each component."""
        self.assign(covariance.expand(self.components, *covariance.shape))

    def m_step(self, scatter: Tensor, counts: Tensor) -> None:
        """Take each component's own scatter over its count."""
        self.assign(scatter / counts[:, None, None])


class TiedCovariance(Covariance):
    """One covariance for all components, (P, P); the identity at first.

    The closed M-step is sum_c scatter_c / sum_c count_c.

    Args:
        components: C, at least 1.
        data_dim: P, at least 1.

    Raises:
        ValueError: either is below 1.
    """

    def __init__(self, components: int, data_dim: int) -> None:
        super().__init__(components, data_dim)
        self.root = nn.Parameter(torch.zeros(data_dim, data_dim))

    def forward(self) -> Tensor:
        """Return the lower Cholesky factor of the one covariance, C times, (C, P, P)."""
        return _as_factor(self.root).expand(self.components, -1, -1)

    def assign(self, covariance: Tensor) -> None:
        """Take a given covariance, (P, P)."""
        _assign(self.root, covariance, _root_of)

    def assign_all(self, covariance: Tensor) -> None:
        """Take a given covariance, (P, P)."""
        self.assign(covariance)

    def m_step(self, scatter: Tensor, counts: Tensor) -> None:
        """Take the scatter of all components over the count of all."""
        self.assign(scatter.sum(0) / counts.sum())


class DiagonalCovariance(Covariance):
    """Variances for each component, (C, P), and no correlations; ones at first.

    The closed M-step is diag(scatter_c) / count_c.

    Args:
        components: C, at least 1.
        data_dim: P, at least 1.

    Raises:
        ValueError: either is below 1.
    """

    def __init__(self, components: int, data_dim: int) -> None:
        super().__init__(components, data_dim)
        self.log_scale = nn.Parameter(torch.zeros(components, data_dim))

    def forward(self) -> Tensor:
        """Return the standard deviations as diagonal matrices, (C, P, P)."""
        return self.log_scale.exp().diag_embed()

    def assign(self, covariance: Tensor) -> None:
        """Take given variances, (C, P)."""
        _assign(self.log_scale, covariance, _half_log)

    def assign_all(self, covariance: Tensor) -> None:
        """Take the variances on the diagonal of a covariance, (P, P), for each component."""
        self.assign(covariance.diagonal().expand(self.components, *covariance.shape[1:]))

    def m_step(self, scatter: Tensor, counts: Tensor) -> None:
        """Take the diagonal of each component's scatter over its count."""
        self.assign(scatter.diagonal(dim1=-2, dim2=-1) / counts[:, None])


def _assign(
    parameter: nn.Parameter, given: Tensor, transformed: Callable[[Tensor], Tensor]
) -> None:
    if given.shape != parameter.shape:
        raise ValueError(
            f"covariance must have shape {tuple(parameter.shape)}; got {tuple(given.shape)}."
        )
    with torch.no_grad():
        parameter.copy_(transformed(given))


def _root_of(covariance: Tensor) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(covariance)
    if bool((info != 0).any()) or not bool(factor.isfinite().all()):
        lowest = torch.linalg.eigvalsh(covariance.nan_to_num()).min(-1).values
        raise ValueError(
            f"covariance must be positive definite; got an eigenvalue of {float(lowest.min()):.3g} "
            f"in component {int(lowest.argmin())} (it may lie on too few distinct rows)."
        )
    return _as_factor.inv(factor)


def _half_log(variance: Tensor) -> Tensor:
    if not bool((variance > 0).all()):
        at = int(variance.min(-1).values.argmin())
        raise ValueError(
            f"variance must be positive; got {float(variance.min()):.3g} in component {at} "
            "(it may lie on too few distinct rows)."
        )
    return variance.log() / 2
