"""What EM and the mixtures refuse, each in one sentence."""

import pyro
import pyro.distributions as dist
import pytest
import torch

from ppvae import ScoreClimbing, em
from ppvae.distributions import DiagonalCovariance, FullCovariance, TiedCovariance
from ppvae.em import joint_table
from ppvae.guides import EmptyGuide, PerDatumCategoricalGuide
from ppvae.models import GaussianMixture

HALF = torch.tensor([0.5, 0.5])


def no_site(x):
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("x", dist.Normal(torch.zeros(()), 1.0), obs=x)


def continuous(x):
    with pyro.plate("data", len(x), dim=-1):
        z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x.unsqueeze(-1))


def shared(x):
    y = pyro.sample("y", dist.Categorical(HALF))
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("x", dist.Normal(1.0 * y, 1.0), obs=x)


def a_part(x):
    with pyro.plate("data", 4 * len(x), subsample=torch.arange(len(x)), dim=-1):
        pyro.sample("y", dist.Categorical(HALF))
        pyro.sample("x", dist.Normal(torch.zeros(()), 1.0), obs=x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (no_site, "model must have a latent site to enumerate; got none"),
        (continuous, "must have finitely many values.*; got 'z' of Normal"),
        (shared, "enumerated sites must be in plate 'data' alone; got 'y'"),
        (a_part, "batch must hold all rows; got 1 row in 4"),
    ],
)
def test_a_model_that_has_no_table_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        em(model, torch.randn(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"steps must be at least 1; got 0\."),
        ({"inner_steps": 0}, r"inner_steps must be at least 1; got 0\."),
        ({"tolerance": -1.0}, r"tolerance must be at least 0 and finite; got -1.0\."),
        ({"tolerance": float("nan")}, "tolerance must be at least 0 and finite; got nan"),
    ],
)
def test_a_number_without_meaning_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        em(GaussianMixture(torch.eye(2), FullCovariance(2, 2)), torch.randn(5, 2), **settings)


def test_a_model_without_parameters_is_refused():
    def model(x):
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", dist.Categorical(HALF))
            pyro.sample("x", dist.Normal(1.0 * y, 1.0), obs=x)

    with pytest.raises(ValueError, match="model must have a parameter to learn; got none"):
        em(model, torch.randn(3))


def test_an_m_step_that_lowers_the_bound_is_refused():
    model = GaussianMixture(torch.eye(2), FullCovariance(2, 2))

    def away(x, posterior):
        model.means += 10.0

    message = r"the M-step \(m_step\) of step 1 must not lower the objective; got .* after"
    with pytest.raises(ValueError, match=message):
        em(model, torch.randn(5, 2), m_step=away)


def test_an_m_step_that_asks_for_what_is_not_there_is_refused():
    model = GaussianMixture(torch.eye(2), FullCovariance(2, 2))
    with pytest.raises(ValueError, match=r"m_step must ask for fields .*\['x'\]; got 'weight'\."):
        em(model, {"x": torch.randn(5, 2)}, m_step=lambda x, weight, posterior: None)


def test_a_component_without_rows_is_refused():
    # So far away that its responsibilities are 0 in every digit.
    model = GaussianMixture(torch.tensor([[0.0], [1e6]]), DiagonalCovariance(2, 1))
    with pytest.raises(ValueError, match=r"responsible for some row; got none for component 1\."):
        em(model, torch.randn(9, 1))


@pytest.mark.parametrize("kind", [FullCovariance, DiagonalCovariance])
def test_a_component_that_falls_on_one_row_is_refused(kind):
    x = torch.cat([torch.randn(9, 2), torch.full((1, 2), 50.0)])
    model = GaussianMixture(torch.tensor([[0.0, 0.0], [50.0, 50.0]]), kind(2, 2))
    with pytest.raises(ValueError, match=r"must be positive.* in component 1 \(it may lie on too"):
        em(model, x)


def test_a_posterior_of_another_table_is_refused():
    table = joint_table(GaussianMixture(torch.eye(2), FullCovariance(2, 2)), torch.randn(5, 2))
    with pytest.raises(ValueError, match=r"posterior must be \(5, 2\).*; got shape \(4, 2\)\."):
        table.elbo(torch.ones(4, 2) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2), FullCovariance(2, 2)), r"means must be \(C, P\).*; got shape \(2,\)"),
        ((torch.zeros(0, 2), FullCovariance(1, 2)), r"C and P at least 1; got shape \(0, 2\)"),
        ((torch.eye(2), FullCovariance(3, 2)), r"covariance must be .*\(2, 2\); got \(3, 2\)"),
        ((torch.eye(2), TiedCovariance(2, 2), torch.ones(3) / 3), "weights must be 2 positive"),
        ((torch.eye(2), TiedCovariance(2, 2), torch.tensor([1.0, 0.0])), "weights must be 2 posi"),
        ((torch.eye(2), TiedCovariance(2, 2), torch.ones(2)), "weights must have sum 1; got 2"),
    ],
)
def test_a_mixture_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(*arguments)


def test_rows_of_another_width_are_refused():
    model = GaussianMixture(torch.eye(2), FullCovariance(2, 2))
    with pytest.raises(ValueError, match=r"x must be \(B, 2\); got shape \(5, 3\)\."):
        em(model, torch.randn(5, 3))


@pytest.mark.parametrize("kind", [FullCovariance, TiedCovariance, DiagonalCovariance])
def test_covariances_of_no_size_or_another_shape_are_refused(kind):
    with pytest.raises(ValueError, match=r"components must be at least 1; got 0\."):
        kind(0, 2)
    with pytest.raises(ValueError, match=r"data_dim must be at least 1; got 0\."):
        kind(2, 0)
    with pytest.raises(ValueError, match=r"covariance must have shape .*; got \(5, 5\)\."):
        kind(2, 3).assign(torch.eye(5))


def test_score_climbing_of_a_guide_that_draws_nothing_is_refused():
    model, x = GaussianMixture(torch.eye(2), FullCovariance(2, 2)), torch.randn(5, 2)
    with pytest.raises(ValueError, match=r"ScoreClimbing must draw every .* plate; got none\."):
        batch = {"x": x, "index": torch.arange(5)}
        ScoreClimbing(5, num_rows=5).differentiable_loss(model, EmptyGuide(), **batch)


def test_a_table_of_labels_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"num_rows must be at least 1; got 0\."):
        PerDatumCategoricalGuide(0, 2)
    with pytest.raises(ValueError, match=r"classes must be at least 1; got 0\."):
        PerDatumCategoricalGuide(2, 0)
    with pytest.raises(ValueError, match=r"index must hold one number for each row of x, \(3,\)"):
        PerDatumCategoricalGuide(5, 2)(torch.randn(3, 1), torch.arange(2))
