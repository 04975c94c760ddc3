"""EM against scikit-learn and against published figures: Old Faithful, wine, digits."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture as TheirMixture
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, SVI, em
from ppvae.data import all_rows, load
from ppvae.distributions import DiagonalCovariance, FullCovariance, TiedCovariance
from ppvae.guides import EmptyGuide
from ppvae.models import GaussianMixture

KINDS = {"full": FullCovariance, "tied": TiedCovariance, "diag": DiagonalCovariance}
CLOSE = {"rtol": 0, "atol": 1e-6}


def faithful():
    # As published, in decimals: the rows are kept in float32.
    return all_rows(load("faithful"))["x"].double().round(decimals=3)


def wine():
    x = all_rows(load("wine"))["x"].double()
    return (x - x.mean(0)) / x.std(0)


def digits():
    x = all_rows(load("digits", binarize="none"))["x"].double()
    return torch.from_numpy(PCA(5, svd_solver="full").fit_transform(x.numpy()))


DATA = {"faithful": (faithful, 2), "wine": (wine, 3), "digits": (digits, 10)}


def started(kind, x, components):
    """A mixture at evenly spaced rows, of the covariance of all rows."""
    means = x[torch.linspace(0, len(x) - 1, components).long()]
    covariance = KINDS[kind](components, x.shape[1])
    covariance.assign_all(torch.cov(x.T))
    return GaussianMixture(means, covariance)


def covariances(model, kind):
    """In scikit-learn's shapes."""
    factor = model.covariance()
    full = factor @ factor.mT
    return {"full": full, "tied": full[0], "diag": full.diagonal(dim1=-2, dim2=-1)}[kind]


def theirs(model, kind, x, steps):
    """scikit-learn's EM from where the model stands."""
    start = covariances(model, kind).detach()
    precisions = 1 / start if kind == "diag" else torch.linalg.inv(start)
    mixture = TheirMixture(
        len(model.means),
        covariance_type=kind,
        tol=0.0,
        reg_covar=0.0,
        max_iter=steps,
        weights_init=model.theta.softmax(0).detach().numpy(),
        means_init=model.means.detach().numpy(),
        precisions_init=precisions.numpy(),
        random_state=0,
    )
    return mixture.fit(x.numpy())


# It is asked to take this many steps, and says that it did not converge in them.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DATA)
def test_em_from_one_start_is_scikit_learns(name, kind):
    make, components = DATA[name]
    x = make()
    model = started(kind, x, components)
    reference = theirs(model, kind, x, steps=30)
    result = em(model, x, steps=30, tolerance=0.0)
    assert result.converged or result.steps == 30
    assert_close(result.per_datum[-1], torch.tensor(reference.score(x.numpy())), **CLOSE)
    assert_close(result.log_evidence[-1], torch.tensor(reference.score_samples(x.numpy()).sum()))
    found = (model.theta.softmax(0), model.means, covariances(model, kind))
    expected = (reference.weights_, reference.means_, reference.covariances_)
    for ours, other in zip(found, expected, strict=True):
        assert_close(ours.detach(), torch.from_numpy(other), **CLOSE)
    assert_close(result.posterior, torch.from_numpy(reference.predict_proba(x.numpy())), **CLOSE)


def test_one_component_on_old_faithful_has_the_published_log_likelihood():
    result = em(started("full", faithful(), 1), faithful())
    assert float(result.log_evidence[-1]) == pytest.approx(-1289.7967, abs=1e-4)


def test_two_components_on_old_faithful_are_the_published_ones():
    model, x = started("full", faithful(), 2), faithful()
    result = em(model, x, tolerance=1e-14)
    assert float(result.log_evidence[-1]) == pytest.approx(-1130.2640, abs=1e-4)
    # scikit-learn's sign: 2 weights, 4 means and 6 covariances have 11 free numbers.
    bic = -2 * float(result.log_evidence[-1]) + 11 * np.log(272)
    assert bic == pytest.approx(2322.19, abs=0.005)
    order = model.means[:, 0].argsort()
    weights, means = model.theta.softmax(0)[order], model.means[order]
    assert_close(weights.detach(), torch.tensor([0.35587, 0.64413]), rtol=0, atol=1e-5)
    truth = torch.tensor([[2.03639, 54.47852], [4.28966, 79.96812]])
    assert_close(means.detach(), truth, rtol=0, atol=1e-5)
    truth = [[[0.06917, 0.43517], [0.43517, 33.6973]], [[0.16997, 0.94061], [0.94061, 36.0462]]]
    found = covariances(model, "full")[order].detach()
    assert_close(found, torch.tensor(truth), rtol=0, atol=1e-4)


def test_three_tied_components_on_old_faithful_have_the_published_log_likelihood():
    x, best = faithful(), -np.inf
    for seed in range(3):
        rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:3]
        covariance = TiedCovariance(3, 2)
        covariance.assign_all(torch.cov(x.T))
        result = em(GaussianMixture(x[rows], covariance), x, tolerance=1e-9)
        best = max(best, float(result.log_evidence[-1]))
    assert best == pytest.approx(-1126.3159, abs=1e-3)


def test_enumerated_svi_ends_where_em_does():
    x = faithful()
    by_em, by_svi = started("full", x, 2), started("full", x, 2)
    truth = float(em(by_em, x).per_datum[-1])
    svi = SVI(by_svi, EmptyGuide(), lambda p: torch.optim.Adam(p, lr=0.05), ELBO())
    for _ in range(1500):
        svi.update(x)
    assert -svi.evaluate_loss(x) / len(x) == pytest.approx(truth, abs=0.01)


@pytest.mark.slow
def test_fit_by_svi_ends_where_em_on_the_training_rows_does():
    torch.set_default_dtype(torch.float32)
    from ppvae.experiment import build, find_recipe

    data = load("faithful")
    experiment = build(find_recipe("gmm-em"), data)
    run = ppvae.fit(experiment, data)
    x = data.train["x"]
    start = build(find_recipe("gmm-em"), data).model.double()
    truth = float(em(start, x.double()).per_datum[-1])
    assert float(run.history["train_bound"][-1]) == pytest.approx(truth, abs=0.01)
