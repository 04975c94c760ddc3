"""fit: the bounds it reports are those of the pair, and it moves the pair as it was told to."""

import functools
import math

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from torch.testing import assert_close
from trainings import (
    assert_same_history,
    assert_same_values,
    line_data,
    line_evidence,
    line_pair,
    quiet,
    values_of,
)

from ppvae import ELBO, IWAE, Experiment, Pair, Renyi, check, log_terms
from ppvae.data import batches, from_arrays
from ppvae.run import history_dataset

exactly = functools.partial(assert_close, rtol=0, atol=1e-10)
STILL = 1e-300
ESTIMATORS = {
    "elbo": ELBO(),
    "elbo:3": ELBO(3),
    "elbo-kl": ELBO(analytic_kl=True),
    "iwae:5": IWAE(5),
    "renyi": Renyi(0.5, 5),
    "Trace_ELBO": pyro.infer.Trace_ELBO(),
    "TraceMeanField_ELBO": pyro.infer.TraceMeanField_ELBO(),
    "TraceGraph_ELBO": pyro.infer.TraceGraph_ELBO(),
    "RenyiELBO": pyro.infer.RenyiELBO(0, 5, vectorize_particles=True),
}
# With the exact posterior these have no noise; a KL in closed form leaves that of log p(x|z).
NOISELESS = {name: e for name, e in ESTIMATORS.items() if "kl" not in name and "Mean" not in name}


def mean_evidence(fields):
    return float(line_evidence(fields["x"].double()).mean())


@pytest.mark.parametrize("estimator", NOISELESS.values(), ids=NOISELESS)
def test_with_the_exact_posterior_every_reported_bound_is_log_evidence(estimator):
    data = line_data()
    history = quiet(line_pair(), data, estimator=estimator, epochs=2, lr=STILL).history
    exactly(history["valid_bound"].values.tolist(), [mean_evidence(data.valid)] * 3)
    exactly(history["train_bound"].values.tolist()[1:], [mean_evidence(data.train)] * 2)


def test_the_validation_bound_is_that_of_draws_from_a_fixed_seed():
    data, (model, guide) = line_data(), line_pair(offset=1.0)
    run = quiet((model, guide), data, estimator=IWAE(4), epochs=1, seed=7, lr=STILL)
    pyro.set_rng_seed(0)
    terms = log_terms(model, guide, data.valid["x"].double(), num_particles=4)
    exactly(float(IWAE(4).bound(terms).mean().detach()), float(run.history["valid_bound"][0]))
    exactly(float(run.history["valid_bound"][1]), float(run.history["valid_bound"][0]))


def test_the_training_bound_is_the_mean_over_the_batches_of_the_epoch():
    data, (model, guide) = line_data(), line_pair(offset=1.0)
    run = quiet((model, guide), data, epochs=1, seed=7, lr=STILL)
    pyro.set_rng_seed(7)
    bounds = [
        ELBO().bound(log_terms(model, guide, batch["x"].double()))
        for batch in batches(data.epoch(0, 7), 10, seed=7, epoch=0)
    ]
    assert [len(bound) for bound in bounds] == [10, 10, 10, 10, 8]
    exactly(float(torch.cat(bounds).mean().detach()), float(run.history["train_bound"][1]))


def test_a_last_epoch_that_is_cut_off_reports_the_rows_it_has_seen():
    data = line_data()
    history = quiet(line_pair(), data, steps=7, lr=STILL).history
    assert history["step"].values.tolist() == [0, 5, 7]
    seen = list(batches(data.epoch(1, 0), 10, seed=0, epoch=1))[:2]
    expected = mean_evidence({"x": torch.cat([batch["x"] for batch in seen])})
    exactly(float(history["train_bound"][2]), expected)


def subsampling(plate):
    """The line pair in a plate that holds a part of the data."""

    def model(x, index):
        scale = pyro.param("scale", torch.tensor(1.0))
        with plate(x, index) as chosen:
            z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, scale).to_event(1), obs=chosen)

    def guide(x, index):
        slope = pyro.param("slope", torch.tensor(0.5))
        with plate(x, index) as chosen:
            pyro.sample("z", dist.Normal(slope * chosen, 0.5**0.5).to_event(1))

    return model, guide


class Part(pyro.plate):
    """A data plate of a size, that gives the rows it chose."""

    def __init__(self, x, size, **settings):
        super().__init__("data", size, dim=-1, **settings)
        self.rows = x

    def __enter__(self):
        chosen = super().__enter__()
        return self.rows[chosen] if len(chosen) < len(self.rows) else self.rows


