"""One step of SVI: what it returns, what it moves, what it is given, and what it refuses."""

from functools import partial

import owners
import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae, labelled_pair, rows
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO, TraceMeanField_ELBO
from torch import nn
from torch.testing import assert_close

from ppvae import ELBO, IWAE, SVI

exactly = partial(assert_close, rtol=0, atol=0)


def adam(lr=0.05):
    return pyro.optim.Adam({"lr": lr})


def weights(pair):
    return [p.detach().clone() for program in pair for p in program.parameters()]


def trained(kind, loss, optim, steps=30):
    """The losses and weights after some steps from seed 4."""
    pyro.clear_param_store()
    pyro.set_rng_seed(4)
    pair, x = binary_vae(), binary_rows()
    svi = kind(*pair, optim(), loss())
    losses = torch.tensor([svi.step(x) for _ in range(steps)])
    return losses, weights(pair)


PYROS = {
    "trace": Trace_ELBO,
    "mean-field": TraceMeanField_ELBO,
    "graph": TraceGraph_ELBO,
    "renyi": lambda: pyro.infer.RenyiELBO(alpha=0.0, num_particles=3),
}
OPTIMS = {
    "adam": adam,
    "sgd": lambda: pyro.optim.SGD({"lr": 0.001, "momentum": 0.9}),
    "clipped": lambda: pyro.optim.ClippedAdam({"lr": 0.05, "lrd": 0.99}),
    "rmsprop": lambda: pyro.optim.RMSprop({"lr": 0.001}),
}


