"""Log-densities of a model and a guide at K draws: the one computation that all bounds share."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor

from ppvae.rerun import density_needed, fixed_traces, single_traces
from ppvae.site_terms import SiteTerms

__all__ = ["LogTerms"]


class LogTerms(SiteTerms):
    """Log-densities at K draws z ~ q(z|x), in nats, (K, B).

    Discrete sites marked ``infer={"enumerate": "parallel"}`` are not drawn: their values stand in
    dimensions (C, ...) in front of (K, B) until :meth:`expected` or :attr:`marginal` sums them out.
    The data plate's scale N / B is divided out of all terms and kept in :attr:`scale`; masks
    stay in.

    Made by :func:`ppvae.log_terms`.

    Attributes:
        pair: model and guide.
        batch: what they were run on, positional arguments and named fields.
        num_particles: K.
        batch_size: B.
        scale: N / B, rows of the data over rows of the batch; 1 unless the plate subsamples.
    """

    @property
    def log_likelihood(self) -> Tensor:
        """Log p(x|z), (C, ..., K, B) nats; its expectation is called "reconstruction"."""
        return self._total(self.likelihood.values())

    @property
    def log_prior(self) -> Tensor:
        """Log p(z) over all local latent sites, (C, ..., K, B) nats."""
        return self._total(self.prior.values())

    @property
    def log_posterior(self) -> Tensor:
        """Log q(z|x) over all local latent sites, (C, ..., K, B) nats."""
        return self._total(self.posterior.values())

    @property
    def log_weight(self) -> Tensor:
        """Log w = log p(x, z) - log q(z|x), (C, ..., K, B) nats.

        Labels that only the model enumerates are summed out of it.
        """
        return self.log_joint - self.log_posterior

    @property
    def log_joint(self) -> Tensor:
        """Log p(x, z), (C, ..., K, B) nats; labels that only the model enumerates summed out."""
        return self._sum_model_labels(self.log_likelihood + self.log_prior)

    @property
    def log_weight_with_kl(self) -> Tensor:
        """Log p(x|z) - KL(q(z|x) || p(z)), (C, ..., K, B) nats, closed where a formula is known.

        Sites without a formula contribute log p(z) - log q(z|x) at the draws. Its expectation is
        that of :attr:`log_weight`; its value at one draw is not.
        """
        sampled = [term for name, term in self.prior.items() if name not in self.kl]
        left = [term for name, term in self.posterior.items() if name not in self.kl]
        joint = self._sum_model_labels(self.log_likelihood + self._total(sampled))
        return joint - self._total(left) - self._total(self.kl.values())

    @property
    def log_ratio(self) -> Tensor:
        """Log q(z|x) - log p(z), (C, ..., K, B) nats; its expectation is KL(q(z|x) || p(z)).

        Labels that only the model enumerates are summed out of p(z).
        """
        return self.log_posterior - self._sum_model_labels(self.log_prior)

    @property
    def log_ratio_with_kl(self) -> Tensor:
        """As :attr:`log_ratio`, with KL in its place where a formula is known, (C, ..., K, B)."""
        sampled = [term for name, term in self.prior.items() if name not in self.kl]
        left = [term for name, term in self.posterior.items() if name not in self.kl]
        prior = self._sum_model_labels(self._total(sampled))
        return self._total(self.kl.values()) + self._total(left) - prior

    @property
    def marginal(self) -> Tensor:
        """Log sum_y p(x, y, z) / q(z|x, y), (K, B) nats: enumerated labels inside the weight.

        Of a row that has a label, the sum is that label alone.
        """
        # Left out rather than added back: where q(y|x) = 0 that would be -inf + inf.
        drawn = [t for name, t in self.posterior.items() if name not in self.enumerated]
        return _logsumexp(self._known(self.log_joint - self._total(drawn)), self._guide_dims)

    def expected(self, terms: Tensor) -> Tensor:
        """sum_y q(y|x) f(y) for f of shape (C, ..., K, B): enumerated labels summed, (K, B)."""
        if not self._guide_dims:
            return terms
        labels = [term for name, term in self.posterior.items() if name in self.enumerated]
        weight, terms = torch.broadcast_tensors(self._total(labels).exp(), terms)
        # A label of probability zero has no part in the sum, even where its term is infinite.
        return (weight * terms.masked_fill(weight == 0, 0.0)).sum(self._guide_dims)

    def possible(self, terms: Tensor) -> Tensor:
        """f(y) of shape (C, ..., K, B) with zero at labels that q(y|x) rules out.

        There a weight is infinite: it has no part in the sum under q, but 0 times its gradient is
        not a number.
        """
        for name in self.enumerated:
            if name in self.posterior:
                terms = torch.where(self.posterior[name].isneginf(), 0.0, terms)
        return terms

    def _known(self, terms: Tensor) -> Tensor:
        """f(y) of shape (C, ..., K, B) with minus infinity at labels other than the one known."""
        for name, labelled in self.labelled.items():
            if name in self.enumerated:
                other = labelled & self.posterior[name].isneginf()
                terms = torch.where(other, -math.inf, terms)
        return terms

    @property
    def auxiliary(self) -> Tensor:
        """Log-densities of sites marked ``infer={"auxiliary": True}``, (C, ..., K, B) nats.

        They belong to what is optimised, never to the bound that is reported: those of the model
        are added, those of the guide taken away, as a site of log q is.
        """
        return self._total(self._stacked("auxiliary").values())

    @property
    def global_weight(self) -> Tensor:
        """Log p - log q of the latent sites outside of the data plate, (K,) nats."""
        prior = sum(self.global_prior.values(), self._zero)
        posterior = sum(self.global_posterior.values(), self._zero)
        return torch.as_tensor(prior - posterior).expand(self.num_particles)

    @cached_property
    def fixed(self) -> LogTerms:
        """The terms of both programs run again at the same draws, the draws detached.

        A gradient through these is the direct one; the rest is the path through the draws.

        Raises:
            ValueError: the guide's density cannot be evaluated at a given draw.
        """
        if not any(value.requires_grad for value in self.values.values()):
            # There is no path to cut: these terms have the direct gradient alone.
            return self
        with self.pair.entered():
            again = fixed_traces(
                self.pair, self.batch, self._traces, self.num_particles, self._noise
            )
            with density_needed():
                return LogTerms(self.pair, self.batch, again, self.num_particles)

    @cached_property
    def sticking(self) -> LogTerms:
        """The same terms, where q has a gradient through its draws alone.

        Values are those of these terms; the direct gradient of log q, whose expectation is zero
        at the exact posterior, is left out at every site that is drawn.

        Raises:
            ValueError: the guide's density cannot be evaluated at a given draw.
        """
        stuck = copy.copy(self)
        stuck.posterior = {
            name: term if name in self.enumerated else _path(term, self.fixed.posterior[name])
            for name, term in self.posterior.items()
        }
        stuck.global_posterior = {
            name: _path(term, self.fixed.global_posterior[name])
            for name, term in self.global_posterior.items()
        }
        return stuck

    def one_by_one(self) -> LogTerms:
        """The terms of the same draws, both programs run once for each of the K."""
        if len(self._traces) == self.num_particles:
            return self
        alone = single_traces(self.pair, self.batch, self._traces, self.num_particles)
        return LogTerms(self.pair, self.batch, alone, self.num_particles)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.num_particles, self.batch_size

    @property
    def _zero(self) -> Tensor:
        return next(iter(self.likelihood.values())).new_zeros(())

    @property
    def _guide_dims(self) -> list[int]:
        return [self._first.enumerated[n] for n in self.posterior if n in self._first.enumerated]

    def _sum_model_labels(self, joint: Tensor) -> Tensor:
        only = [d for n, d in self._first.enumerated.items() if n not in self.posterior]
        # They stand left of the guide's, so that no other dimension moves.
        return _logsumexp(joint, only)

    def _total(self, terms: Iterable[Tensor]) -> Tensor:
        total = torch.as_tensor(sum(terms, self._zero))
        return total.expand(torch.broadcast_shapes(total.shape, self._shape))


def _path(term: Tensor, direct: Tensor) -> Tensor:
    """The term without the gradient that it has where its draw is held fixed."""
    return term - direct + direct.detach()


def _logsumexp(terms: Tensor, dims: list[int]) -> Tensor:
    return terms.logsumexp(dims) if dims else terms
