"""The Wishart distribution of a random precision matrix.

    W(Lambda; V, nu)  ~  |Lambda|^((nu - P - 1) / 2) exp(-tr(V^-1 Lambda) / 2)

torch's own warns of singular draws that are none, and draws them again; and it has to be given V,
where posteriors add up V^-1.
"""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

__all__ = ["Wishart"]


class Wishart(TorchDistribution):
    """W(V, nu) over positive definite (P, P) matrices, with mean nu V, drawn by Bartlett's method.

    Args:
        df: nu, (...), above P - 1.
        inverse_scale: V^-1, (..., P, P), positive definite.
        validate_args: as in every distribution of torch.

    Source: Smith & Hocking (1972), Wishart variate generator, Applied Statistics 21 (Bartlett's
    decomposition); Bishop (2006), Pattern recognition and machine learning, eqs. B.78, B.79.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "df": constraints.positive,
        "inverse_scale": constraints.positive_definite,
    }
    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self, df: Tensor, inverse_scale: Tensor, validate_args: bool | None = None
    ) -> None:
        batch_shape = torch.broadcast_shapes(df.shape, inverse_scale.shape[:-2])
        event_shape = inverse_scale.shape[-2:]
        self.df = df.expand(batch_shape)
        self.inverse_scale = inverse_scale.expand(batch_shape + event_shape)
        # Once for however many copies: expanded afterwards.
        self._factor = torch.linalg.cholesky(inverse_scale).expand(batch_shape + event_shape)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Wishart":
        """Return the same distribution with another batch shape."""
        new: Wishart = self._get_checked_instance(Wishart, _instance)
        batch_shape = torch.Size(batch_shape)
        new.df = self.df.expand(batch_shape)
        new.inverse_scale = self.inverse_scale.expand(batch_shape + self.event_shape)
        new._factor = self._factor.expand(batch_shape + self.event_shape)
        super(Wishart, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """Return nu V, (..., P, P)."""
        return self.df[..., None, None] * torch.cholesky_inverse(self._factor)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw T A A' T' with T T' = V: chi^2(nu - i) on the diagonal of A A', normals below."""
        shape = self._extended_shape(torch.Size(sample_shape))
        # A chi^2 variate is twice a Gamma one of half its degrees of freedom.
        diagonal = (2 * torch._standard_gamma(self._halves.expand(shape[:-1]))).sqrt()
        below = torch.randn(shape, dtype=self.df.dtype, device=self.df.device).tril(-1)
        with torch.autocast(self.df.device.type, enabled=False):
            root = torch.linalg.solve_triangular(
                self._factor.mT, below + diagonal.diag_embed(), upper=True
            )
            return root @ root.mT

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats, (...)."""
        if self._validate_args:
            self._validate_sample(value)
        size = self.event_shape[-1]
        log_det = 2 * torch.linalg.cholesky(value).diagonal(dim1=-2, dim2=-1).log().sum(-1)
        trace = (self.inverse_scale * value).sum((-2, -1))
        return self.log_normalizer + ((self.df - size - 1) * log_det - trace) / 2

    @property
    def log_normalizer(self) -> Tensor:
        """Return log B(V, nu), what the density is multiplied with, (...)."""
        size = self.event_shape[-1]
        half_log_det = self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        gammas = self._halves.lgamma().sum(-1) + size * (size - 1) * math.log(math.pi) / 4
        return self.df * half_log_det - self.df * size * math.log(2) / 2 - gammas

    @property
    def expected_log_det(self) -> Tensor:
        """Return E[log |Lambda|], (...): Bishop (2006), eq. 10.65."""
        log_det = -2 * self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self._halves.digamma().sum(-1) + self.event_shape[-1] * math.log(2) + log_det

    @property
    def _halves(self) -> Tensor:
        """(nu + 1 - i) / 2 for i = 1, ..., P, (..., P)."""
        places = torch.arange(self.event_shape[-1], dtype=self.df.dtype, device=self.df.device)
        return (self.df.unsqueeze(-1) - places) / 2
