"""Labels of which some are observed, soft ones, priors over labels, and networks of labels."""

import math

import pytest
import torch
from torch.testing import assert_close

from ppvae.distributions import (
    CategoricalPrior,
    GumbelLabels,
    PartlyObserved,
    RelaxedLabel,
    RelaxedPrior,
    refuse_labels,
)
from ppvae.networks import MLP, FirstInput, Frozen, one_hot

EXACT = {"rtol": 0, "atol": 1e-12}
Y = torch.tensor([2, -1, 0])


@pytest.fixture
def logits():
    return torch.randn(3, 4).requires_grad_()


def test_a_labelled_row_is_a_point_and_the_others_are_the_classifiers(logits):
    found = PartlyObserved(logits, Y).log_prob(torch.arange(4)[:, None])
    expected = logits.log_softmax(-1).T.clone()
    expected[:, [0, 2]] = -math.inf
    expected[2, 0] = expected[0, 2] = 0.0
    assert_close(found, expected, **EXACT)


@pytest.mark.parametrize("expand", [False, True])
def test_all_labels_are_scored_at_once(logits, expand):
    labels = PartlyObserved(logits, Y).expand([5, 3])
    support = labels.enumerate_support(expand=expand)
    assert support.shape == ((4, 5, 3) if expand else (4, 1, 1))
    one_by_one = labels.log_prob(torch.arange(4)[:, None, None])
    assert_close(labels.log_prob(support), one_by_one, **EXACT)
    assert_close(one_by_one.exp().sum(0), torch.ones(5, 3), **EXACT)


def test_a_labelled_row_has_no_gradient_and_none_is_nan(logits):
    scores = PartlyObserved(logits, Y).log_prob(torch.arange(4)[:, None])
    (gradient,) = torch.autograd.grad(scores.exp().square().sum(), logits)
    assert gradient.isfinite().all()
    assert not gradient[[0, 2]].any() and gradient[1].any()


def test_the_classifiers_term_is_that_of_labelled_rows(logits):
    labels = PartlyObserved(logits, Y)
    expected = logits.log_softmax(-1)[[0, 1, 2], [2, 0, 0]] * torch.tensor([1.0, 0.0, 1.0])
    assert_close(labels.log_label, expected, **EXACT)
    assert labels.observed.tolist() == [True, False, True]


def test_draws_are_the_labels_and_otherwise_follow_q(logits):
    """Each of three shares within 5 standard errors: a false alarm in 10^6 runs."""
    drawn = PartlyObserved(logits, Y).sample([20_000])
    assert (drawn[:, 0] == 2).all() and (drawn[:, 2] == 0).all()
    share = logits[1].softmax(-1).detach()
    found = drawn[:, 1].bincount(minlength=4) / 20_000
    assert ((found - share).abs() < 5 * (share * (1 - share) / 20_000).sqrt()).all()


def test_scores_keep_the_dtype_of_the_logits():
    labels = PartlyObserved(torch.zeros(3, 4, dtype=torch.float32), Y)
    assert labels.log_prob(Y.clamp(min=0)).dtype == torch.float32
    assert labels.log_label.dtype == torch.float32


def test_soft_draws_lie_on_the_simplex_and_labels_at_their_corner(logits):
    soft = RelaxedLabel(logits, 0.7, Y)
    drawn = soft.rsample([50])
    assert_close(drawn.sum(-1), torch.ones(50, 3), **EXACT)
    assert torch.equal(drawn[:, 0], one_hot(Y[0], 4, drawn.dtype).expand(50, 4))
    assert (drawn[:, 1] > 0).all()
    (gradient,) = torch.autograd.grad(drawn.square().sum(), logits)
    assert gradient[1].any() and not gradient[[0, 2]].any()


def test_soft_scores_are_the_labels_own_at_the_corners(logits):
    hard, soft = PartlyObserved(logits, Y), RelaxedLabel(logits, 0.7, Y)
    for label in range(4):
        corner = one_hot(torch.tensor(label), 4, logits.dtype)
        assert_close(soft.log_prob(corner)[1], hard.log_prob(torch.tensor(label))[1], **EXACT)
    assert not soft.log_prob(corner)[[0, 2]].any()


