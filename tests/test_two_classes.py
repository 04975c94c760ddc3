"""Two clusters of known Bayes error: rows without a label show where the classes part."""

import statistics

import pytest
import torch
from scipy.stats import norm

import ppvae
from ppvae.capture import Shared
from ppvae.data import load
from ppvae.data.simulated import two_means
from ppvae.experiment import build, find_recipe

BAYES = float(norm.cdf(1.75))


def accuracy(beta, label_seed, shared, epochs=None):
    data = load("two_classes", labels=10, label_seed=label_seed)
    experiment = build(find_recipe("two-classes"), data, beta=beta)
    run = ppvae.fit(experiment, data, epochs=epochs, threads=1, compile=shared, progress=False)
    return ppvae.predict(run, data.test, num_particles=1).guide.accuracy


def test_the_best_rule_is_right_as_often_as_it_is_said():
    """Of 12010 rows, within 5 standard errors."""
    data, mu = load("two_classes"), torch.from_numpy(two_means())
    right = [
        (fields["x"].double() @ mu > 0) == (fields["y"] == 1) for fields in data.splits.values()
    ]
    share = torch.cat(right).double().mean()
    assert abs(share - BAYES) < 5 * (BAYES * (1 - BAYES) / 12_010) ** 0.5
    assert len(data.train["x"]) == 2010


@pytest.fixture
def in_float32(fixed_start):
    torch.set_default_dtype(torch.float32)


@pytest.mark.slow
def test_with_ten_labels_unlabelled_rows_come_within_a_point_of_the_best_rule(in_float32):
    shared = {beta: Shared("auto") for beta in (1.0, 0.0)}
    found = {b: [accuracy(b, seed, shared[b]) for seed in range(10)] for b in shared}
    assert statistics.mean(found[1.0]) > BAYES - 0.01
    assert min(found[1.0]) > BAYES - 0.01
    assert statistics.mean(found[0.0]) < statistics.mean(found[1.0]) - 0.05
    assert all(alone < beside for alone, beside in zip(found[0.0], found[1.0], strict=True))