@pytest.mark.parametrize("optim", OPTIMS.values(), ids=OPTIMS)
def test_our_svi_and_elbo_train_as_pyros_do(optim):
    losses, ours = trained(SVI, ELBO, optim)
    expected, theirs = trained(pyro.infer.SVI, Trace_ELBO, optim)
    assert_close(losses, expected, rtol=0, atol=1e-7)
    assert_close(ours, theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("loss", PYROS.values(), ids=PYROS)
def test_pyros_estimators_train_alike_under_both(loss):
    losses, ours = trained(SVI, loss, adam, steps=5)
    expected, theirs = trained(pyro.infer.SVI, loss, adam, steps=5)
    assert_close(losses, expected, rtol=0, atol=1e-7)
    assert_close(ours, theirs, rtol=0, atol=1e-7)


def test_pyros_estimator_sums_labels_out_under_our_svi():
    pair = labelled_pair()
    leaf = nn.Parameter(torch.zeros(2))

    def guide(x):
        pyro.param("shift", leaf)
        with rows(x):
            y = pyro.sample(
                "y", dist.Categorical(logits=x @ pair.logits), infer={"enumerate": "parallel"}
            )
            loc = x[:, :2] + leaf + y.unsqueeze(-1)
            pyro.sample("z", dist.Normal(loc, 0.5).to_event(1))

    x, found = torch.randn(5, 4), []
    for loss in (TraceEnum_ELBO(max_plate_nesting=1), ELBO()):
        pyro.set_rng_seed(3)
        svi = SVI(pair.model, guide, partial(torch.optim.SGD, lr=0.0), loss)
        found.append(torch.tensor(svi.step(x)))
    assert_close(*found, rtol=0, atol=1e-10)


def test_a_callable_loss_is_given_model_guide_and_batch():
    def loss(model, guide, x, weight=1.0):
        guide_trace = poutine.trace(guide).get_trace(x)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(x)
        return weight * (guide_trace.log_prob_sum() - model_trace.log_prob_sum())

    x, found = torch.randn(32, 6), []
    pair = owners.functions_with_modules()
    for kind in (loss, Trace_ELBO()):
        svi = SVI(*pair, partial(torch.optim.SGD, lr=0.0), kind)
        pyro.set_rng_seed(3)
        found.append([svi.step(x), svi.evaluate_loss(x)])
    assert_close(*map(torch.tensor, found))


def test_update_returns_the_loss_of_step_as_a_tensor():
    found = []
    for method in ("step", "update"):
        pyro.set_rng_seed(4)
        found.append(getattr(SVI(*binary_vae(), adam(), IWAE(3)), method)(binary_rows()))
    assert isinstance(found[0], float)
    assert isinstance(found[1], torch.Tensor) and not found[1].requires_grad
    assert found[1].item() == found[0]


def test_evaluating_the_loss_moves_nothing():
    pair, x = binary_vae(), binary_rows()
    svi = SVI(*pair, adam(), ELBO())
    for _ in range(3):
        svi.step(x)
    before = weights(pair)
    moments = {k: v.clone() for s in svi.optimizer.state.values() for k, v in s.items()}
    losses = [svi.evaluate_loss(x) for _ in range(5)]
    exactly(weights(pair), before)
    exactly({k: v for s in svi.optimizer.state.values() for k, v in s.items()}, moments)
    assert all(p.grad is None for program in pair for p in program.parameters())
    assert len(set(losses)) == 5


def test_evaluating_between_steps_changes_no_step():
    finals = []
    for evaluated in (False, True):
        pyro.set_rng_seed(4)
        pair, x = binary_vae(), binary_rows()
        svi = SVI(*pair, adam(), ELBO())
        for _ in range(3):
            svi.step(x)
            with torch.random.fork_rng():
                if evaluated:
                    svi.evaluate_loss(x)
        finals.append(weights(pair))
    exactly(*finals)


@pytest.mark.parametrize("loss", [Trace_ELBO, ELBO], ids=["pyros", "ours"])
def test_the_loss_is_evaluated_at_the_pairs_own_parameters(loss):
    pair, x = owners.functions_with_params(), torch.randn(32, 6)
    svi = SVI(*pair, adam(), loss())
    svi.step(x)
    pyro.set_rng_seed(3)
    before = svi.evaluate_loss(x)
    for _ in range(50):
        svi.step(x)
    pyro.set_rng_seed(3)
    assert svi.evaluate_loss(x) < before


def labelled(x, y=None, index=None):
    """A program that notes which fields it was given."""
    labelled.given = {"y": y, "index": index}
    with rows(x):
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def with_slope(x, *, index):
    with rows(x):
        pyro.sample("z", dist.Normal(pyro.param("loc", torch.zeros(3))[index], 0.5))


@pytest.mark.parametrize("loss", [Trace_ELBO, ELBO], ids=["pyros", "ours"])
def test_named_fields_reach_the_programs_that_ask_for_them(loss):
    svi = SVI(labelled, with_slope, adam(), loss())
    fields = {"x": torch.randn(3), "index": torch.arange(3), "mask": torch.ones(3)}
    svi.step(**fields)
    assert labelled.given == {"y": None, "index": fields["index"]}
    svi.evaluate_loss(**fields)


def test_a_program_may_give_the_data_another_name():
    def guide(images):
        with rows(images):
            pyro.sample("z", dist.Normal(pyro.param("loc", torch.zeros(())) + images, 0.5))

    svi = SVI(labelled, guide, adam(), ELBO())
    svi.step(x=torch.randn(3), y=torch.ones(3))
    assert svi.params["loc"] != 0


def test_a_program_that_takes_any_field_is_given_all():
    given = []

    def guide(**fields):
        given.append(sorted(fields))
        with_slope(fields["x"], index=fields["index"])

    fields = {"x": torch.randn(3), "index": torch.arange(3), "mask": torch.ones(3)}
    SVI(labelled, guide, adam(), ELBO()).step(**fields)
    assert given[-1] == ["index", "mask", "x"]


@pytest.mark.parametrize("loss", [Trace_ELBO, ELBO], ids=["pyros", "ours"])
def test_a_field_that_is_missing_is_refused(loss):
    svi = SVI(labelled, with_slope, adam(), loss())
    with pytest.raises(ValueError, match=r"guide must ask for fields .*\['x'\]; got 'index'\."):
        svi.step(x=torch.randn(3))


def test_positional_arguments_go_to_both():
    y = torch.ones(3)

    def guide(x, y):
        with rows(x):
            pyro.sample("z", dist.Normal(pyro.param("loc", torch.zeros(3)) + y, 0.5))

    SVI(labelled, guide, adam(), ELBO()).step(torch.randn(3), y)
    assert labelled.given["y"] is y


def test_the_norm_of_all_gradients_together_is_clipped():
    moved = []
    for clip_norm in (None, 0.01):
        pyro.set_rng_seed(4)
        pair = binary_vae()
        before = weights(pair)
        svi = SVI(*pair, partial(torch.optim.SGD, lr=1.0), ELBO(), clip_norm=clip_norm)
        svi.step(binary_rows())
        moved.append(
            torch.cat([(p - q).flatten() for p, q in zip(weights(pair), before, strict=True)])
        )
    free, clipped = moved
    assert free.norm() > 0.01
    assert_close(clipped, 0.01 * free / free.norm(), rtol=1e-3, atol=0)


def test_a_norm_that_is_not_positive_is_refused():
    for clip_norm in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"clip_norm must be positive; got"):
            SVI(*binary_vae(), adam(), ELBO(), clip_norm=clip_norm)


def test_a_loss_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"loss must be an ELBO or a callable; got str\."):
        SVI(*binary_vae(), adam(), "elbo")
