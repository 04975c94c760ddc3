"""The mixture of diagonal Gaussians: its density, and the path gradient of its draws."""

import pyro.distributions as dist
import pytest
import torch

from ppvae.distributions import DiagonalMixture, Stratum

# 5 standard errors of a normal estimate are passed by chance once in 1.7 million values; the tests
# below look at about 40 of them, at one seed.
WITHIN = 5.0


def parameters(components=3, latent_dim=2):
    return [
        each.requires_grad_()
        for each in (
            torch.randn(components),
            torch.randn(components, latent_dim),
            0.3 * torch.randn(components, latent_dim),
        )
    ]


def mixture(logits, loc, log_scale):
    return DiagonalMixture(logits, loc, log_scale.exp())


def test_the_density_is_that_of_torch():
    logits, loc, log_scale = parameters()
    parts = dist.Normal(loc, log_scale.exp()).to_event(1)
    expected = torch.distributions.MixtureSameFamily(dist.Categorical(logits=logits), parts)
    z = torch.randn(50, 2)
    found = mixture(logits, loc, log_scale)
    torch.testing.assert_close(found.log_prob(z), expected.log_prob(z), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.variance, expected.variance)
    assert found.expand((4, 3)).log_prob(z[:12].reshape(4, 3, 2)).shape == (4, 3)


def test_one_component_is_a_gaussian_with_its_own_gradient():
    logits, loc, log_scale = parameters(components=1)
    z = mixture(logits, loc, log_scale).rsample((5,))
    slopes = torch.autograd.grad(z.sum(), [loc, log_scale])
    torch.testing.assert_close(slopes[0], torch.full((1, 2), 5.0))
    torch.testing.assert_close(slopes[1], (z - loc).sum(0, keepdim=True))


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_the_path_gradient_of_a_mean_is_exact_in_expectation(latent_dim):
    """Of E[(sum_d a_d z_d)^2], whose mean and variance are sums over components."""
    held = parameters(latent_dim=latent_dim)
    direction = torch.linspace(1.0, -0.5, latent_dim)
    logits, loc, log_scale = held
    mean = (loc * direction).sum(-1)
    square = mean**2 + ((log_scale.exp() * direction) ** 2).sum(-1)
    exact = torch.autograd.grad((logits.softmax(0) * square).sum(), held)
    rows = [each.detach().expand(20_000, *each.shape).requires_grad_() for each in held]
    z = mixture(*rows).rsample()
    slopes = torch.autograd.grad(((z * direction).sum(-1) ** 2).sum(), rows)
    for slope, truth in zip(slopes, exact, strict=True):
        error = (slope.mean(0) - truth) / (slope.std(0) / 20_000**0.5)
        assert float(error.abs().max()) < WITHIN


def test_far_out_in_a_tail_a_gradient_stays_finite():
    logits, loc, log_scale = parameters(latent_dim=1)
    far = (loc * 0 + torch.tensor([[0.0], [60.0], [-60.0]])).detach().requires_grad_()
    z = mixture(logits, far, log_scale).rsample((1000,))
    for slope in torch.autograd.grad(z.sum(), [logits, far, log_scale]):
        assert slope.isfinite().all()


def test_a_draw_without_a_gradient_has_none():
    assert not mixture(*parameters()).sample((3,)).requires_grad
    assert mixture(*parameters()).rsample((3,)).requires_grad


def test_a_component_and_its_draw_have_the_density_of_the_mixture():
    q = mixture(*parameters())
    z, component = torch.randn(50, 2), torch.arange(50) % 3
    choice = dist.Categorical(logits=q.logits)
    found = choice.log_prob(component) + Stratum(q, component).log_prob(z)
    torch.testing.assert_close(found, q.log_prob(z), rtol=0, atol=1e-12)


def test_a_component_is_drawn_from_itself():
    logits, loc, log_scale = (each.detach() for each in parameters())
    found = Stratum(mixture(logits, loc, log_scale), torch.tensor([[2], [0]]))
    assert found.batch_shape == (2, 1)
    z = found.expand((2, 20_000)).rsample()
    for row, component in enumerate((2, 0)):
        error = log_scale[component].exp() / 20_000**0.5
        assert float(((z[row].mean(0) - loc[component]) / error).abs().max()) < WITHIN
        torch.testing.assert_close(found.mean[row, 0], loc[component])
        torch.testing.assert_close(found.variance[row, 0], (2 * log_scale[component]).exp())
