"""Gradient estimators: the mean of each is the exact gradient that it claims."""

import itertools

import pytest
import torch
from gradient_problems import (
    bits,
    drawn_gradients,
    exact_gradient,
    exact_sum,
    gradients,
    label_and_bit,
    layered,
    mixed,
    squared,
)
from torch import nn
from torch.testing import assert_close

from ppvae import ELBO, IWAE, Renyi
from ppvae.estimators import (
    CIWAE,
    MIWAE,
    VIMCO,
    DoublyReparameterized,
    LeaveOneOut,
    MovingAverage,
    NeuralBaseline,
    ScoreFunction,
    StickingTheLanding,
)
from ppvae.testing.enumerated import expected_gradient
from ppvae.testing.problems import linear


class RowSum(nn.Module):
    """A guess at the signal that differs from row to row."""

    def forward(self, x):
        return x.double() - 2.0


def seen(baseline):
    """A moving average that has seen a signal."""
    baseline.observe(torch.tensor([-3.0]))
    return baseline


BASELINES = {
    "none": lambda: None,
    "average": lambda: seen(MovingAverage(0.9)),
    "network": lambda: NeuralBaseline(RowSum()),
    "others": LeaveOneOut,
}
of_an_elbo = {
    f"score-{n}": (lambda b=b: ELBO(2, gradient=ScoreFunction(b()))) for n, b in BASELINES.items()
}
ON_BITS = of_an_elbo | {
    "score-kl": lambda: ELBO(2, True, gradient=ScoreFunction(LeaveOneOut())),
    "score-iwae": lambda: IWAE(2, gradient=ScoreFunction(seen(MovingAverage()))),
    "vimco-2": lambda: IWAE(2, gradient=VIMCO()),
    "vimco-3": lambda: IWAE(3, gradient=VIMCO()),
    "vimco-renyi": lambda: Renyi(0.5, 2, gradient=VIMCO()),
    "vimco-ciwae": lambda: CIWAE(0.3, 2, gradient=VIMCO()),
    "vimco-miwae": lambda: MIWAE(2, 2, gradient=VIMCO()),
}


@pytest.mark.parametrize("make", ON_BITS.values(), ids=ON_BITS)
def test_summed_over_all_draws_of_two_bits_the_gradient_is_exact(make):
    followed, exact = expected_gradient(make(), bits)
    assert_close(followed, exact, rtol=0, atol=1e-10)


def everything_scored(baseline=None):
    return ScoreFunction(baseline, reparameterize=False)


UNBIASED = {
    "stl-layered": (layered, lambda: ELBO(2, gradient=StickingTheLanding())),
    "stl-squared": (squared, lambda: ELBO(gradient=StickingTheLanding())),
    "dreg-squared": (squared, lambda: IWAE(2, gradient=DoublyReparameterized())),
    "dreg-renyi": (squared, lambda: Renyi(0.5, 2, gradient=DoublyReparameterized())),
    "dreg-ciwae": (squared, lambda: CIWAE(0.3, 2, gradient=DoublyReparameterized())),
    "dreg-negative": (squared, lambda: Renyi(-1.0, 2, gradient=DoublyReparameterized())),
    "score-layered": (layered, lambda: ELBO(2, gradient=everything_scored(LeaveOneOut()))),
    "score-kl": (layered, lambda: ELBO(2, True, gradient=everything_scored(LeaveOneOut()))),
    "score-squared": (squared, lambda: ELBO(gradient=everything_scored(seen(MovingAverage())))),
    "score-iwae": (squared, lambda: IWAE(2, gradient=everything_scored())),
    "mixed-score": (mixed, lambda: ELBO(gradient=ScoreFunction())),
    "mixed-score-kl": (mixed, lambda: ELBO(2, True, gradient=ScoreFunction(LeaveOneOut()))),
    "mixed-everything": (mixed, lambda: ELBO(2, gradient=everything_scored())),
    "mixed-score-iwae": (mixed, lambda: IWAE(2, gradient=ScoreFunction(), expected=True)),
    "mixed-vimco": (mixed, lambda: IWAE(2, gradient=VIMCO(), expected=True)),
    "label-score": (label_and_bit, lambda: ELBO(gradient=ScoreFunction())),
    "label-vimco": (label_and_bit, lambda: IWAE(2, gradient=VIMCO(), expected=True)),
}


def assert_unbiased(drawn, exact):
    """The mean of the draws lies within 5 of its standard errors of the exact gradient."""
    for name, gradient in drawn.items():
        error = gradient.std(0) / len(gradient) ** 0.5
        away = (gradient.mean(0) - exact[name].sum(0)).abs()
        assert (away <= 5 * error + 1e-8).all(), (name, away / error)


@pytest.mark.parametrize("make, estimator", UNBIASED.values(), ids=UNBIASED)
def test_the_mean_gradient_is_the_exact_one(make, estimator):
    assert estimator().gradient.biased_for(estimator()) is None
    assert_unbiased(drawn_gradients(make, estimator()), exact_gradient(make, estimator()))


