"""The Gaussian mixture whose parameters have priors.

    w ~ Dirichlet(alpha, ..., alpha)           weights, (C,)
    Lambda_c ~ W(W, nu)                        precisions, (C, P, P)
    mu_c | Lambda_c ~ N(m, (beta Lambda_c)^-1) means, (C, P)
    y | w ~ Categorical(w)                     component, (B,)
    x | y ~ N(mu_y, Lambda_y^-1)               data, (B, P)

Weights, precisions and means are there once, outside of the plate of the data; y is summed out by
the model where the guide leaves it alone.

Source: Bishop (2006), Pattern recognition and machine learning, eqs. 10.37 to 10.41.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from pyro.ops.indexing import Vindex
from torch import Tensor

from ppvae.distributions import NormalWishart

__all__ = ["BayesianGaussianMixture"]


class BayesianGaussianMixture(PyroModule):
    """p(w) p(mu, Lambda) p(y|w) p(x|y, mu, Lambda); nothing in it is learned.

    Args:
        components: C, at least 1.
        prior: p(mu_c, Lambda_c), the same for each component, with loc (P,).
        concentration: alpha, positive; far below 1 it leaves needless components empty.

    Raises:
        ValueError: an argument breaks these rules, or x is not (B, P).
    """

    prior_loc: Tensor
    prior_beta: Tensor
    prior_inverse_scale: Tensor
    prior_nu: Tensor

    def __init__(self, components: int, prior: NormalWishart, concentration: float = 1.0) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"components must be at least 1; got {components}.")
        if prior.loc.dim() != 1:
            raise ValueError(
                f"prior must be one for all components, loc (P,); got {tuple(prior.loc.shape)}."
            )
        if not 0 < concentration < float("inf"):
            raise ValueError(f"concentration must be positive and finite; got {concentration}.")
        prior.require_proper()
        self.components = components
        self.dirichlet = concentration
        self.register_buffer("prior_loc", prior.loc.detach().clone())
        self.register_buffer("prior_beta", prior.beta.detach().clone())
        self.register_buffer("prior_inverse_scale", prior.inverse_scale.detach().clone())
        self.register_buffer("prior_nu", prior.nu.detach().clone())

    @property
    def prior(self) -> NormalWishart:
        """p(mu_c, Lambda_c), one for all components."""
        held = (self.prior_loc, self.prior_beta, self.prior_inverse_scale, self.prior_nu)
        # Copies: a captured step writes to buffers, and what a gradient needs must stay as it is.
        return NormalWishart(*(part.clone() for part in held))

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, P); return the mean of p(x|y), (..., B, P)."""
        if x.dim() != 2 or x.shape[-1] != len(self.prior_loc):
            raise ValueError(f"x must be (B, {len(self.prior_loc)}); got shape {tuple(x.shape)}.")
        prior, each = self.prior, (self.components,)
        alpha = self.prior_loc.new_full(each, self.dirichlet)
        weights = pyro.sample("weights", dist.Dirichlet(alpha))
        precisions = pyro.sample("precisions", prior.precision().expand(each).to_event(1))
        means = pyro.sample("means", prior.mean_given(precisions).to_event(1))
        # One factor for each component rather than for each row.
        factors = dist.MultivariateNormal(means, precision_matrix=precisions).scale_tril
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", dist.Categorical(weights), infer={"enumerate": "parallel"})
            loc = Vindex(means)[..., y, :]
            factor = Vindex(factors)[..., y, :, :]
            pyro.sample("x", dist.MultivariateNormal(loc, scale_tril=factor), obs=x)
        return loc