PLATES = {
    "of all rows": lambda x, index: Part(x, 60, subsample=index),
    "of the training rows": lambda x, index: Part(x, 48, subsample=index),
    "of a million": lambda x, index: Part(x, 10**6, subsample=index),
    "of half the batch": lambda x, index: Part(x, len(x), subsample_size=len(x) // 2),
}


@pytest.mark.parametrize("batch_size", [10, 48, 100])
@pytest.mark.parametrize("estimator", [ELBO(), IWAE(3), pyro.infer.Trace_ELBO()])
@pytest.mark.parametrize("plate", PLATES.values(), ids=PLATES)
def test_a_pair_that_subsamples_reports_bounds_per_datum(plate, estimator, batch_size):
    # All rows are alike, so that a part of them has the mean of all.
    data = from_arrays({"x": torch.full((60, 1), 1.25)})
    pair = subsampling(plate)
    run = quiet(pair, data, estimator=estimator, epochs=1, batch_size=batch_size, lr=STILL)
    expected = float(line_evidence(torch.tensor([1.25])))
    exactly(run.history["valid_bound"].values.tolist(), [expected] * 2)
    exactly(float(run.history["train_bound"][1]), expected)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_every_estimator_brings_the_guide_to_the_posterior(estimator):
    data = line_data(200)
    pair = line_pair(offset=1.5)
    adam = functools.partial(torch.optim.Adam, lr=0.1)
    pair = quiet(pair, data, estimator=estimator, epochs=12, optim=adam, batch_size=20).pair
    assert abs(float(pair.params["shift"].detach())) < 0.15


def test_an_experiment_a_pair_and_a_tuple_train_alike():
    data = line_data()
    first = quiet(line_pair(1.0), data, epochs=2)
    for kind in (lambda *p: Pair(*p), lambda *p: Experiment(*p, epochs=2, batch_size=10)):
        settings = {"epochs": 2} if isinstance(kind(*line_pair()), Pair) else {}
        run = quiet(kind(*line_pair(1.0)), data, **settings)
        assert_same_history(run, first)
        assert_same_values(run.pair, first.pair)


def test_a_tensor_and_fields_are_split_as_data_are():
    x = line_data().train["x"]
    first = quiet(line_pair(1.0), from_arrays({"x": x}), epochs=2)
    for data in (x, {"x": x}, {"x": x, "y": torch.zeros(len(x), dtype=torch.int64)}):
        run = quiet(line_pair(1.0), data, epochs=2)
        assert_same_history(run, first)
        assert run.data.num_train == first.data.num_train


def test_the_history_has_units_and_begins_before_the_first_step():
    history = quiet(line_pair(1.0), line_data(), epochs=3).history
    assert history.sizes == {"epoch": 4}
    assert history["epoch"].values.tolist() == [0, 1, 2, 3]
    assert history["step"].values.tolist() == [0, 5, 10, 15]
    units = {name: variable.attrs["units"] for name, variable in history.data_vars.items()}
    assert units == {
        "step": "steps",
        "seconds": "s of training, without evaluation",
        "train_bound": "nats per datum",
        "valid_bound": "nats per datum",
    }
    assert history["seconds"][0] == 0 and math.isnan(history["train_bound"][0])


def test_a_clipped_step_is_as_long_as_the_limit():
    pair = Pair(*line_pair(offset=3.0))
    quiet(pair, line_data(), steps=1, lr=STILL)
    before = values_of(pair)
    sgd = functools.partial(torch.optim.SGD, lr=1.0)
    quiet(pair, line_data(), steps=1, optim=sgd, clip_norm=1e-3)
    moved = torch.stack([after - before[name] for name, after in values_of(pair).items()])
    exactly(float(moved.norm()), 1e-3)


OPTIMS = {
    "pyro": pyro.optim.Adam({"lr": 0.02}),
    "partial": functools.partial(torch.optim.Adam, lr=0.02, fused=True),
    "by name": pyro.optim.Adam(lambda name: {"lr": 0.02}),
}


@pytest.mark.parametrize("optim", OPTIMS.values(), ids=OPTIMS)
def test_adam_is_adam_however_it_is_given(optim):
    first = quiet(line_pair(1.0), line_data(), epochs=2, lr=0.02)
    run = quiet(line_pair(1.0), line_data(), epochs=2, optim=optim)
    assert_same_values(run.pair, first.pair)


def test_patience_stops_when_the_bound_no_longer_rises():
    # The guide begins at the exact posterior: whatever moves it lowers the bound.
    run = quiet(line_pair(), line_data(), epochs=50, lr=0.3, patience=3)
    assert (run.stopped, run.history.sizes["epoch"]) == ("early", 1 + 3)
    start = line_pair()
    check(*start, line_data().train["x"].double())
    assert_same_values(run.pair, Pair(*start))


def test_patience_returns_the_parameters_of_the_best_epoch():
    run = quiet(line_pair(1.0), line_data(), epochs=50, lr=0.1, patience=2)
    best = int(run.history["valid_bound"].values.argmax())
    assert 0 < best == run.history.sizes["epoch"] - 1 - 2
    assert_same_values(run.pair, quiet(line_pair(1.0), line_data(), epochs=best, lr=0.1).pair)


def test_without_patience_the_last_parameters_are_returned():
    run = quiet(line_pair(), line_data(), epochs=3, lr=0.3)
    assert run.stopped == "finished"
    assert run.history["valid_bound"].values.argmax() == 0
    assert abs(float(run.pair.params["shift"].detach())) > 0.01


def test_a_history_without_a_record_has_columns_without_rows():
    history = history_dataset([], seed=0)
    assert dict(history.sizes) == {"epoch": 0}
    assert {"step", "seconds", "train_bound", "valid_bound"} <= set(history)
