"""The guide over the parameters of a Gaussian mixture, of the family that is conjugate to it.

    q(w) = Dirichlet(w; alpha_1, ..., alpha_C)
    q(mu_c, Lambda_c) = N(mu_c; m_c, (beta_c Lambda_c)^-1) W(Lambda_c; W_c, nu_c)

Source: Bishop (2006), Pattern recognition and machine learning, eqs. 10.57 and 10.59.
"""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.distributions.transforms import LowerCholeskyTransform

from ppvae.distributions import NormalWishart

__all__ = ["NormalWishartGuide"]

# From numbers without bounds to a factor with a positive diagonal.
_as_factor = LowerCholeskyTransform()


class NormalWishartGuide(PyroModule):
    """q(w) q(mu, Lambda): set by coordinate ascent, or learned by gradient like any other guide.

    The component y of each row is left to the model, which sums it out.

    Args:
        posterior: q(mu_c, Lambda_c), where it starts, with loc (C, P).
        alpha: of q(w), where it starts, (C,), positive.

    Raises:
        ValueError: a shape or a number breaks these rules.
    """

    def __init__(self, posterior: NormalWishart, alpha: Tensor) -> None:
        super().__init__()
        if posterior.loc.dim() != 2:
            raise ValueError(
                f"posterior must have loc (C, P); got shape {tuple(posterior.loc.shape)}."
            )
        self.log_alpha = nn.Parameter(posterior.loc.new_zeros(len(posterior.loc)))
        self.q_loc = nn.Parameter(torch.zeros_like(posterior.loc))
        self.log_beta = nn.Parameter(torch.zeros_like(posterior.beta))
        self.q_root = nn.Parameter(torch.zeros_like(posterior.inverse_scale))
        # Of nu - (P - 1), which is positive.
        self.log_excess = nn.Parameter(torch.zeros_like(posterior.nu))
        self.assign(posterior, alpha)

    def assign(self, posterior: NormalWishart, alpha: Tensor) -> None:
        """Take given values, as coordinate ascent finds them.

        Raises:
            ValueError: they have other shapes, or are no distribution.
        """
        if posterior.loc.shape != self.q_loc.shape or alpha.shape != self.log_alpha.shape:
            raise ValueError(
                f"posterior and alpha must have loc {tuple(self.q_loc.shape)} and shape "
                f"{tuple(self.log_alpha.shape)}; got {tuple(posterior.loc.shape)} and "
                f"{tuple(alpha.shape)}."
            )
        if not bool((alpha > 0).all()):
            raise ValueError(f"alpha must be positive; got {float(alpha.min()):g}.")
        posterior.require_proper()
        least = posterior.loc.shape[-1] - 1
        with torch.no_grad():
            self.log_alpha.copy_(alpha.log())
            self.q_loc.copy_(posterior.loc)
            self.log_beta.copy_(posterior.beta.log())
            self.q_root.copy_(_as_factor.inv(torch.linalg.cholesky(posterior.inverse_scale)))
            self.log_excess.copy_((posterior.nu - least).log())

    @property
    def alpha(self) -> Tensor:
        """The concentration of q(w), (C,)."""
        return self.log_alpha.exp()

    def posterior(self) -> NormalWishart:
        """Return q(mu_c, Lambda_c) of all components, with loc (C, P)."""
        factor = _as_factor(self.q_root)
        # Sums instead of a matrix product, which autocast would round.
        inverse_scale = (factor.unsqueeze(-2) * factor.unsqueeze(-3)).sum(-1)
        nu = self.log_excess.exp() + (self.q_loc.shape[-1] - 1)
        return NormalWishart(self.q_loc, self.log_beta.exp(), inverse_scale, nu)

    def forward(self, x: Tensor) -> Tensor:
        """Draw weights, precisions and means once for all data x, (B, P); return the means."""
        q = self.posterior()
        pyro.sample("weights", dist.Dirichlet(self.alpha))
        precisions = pyro.sample("precisions", q.precision().to_event(1))
        return pyro.sample("means", q.mean_given(precisions).to_event(1))
