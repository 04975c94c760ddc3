"""Log-densities of one's own networks, flows and distributions under autocast: float32 or wider."""

import pyro
import pyro.distributions as dist
import pyro.distributions.transforms as T
import pytest
import torch
from programs import rows, standard_normal
from torch import nn
from torch.distributions import kl_divergence
from torch.testing import assert_close

from ppvae import IWAE, StickingTheLanding, log_terms
from ppvae.distributions.precision import wide


@pytest.fixture(autouse=True)
def float32(fixed_start):
    torch.set_default_dtype(torch.float32)


def bfloat16(enabled=True):
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def own_pair(data_dim=300, latent_dim=40):
    """A pair as one writes it: what its networks give, and the code, are bfloat16."""
    encoder, decoder = nn.Linear(data_dim, 2 * latent_dim), nn.Linear(latent_dim, data_dim)

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(latent_dim))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x):
        loc, log_scale = encoder(x).chunk(2, -1)
        with rows(x):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    return (model, guide), (encoder, decoder)


def flow_pair(transform):
    """A code from a flow, whose base is parametrised in bfloat16."""
    encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("flow", transform)
        loc, log_scale = encoder(x).chunk(2, -1)
        base = dist.Normal(loc, log_scale.exp()).to_event(1)
        with rows(x):
            pyro.sample("z", dist.TransformedDistribution(base, [transform]))

    return model, guide


FLOWS = {
    "affine": lambda: T.affine_autoregressive(2, [8]),
    "coupling": lambda: T.affine_coupling(2, hidden_dims=[8]),
    "no inverse": lambda: T.neural_autoregressive(2),
    "planar": lambda: T.planar(2),
}


def test_the_terms_of_own_networks_are_exact_for_what_these_give():
    """Against float64 at the parameters, rounded as they are, and the draws."""
    (pair, networks), x, given = own_pair(), torch.rand(8, 300).round(), {}
    for network in networks:
        network.register_forward_hook(lambda which, _, out: given.update({which: out}))
    with bfloat16():
        terms = log_terms(*pair, x, num_particles=7)
    params, logits = (given[network] for network in networks)
    assert params.dtype == logits.dtype == terms.values["z"].dtype == torch.bfloat16
    z, (loc, log_scale) = terms.values["z"].double(), params.chunk(2, -1)
    q, p = dist.Normal(loc.double(), log_scale.exp().double()), dist.Normal(0.0, 1.0)
    likelihood = dist.Bernoulli(logits=logits.double())
    for term, expected in (
        (terms.posterior["z"], q.log_prob(z)),
        (terms.prior["z"], p.log_prob(z)),
        (terms.likelihood["x"], likelihood.log_prob(x.double())),
        (terms.kl["z"], kl_divergence(q, p)),
    ):
        assert term.dtype == torch.float32
        assert_close(term.double(), expected.sum(-1).expand(7, 8), rtol=1e-6, atol=1e-5)


class Rounded(dist.Normal):
    """A density that is bfloat16 whatever it is given."""

    def log_prob(self, value):
        return super().log_prob(value).bfloat16()


def test_log_densities_are_summed_over_plates_in_float32():
    x = torch.randn(8, 200)

    def model(x):
        with pyro.plate("pixels", 200, dim=-2), rows(x):
            pyro.sample("x", Rounded(torch.zeros(200, 1), 1.0), obs=x.T)

    term = log_terms(model, lambda x: None, x).likelihood["x"]
    rounded = Rounded(0.0, 1.0).log_prob(x)
    assert rounded.dtype == torch.bfloat16
    assert_close(term[0], rounded.float().sum(-1), rtol=1e-6, atol=0)


def test_a_product_in_a_log_density_is_not_rounded():
    marginal = dist.LowRankMultivariateNormal(torch.zeros(6), torch.randn(6, 2), torch.ones(6))
    x = torch.randn(8, 6)

    def model(x):
        with rows(x):
            pyro.sample("x", marginal, obs=x)

    with bfloat16():
        term = log_terms(model, lambda x: None, x).likelihood["x"]
        assert not torch.equal(term[0], marginal.log_prob(x))
    assert torch.equal(term[0], marginal.log_prob(x))


@pytest.mark.parametrize("build", FLOWS.values(), ids=FLOWS)
def test_a_flow_is_scored_in_float32_at_the_draws_that_it_knows(build):
    with bfloat16():
        terms = log_terms(*flow_pair(build()), torch.randn(8, 6), num_particles=5)
    assert terms.log_weight.isfinite().all()
    assert {terms.posterior["z"].dtype, terms.log_weight.dtype} == {torch.float32}


@pytest.mark.parametrize("name", ["affine", "coupling"])
def test_a_flow_is_scored_at_given_draws_by_networks_as_they_drew(name):
    # Its inverse multiplies draws in bfloat16 by weights in float32, which autocast alone allows.
    model, guide = flow_pair(FLOWS[name]())
    estimator = IWAE(5, gradient=StickingTheLanding())
    with bfloat16():
        loss = estimator.differentiable_loss(model, guide, torch.randn(8, 6))
    assert loss.isfinite()
    assert loss.dtype == torch.float32


def test_every_part_of_a_distribution_is_widened_and_its_own_left_alone():
    base = dist.Normal(torch.randn(5, 3).bfloat16(), torch.rand(5, 3).half())
    nested, x = base.to_event(1).mask(torch.ones(5).bool()), torch.randn(5, 3)
    expected = dist.Normal(base.loc.float(), base.scale.float()).log_prob(x).sum(-1)
    assert torch.equal(wide(nested).log_prob(x), expected)
    assert nested.base_dist.base_dist is base
    assert (base.loc.dtype, base.scale.dtype) == (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_distribution_without_parameters_in_bfloat16_is_returned_itself(dtype):
    fn = dist.Normal(torch.zeros(5, 3, dtype=dtype), 1.0).to_event(1).mask(True)
    assert wide(fn) is fn
