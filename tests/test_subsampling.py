"""Under a subsampled plate, 10 rows of 1000, every bound stays a bound; Pyro's RenyiELBO does not.

The scale N/B belongs outside of the log-mean-exp: inside, K weights to the power of 100 are
compared, and what comes out lies above log p(x).
"""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import LinearPair, linear_pair
from pyro.infer import RenyiELBO, Trace_ELBO
from torch.testing import assert_close

from ppvae import ELBO, IWAE, Renyi, log_terms

NUM_ROWS, SEEN, EVALUATIONS = 1000, 10, 150
BOUNDS = {
    "elbo": ELBO(5),
    "elbo-analytic": ELBO(5, analytic_kl=True),
    "iwae-5": IWAE(5),
    "iwae-50": IWAE(50),
    "renyi-half": Renyi(0.5, 50),
    "renyi-two": Renyi(2.0, 50),
}
every_bound = pytest.mark.parametrize("estimator", BOUNDS.values(), ids=BOUNDS)
exactly = partial(assert_close, rtol=0, atol=1e-10)


class Subsampled(LinearPair):
    """The linear pair on a few rows of its data: fixed ones, or others at every evaluation."""

    rows = None

    def plate(self):
        size = None if self.rows is not None else SEEN
        return pyro.plate("data", NUM_ROWS, subsample_size=size, subsample=self.rows, dim=-1)

    def model(self, x):
        prior = dist.Normal(torch.zeros(2), 1.0).to_event(1)
        with self.plate() as rows:
            z = pyro.sample("z", prior)
            pyro.sample("x", dist.Normal(z @ self.weight.T, 1.0).to_event(1), obs=x[rows])

    def guide(self, x):
        with self.plate() as rows:
            loc = x[rows] @ self.slope.T + self.shift
            pyro.sample("z", dist.Normal(loc, self.log_scale.exp()).to_event(1))


@pytest.fixture
def subsampled():
    pair = linear_pair(data_dim=10)
    x = torch.randn(NUM_ROWS, 2) @ pair.weight.T + torch.randn(NUM_ROWS, 10)
    with torch.no_grad():
        return Subsampled(pair.weight, pair.slope, pair.shift + 0.5, pair.log_scale + 0.2), x


def mean_and_error(estimator, pair, x):
    """The bound on the sum of log p(x) over all rows, in nats, from many evaluations."""
    with torch.no_grad():
        losses = [estimator.loss(pair.model, pair.guide, x) for _ in range(EVALUATIONS)]
    bounds = -torch.tensor(losses)
    return bounds.mean(), bounds.std() / EVALUATIONS**0.5


@every_bound
def test_the_mean_of_a_bound_is_not_above_log_evidence(subsampled, estimator):
    pair, x = subsampled
    mean, error = mean_and_error(estimator, pair, x)
    assert mean - pair.log_evidence(x).sum() < 5 * error


def test_pyros_renyi_elbo_is_above_log_evidence(subsampled):
    pair, x = subsampled
    pyros = RenyiELBO(alpha=0.0, num_particles=50, vectorize_particles=True, max_plate_nesting=1)
    mean, error = mean_and_error(pyros, pair, x)
    # If this fails, Pyro has mended its bound, and what we say of it has to go.
    assert mean - pair.log_evidence(x).sum() > 5 * error


@pytest.mark.parametrize("estimator", [ELBO(5), IWAE(5), IWAE(50), Renyi(0.5, 50), Renyi(2.0, 5)])
def test_exact_posterior_closes_the_gap_of_every_row_seen(subsampled, estimator):
    pair, x = subsampled
    pair.rows = torch.arange(0, NUM_ROWS, NUM_ROWS // SEEN)
    pair.shift, pair.log_scale = pair.shift - 0.5, pair.log_scale - 0.2
    terms = log_terms(pair.model, pair.guide, x, num_particles=estimator.num_particles)
    exactly(estimator.bound(terms), pair.log_evidence(x[pair.rows]))


def test_the_scale_stands_outside_of_the_terms(subsampled):
    pair, x = subsampled
    pair.rows = torch.arange(SEEN)
    whole = LinearPair(pair.weight, pair.slope, pair.shift, pair.log_scale)
    pyro.set_rng_seed(1)
    few = log_terms(pair.model, pair.guide, x, num_particles=3)
    pyro.set_rng_seed(1)
    alone = log_terms(whole.model, whole.guide, x[:SEEN], num_particles=3)
    assert (few.scale, alone.scale) == (100.0, 1.0)
    exactly(few.log_weight, alone.log_weight)


def test_loss_and_gradient_under_subsampling_agree_with_trace_elbo(subsampled):
    pair, x = subsampled
    pair.shift.requires_grad_()
    found = []
    for estimator in (ELBO(), Trace_ELBO()):
        pyro.set_rng_seed(1)
        loss = estimator.differentiable_loss(pair.model, pair.guide, x)
        pyro.set_rng_seed(1)
        value = torch.tensor(estimator.loss(pair.model, pair.guide, x))
        found.append([value, loss.detach(), *torch.autograd.grad(loss, pair.shift)])
    assert_close(*found, rtol=1e-12, atol=0)