@pytest.mark.parametrize("gradient", [ScoreFunction, VIMCO])
def test_labels_inside_of_the_weight_have_draws_of_their_own_that_all_count(gradient):
    row, (log_joint, log_guide) = exact_sum(label_and_bit)
    log_bit = log_guide - log_guide.logsumexp(1, keepdim=True)
    # Each of K = 2 draws is a bit for each of three labels.
    draws = torch.tensor(list(itertools.product([0, 1], repeat=3)))
    chance = sum(log_bit[y, draws[:, y]] for y in range(3)).exp()
    each = [log_joint[y, draws[:, y]] - log_bit[y, draws[:, y]] for y in range(3)]
    pairs = torch.cartesian_prod(*2 * [torch.stack(each).logsumexp(0)])
    bound = (torch.cartesian_prod(chance, chance).prod(1) * IWAE(2).of_weights(pairs.T)).sum()
    drawn = drawn_gradients(label_and_bit, IWAE(2, gradient=gradient()))
    assert_unbiased(drawn, gradients(row, bound))


def relative_variance(make, estimator, other, draws=20_000):
    """The variance of one estimator's guide gradient over that of another, by parameter."""
    return {
        name: float(ours.var(0).sum() / theirs.var(0).sum())
        for (name, ours), theirs in zip(
            drawn_gradients(make, estimator, draws).items(),
            drawn_gradients(make, other, draws).values(),
            strict=True,
        )
    }


def test_sticking_the_landing_goes_to_the_inclusive_kl_under_many_weights():
    row, (log_joint, log_guide) = exact_sum(squared)
    posterior = log_joint.detach().softmax(1)
    inclusive = gradients(row, (posterior * log_guide).sum())
    away = []
    for draws in (4, 64, 512):
        drawn = drawn_gradients(squared, IWAE(draws, gradient=StickingTheLanding()), 2000)
        away.append(abs(float(drawn["loc"].mean() - inclusive["loc"])))
        error = float(drawn["loc"].std() / 2000**0.5)
    assert away[0] > away[1] > away[2] - 2 * error
    assert away[2] < 5 * error + 0.02 * abs(float(inclusive["loc"]))


def test_sticking_the_landing_says_where_it_is_biased():
    stl = StickingTheLanding()
    for unbiased in (ELBO(3), IWAE(1), CIWAE(1.0, 4)):
        assert stl.biased_for(unbiased) is None
    for biased in (IWAE(2), Renyi(0.5, 2), MIWAE(2, 2)):
        assert "minus KL(p(z|x) || q(z|x))" in stl.biased_for(biased)


@pytest.mark.parametrize("make", [linear, layered])
@pytest.mark.parametrize(
    "estimator",
    [
        ELBO(3, gradient=StickingTheLanding()),
        IWAE(5, gradient=StickingTheLanding()),
        IWAE(5, gradient=DoublyReparameterized()),
        Renyi(0.5, 5, gradient=DoublyReparameterized()),
    ],
    ids=["stl", "stl-iwae", "dreg", "dreg-renyi"],
)
def test_at_the_exact_posterior_every_draw_of_the_guides_gradient_is_zero(make, estimator):
    drawn = drawn_gradients(lambda rows: make(rows, offset=0.0), estimator, 50)
    guided = {name: gradient for name, gradient in drawn.items() if name not in ("weight", "slope")}
    assert len(guided) >= 2
    assert all(gradient.abs().max() < 1e-12 for gradient in guided.values())


def test_doubly_reparameterized_guides_have_less_noise_at_64_draws():
    ratio = relative_variance(linear, IWAE(64, gradient=DoublyReparameterized()), IWAE(64), 2000)
    assert ratio["loc"] < 0.1 and ratio["log_scale"] < 0.3
    assert ratio["weight"] == pytest.approx(1.0)  # the model's gradient is the same one


def test_vimco_has_less_noise_than_the_plain_score_function():
    ratio = relative_variance(bits, IWAE(5, gradient=VIMCO()), IWAE(5, gradient=ScoreFunction()))
    assert ratio["logits"] < 0.5


def test_baselines_reduce_the_noise_of_the_score_function():
    plain = ELBO(4, gradient=ScoreFunction())
    for baseline in (
        LeaveOneOut(),
        MovingAverage(),
        {"b1": MovingAverage(), "b2": MovingAverage()},
    ):
        learned = ELBO(4, gradient=ScoreFunction(baseline))
        many = bits(500)
        learned.differentiable_loss(many.model, many.guide, many.x)
        ratio = relative_variance(bits, learned, plain)
        assert ratio["logits"] < 0.5


def test_one_draw_left_out_of_two_is_the_other():
    signal = torch.tensor([[1.0], [5.0]])
    assert_close(LeaveOneOut()(signal, None), signal.flip(0))
