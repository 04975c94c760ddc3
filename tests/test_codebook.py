"""A codebook is k-means by moving averages, and quantises without a say in the gradient."""

import math

import pytest
import torch
from sklearn.cluster import KMeans, kmeans_plusplus
from torch import nn
from torch.distributions import Categorical

from ppvae.networks import Codebook, perplexity


def clusters(num_rows, spread=0.3):
    """Rows around 8 centres far apart, of unlike weights, and the centres."""
    centres = 4 * torch.randn(8, 3)
    weights = torch.linspace(1.0, 3.0, 8)
    which = Categorical(weights / weights.sum()).sample((num_rows,))
    return centres[which] + spread * torch.randn(num_rows, 3)


def distortion(codebook, rows):
    """The mean squared distance to the nearest code."""
    return (rows - codebook.at(codebook.nearest(rows))).square().sum(-1).mean()


def moved(codebook, rows, epochs, batch=200):
    codebook.train()
    for _ in range(epochs):
        for part in rows[torch.randperm(len(rows))].split(batch):
            codebook(part)
    return codebook.eval()


def test_on_gaussian_clusters_it_is_the_k_means_solution():
    rows = clusters(4000)
    start, _ = kmeans_plusplus(rows.numpy(), 8, random_state=0)
    codebook = Codebook(8, 3)
    codebook.begin_at(torch.as_tensor(start))
    found = distortion(moved(codebook, rows, 60), rows)
    exact = KMeans(8, n_init=20, random_state=0).fit(rows.numpy()).inertia_ / len(rows)
    assert exact * (1 - 1e-9) <= float(found) < 1.01 * exact


def test_with_more_codes_than_clusters_none_is_dead():
    rows = clusters(4000)
    codebook = moved(Codebook(16, 3, restart_below=0.05), rows, 40)
    assert torch.bincount(codebook.nearest(rows), minlength=16).min() > 0


@pytest.mark.parametrize("restart_below, dead", [(0.0, True), (0.05, False)])
def test_a_code_far_from_all_rows_begins_anew_if_it_may(restart_below, dead):
    rows = clusters(2000)
    codebook = Codebook(8, 3, restart_below=restart_below)
    codebook.begin_at(torch.cat([torch.full((1, 3), 1e3), rows[:7]]))
    assert bool((moved(codebook, rows, 60).nearest(rows) == 0).any()) is not dead


def test_one_step_is_the_formula():
    codebook = Codebook(3, 2, decay=0.9, restart_below=0.0)
    codebook.begin_at(torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]))
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [5.0, 1.0]])
    codebook.train()(rows)
    uses = torch.tensor([0.9 + 0.1 * 2, 0.9 + 0.1, 0.9])
    sums = torch.tensor([[0.0, 0.1], [0.9 * 4 + 0.5, 0.1], [0.0, 0.9 * 4]])
    torch.testing.assert_close(codebook.uses, uses)
    torch.testing.assert_close(codebook.codes, sums / uses[:, None])


@pytest.mark.parametrize("make", [Codebook.eval, lambda c: nn.Sequential(c.hold()).train()[0]])
def test_in_evaluation_and_held_it_stays(make):
    codebook = make(Codebook(3, 2))
    before = codebook.codes.clone()
    codebook(torch.randn(5, 2))
    assert torch.equal(codebook.codes, before)


def test_what_is_quantised_is_a_code_and_its_jacobian_the_identity():
    codebook = moved(Codebook(4, 3), torch.randn(100, 3), 2)
    rows = torch.randn(2, 5, 3)
    jacobian = torch.autograd.functional.jacobian(codebook, rows)
    assert torch.equal(jacobian.reshape(30, 30), torch.eye(30))
    nearest = torch.cdist(rows, codebook.codes).argmin(-1)
    assert torch.equal(codebook(rows), codebook.codes[nearest])


def test_perplexity_is_the_exponential_of_the_entropy():
    shares = torch.tensor([0.5, 0.25, 0.25])
    exact = math.exp(float(Categorical(shares).entropy()))
    assert float(perplexity(torch.tensor([[0, 0], [1, 3]]), 4)) == pytest.approx(exact, abs=1e-12)
    assert float(perplexity(torch.arange(8), 8)) == pytest.approx(8.0, abs=1e-12)
    assert float(perplexity(torch.zeros(5, dtype=torch.int64), 8)) == 1.0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 1}, "size of a codebook must be at least 2; got 1"),
        ({"code_dim": 0}, "code_dim must be at least 1; got 0"),
        ({"decay": 1.0}, r"decay must be in \[0, 1\); got 1.0"),
        ({"restart_below": -0.1}, r"restart_below must be in \[0, 1\); got -0.1"),
    ],
)
def test_a_codebook_of_one_and_other_misfits_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Codebook(**{"size": 4, "code_dim": 2, **arguments})


def test_codes_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"codes must be \(4, 2\); got shape \(4, 3\)"):
        Codebook(4, 2).begin_at(torch.zeros(4, 3))


def test_vectors_of_another_width_are_refused():
    with pytest.raises(ValueError, match="vectors must be as wide as the codes, 2; got shape"):
        Codebook(4, 2)(torch.randn(3, 5))
