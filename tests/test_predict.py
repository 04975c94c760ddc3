"""Labels by the guide and by Bayes' rule, held against exact posteriors and scikit-learn."""

import importlib

import numpy as np
import pytest
import torch
from labelled_pairs import CLASSES, cvae, m1_m2, m2
from numpy.testing import assert_allclose
from programs import binary_vae
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, confusion_matrix

import ppvae
from ppvae.distributions import GaussianLikelihood
from ppvae.predict import LabelProbabilities, predict

P = 4


def exact_pair():
    """x = W z + V y + noise with one z, and q(z|x, y) the exact posterior; with log p(x, y)."""
    model, guide = m2(P, GaussianLikelihood(0.7), hidden=())
    model.prior = ppvae.distributions.StandardNormal(1)
    model.decoder = ppvae.networks.MLP([1, CLASSES], [], P)
    guide.encoder = ppvae.networks.MLP([P, CLASSES], [], 2)
    layer, encoder = model.decoder.layers[0], guide.encoder.layers[0]
    w, v, b = layer.weight[:, :1], layer.weight[:, 1:], layer.bias
    precision = 1 + w.square().sum() / 0.49
    towards = w.T / 0.49 / precision
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.weight[:1] = torch.cat([towards, -towards @ v], 1)
        encoder.bias.copy_(torch.cat([-towards @ b, -0.5 * precision.log()[None]]))
    cov = w @ w.T + 0.49 * torch.eye(P)

    def log_joint(x):
        of_y = [torch.distributions.MultivariateNormal(v[:, c] + b, cov) for c in range(CLASSES)]
        return torch.stack([d.log_prob(x) for d in of_y], 1) + model.label_prior.logits

    return model, guide, log_joint


@pytest.fixture
def x():
    return torch.randn(30, P)


@pytest.mark.parametrize("num_particles", [1, 7])
def test_by_bayes_rule_the_labels_are_the_exact_posterior(x, num_particles):
    model, guide, log_joint = exact_pair()
    found = predict((model, guide), x, num_particles=num_particles)
    assert_allclose(found.bayes.probability, log_joint(x).softmax(1).detach(), atol=1e-10)
    assert_allclose(found.guide.probability, guide.classifier(x).softmax(1).detach(), atol=1e-10)


def test_by_bayes_rule_they_come_near_with_any_guide(x):
    """Within 5 standard errors of the exact posterior, by the delta method over ten seeds."""
    model, guide, log_joint = exact_pair()
    with torch.no_grad():
        # Off by another amount for each label: alike, it would leave their odds alone.
        shift = torch.tensor([[0.9, 0.0, -0.6], [0.4, 0.0, 0.3]])
        guide.encoder.layers[0].weight[:, P:] += shift
    draws = [predict((model, guide), x, num_particles=2000, seed=s) for s in range(10)]
    found = np.stack([each.bayes.probability for each in draws])
    exact = log_joint(x).softmax(1).detach().numpy()
    error = found.std(0, ddof=1) / 10**0.5
    assert (np.abs(found.mean(0) - exact) <= 6 * error + 1e-6).all()


def test_labels_that_the_batch_holds_are_hidden_and_compared(x):
    model, guide, _ = exact_pair()
    y = torch.arange(30) % CLASSES
    without, found = (predict((model, guide), batch) for batch in (x, {"x": x, "y": y}))
    for one, other in zip(without, found, strict=True):
        assert np.array_equal(one.probability, other.probability)
    for each in found:
        assert each.accuracy == accuracy_score(y, each.label)
        assert np.array_equal(each.confusion, confusion_matrix(y, each.label, labels=range(3)))


def test_rows_without_a_label_are_left_out_of_the_comparison():
    probability, y = np.eye(3)[[0, 1, 2, 2]], np.array([0, -1, 1, 2])
    found = LabelProbabilities(probability, y)
    assert found.accuracy == 2 / 3
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_calibration_is_scikit_learns_curve_and_its_mean_gap():
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([0.6] * 4, size=500)
    y = np.array([rng.choice(4, p=p) for p in probability])
    found = LabelProbabilities(probability, y).calibration(bins=8)
    right = probability.argmax(1) == y
    accuracy, confidence = calibration_curve(right, probability.max(1), n_bins=8)
    full = found.rows > 0
    assert_allclose(found.accuracy[full], accuracy)
    assert_allclose(found.confidence[full], confidence)
    assert found.rows.sum() == 500
    gaps = np.abs(found.accuracy - found.confidence)[full] * found.rows[full]
    assert_allclose(found.error, gaps.sum() / 500)


def test_a_sure_and_right_prediction_has_no_calibration_error():
    found = LabelProbabilities(np.eye(3), np.arange(3)).calibration()
    assert found.error == 0 and found.rows.tolist() == [0] * 9 + [3]


def test_rows_are_scored_in_parts_of_a_fixed_size(x, monkeypatch):
    model, guide, log_joint = exact_pair()
    # The package has the function under the name of the module.
    monkeypatch.setattr(importlib.import_module("ppvae.predict"), "_AT_ONCE", 100)
    found = predict((model, guide), x, num_particles=7)
    assert_allclose(found.bayes.probability, log_joint(x).softmax(1).detach(), atol=1e-10)


def test_the_pair_and_the_generators_are_left_as_they_were(x):
    model, guide, _ = exact_pair()
    before = torch.get_rng_state()
    predict((model, guide), x, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training and guide.training


def test_labels_that_depend_on_a_draw_are_averaged_over_draws():
    pair, x = m1_m2(P), torch.rand(5, P).round()
    found = predict(pair, x, num_particles=50)
    for each in found:
        assert_allclose(each.probability.sum(1), 1.0)


def test_what_is_found_is_said_in_words(x):
    model, guide, _ = exact_pair()
    y = torch.arange(30) % CLASSES
    assert "none known to compare with" in str(predict((model, guide), x))
    assert "none known" in str(predict((model, guide), {"x": x, "y": torch.full_like(y, -1)}))
    assert "q(y|x) of the guide" in str(predict((model, guide), {"x": x, "y": y}))


BINARY = torch.ones(5, P, dtype=torch.float64)


@pytest.mark.parametrize(
    ("pair", "batch"),
    [
        (lambda: m2(P, enumerated=False), {"x": BINARY}),
        (lambda: m2(P, soft=True), {"x": BINARY}),
        (lambda: cvae(P), {"x": BINARY, "y": torch.zeros(5, dtype=torch.int64)}),
        (binary_vae, {"x": torch.ones(5, 6, dtype=torch.float64)}),
    ],
    ids=["drawn", "soft", "cvae", "vae"],
)
def test_a_pair_without_a_label_that_is_summed_out_is_refused(pair, batch):
    message = (
        r"predict needs a guide that sums out the label 'y' .*; got \[\] of the sites|in every"
    )
    with pytest.raises(ValueError, match=message):
        predict(pair(), batch)


def test_bad_numbers_are_refused(x):
    model, guide, _ = exact_pair()
    with pytest.raises(ValueError, match="num_particles must be at least 1; got 0"):
        predict((model, guide), x, num_particles=0)
    found = predict((model, guide), x)
    with pytest.raises(ValueError, match="y must be known in some rows to be compared with"):
        _ = found.guide.accuracy
    with pytest.raises(ValueError, match="bins must be at least 1; got 0"):
        LabelProbabilities(np.eye(2), np.arange(2)).calibration(0)