def test_soft_draws_at_low_temperature_are_labels_of_their_probability():
    """Each of three shares within 5 standard errors: a false alarm in 10^6 runs."""
    share = torch.tensor([0.2, 0.3, 0.5])
    found = RelaxedPrior(share, temperature=0.01)().rsample([20_000]).argmax(-1).bincount() / 20_000
    assert ((found - share).abs() < 5 * (share * (1 - share) / 20_000).sqrt()).all()


def test_priors_over_labels_are_as_they_were_given():
    assert_close(CategoricalPrior(torch.tensor([1.0, 3.0]))().probs, torch.tensor([0.25, 0.75]))
    assert_close(CategoricalPrior.uniform(4)().probs, torch.full((4,), 0.25))
    counted = CategoricalPrior.empirical(torch.tensor([0, 2, 1, 2, -1]), 3)
    assert_close(counted().probs, torch.tensor([0.25, 0.25, 0.5]))


def test_a_network_of_the_first_input_leaves_the_others_alone():
    network = MLP(3, [4], 2)
    x, y = torch.randn(5, 3), torch.randn(7, 1, 2)
    assert torch.equal(FirstInput(network)(x, y), network(x))


def test_a_frozen_network_is_kept_and_not_moved():
    network = MLP(3, [4], 2)
    frozen, x = Frozen(network), torch.randn(5, 3)
    assert torch.equal(frozen(x), network(x))
    assert not list(frozen.parameters()) and len(list(frozen.buffers())) == 4
    assert frozen.state_dict().keys() == {f"network.{name}" for name in network.state_dict()}
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    assert not torch.equal(frozen(x), network(x))


def test_a_frozen_network_stays_in_evaluation():
    frozen = Frozen(torch.nn.Dropout(0.5)).train()
    assert torch.equal(frozen(torch.ones(100)), torch.ones(100))


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0, 4, 1], ValueError, "y must be a label from 0 to 3, or -1 where .*; got 4"),
        ([0, -2, 1], ValueError, "y must be a label from 0 to 3, or -1 where .*; got -2"),
        ([0, 1], ValueError, r"y must hold one label a row, \(3,\); got shape \(2,\)"),
        ([[0], [1], [2]], ValueError, r"y must hold one label a row, \(3,\); got shape \(3, 1\)"),
        ([0.0, 1.0, 2.0], TypeError, r"y must hold whole numbers; got torch.float64"),
        ([True, False, True], TypeError, r"y must hold whole numbers; got torch.bool"),
    ],
)
def test_bad_labels_are_refused(y, error, message):
    with pytest.raises(error, match=message):
        PartlyObserved(torch.zeros(3, 4), torch.tensor(y))


def test_a_missing_label_is_refused_where_all_must_be_known():
    with pytest.raises(ValueError, match="y must be a label from 0 to 3, in every row; got -1"):
        refuse_labels(Y, (3,), 4, all_observed=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CategoricalPrior(torch.ones(1)), r"probabilities must be \(C,\).* got shape"),
        (lambda: CategoricalPrior(torch.ones(2, 2)), r"probabilities must be \(C,\).* \(2, 2\)"),
        (lambda: CategoricalPrior(torch.tensor([1.0, 0.0])), "probabilities must be positive"),
        (lambda: RelaxedPrior(torch.tensor([1.0, -1.0])), "probabilities must be positive"),
        (lambda: RelaxedPrior(torch.ones(2), 0.0), "temperature must be positive and finite"),
        (lambda: GumbelLabels(math.inf), "temperature must be positive and finite; got inf"),
        (lambda: CategoricalPrior.empirical(torch.tensor([0, 0, 2]), 3), r"got counts \[2, 0, 1\]"),
        (lambda: CategoricalPrior.empirical(torch.tensor([0, 1, 2]), 2), r"got counts \[1, 1, 1\]"),
    ],
)
def test_bad_parts_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
