"""Compiled steps agree with Python's up to rounding, from a step that is known in advance."""

import pytest
import torch
from captured import OLD_INDUCTOR, adam, assert_equal_trainings, trained
from pairs import PAIRS, fields_for, rows_for
from programs import binary_rows, binary_vae

import ppvae
from ppvae.capture import internals
from ppvae.named import estimator_named

# Relative, of losses and parameters after a few steps; seen: 2e-7 in float32, 1e-15 in float64.
ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5}


def batches(make, sizes=(8, 8)):
    torch.manual_seed(0)
    pair = make()
    x = rows_for(pair)
    return [fields_for(pair, x[:size]) for size in sizes]


@pytest.mark.parametrize(
    ("pair", "estimator"),
    [
        ("bernoulli", "iwae:5"),
        *(
            pytest.param(pair, estimator, marks=pytest.mark.slow)
            for pair, estimator in (
                ("bernoulli", "iwae:50+dreg"),
                ("bernoulli", "constrained:5"),
                ("bernoulli", "msc:5"),
                ("bernoulli", "Trace_ELBO"),
                ("convolutional", "elbo"),
                ("clusters-enumerated", "iwae:5"),
                ("clusters-enumerated", "TraceEnum_ELBO"),
                ("bits", "iwae:5+vimco"),
                ("two-layers", "elbo+stl"),
            )
        ),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_compiled_steps_agree_to_rounding(pair, estimator, dtype):
    if OLD_INDUCTOR and pair == "clusters-enumerated":
        pytest.skip("it refuses to compile this")
    torch.set_default_dtype(dtype)
    svi = assert_equal_trainings(
        PAIRS[pair],
        lambda: estimator_named(estimator),
        batches(PAIRS[pair]),
        mode="inductor",
        tolerance=ROUNDING[dtype],
    )
    assert (svi.how, svi.compiled_from) == ("inductor", 4)


def test_a_shorter_batch_is_replayed():
    sizes = batches(PAIRS["bernoulli"], (8, 5))
    _, _, svi = trained(PAIRS["bernoulli"], ppvae.ELBO, "inductor", sizes, steps=8)
    assert svi.how == "replay"
    assert svi.compiled_from == 5


def test_a_shorter_batch_is_not_compiled_in_a_run_that_said_so():
    x = binary_rows(8)
    svi = ppvae.SVI(*binary_vae(), adam, ppvae.ELBO(), compile="inductor")
    svi.begin(100, rows=8)
    svi.update(x[:5])
    how = [(svi.update(each), svi.how)[1] for each in (x[:5], x[:5], x[:5], x[:5], x, x)]
    assert how == ["replay"] * 4 + ["inductor"] * 2


def test_a_step_that_goes_on_from_elsewhere_is_compiled_at_once():
    # As in a resumed run: beyond the switch no step is computed in another way.
    x = binary_rows()
    torch.manual_seed(1)
    svi = ppvae.SVI(*binary_vae(), torch.optim.Adam, ppvae.ELBO(), compile="inductor")
    with svi.pair.entered():
        ppvae.log_terms(svi.pair.model, svi.pair.guide, x)
    svi.begin(100, rows=len(x), step=50)
    svi.update(x)
    assert (svi.how, svi.compiled_from) == ("inductor", 51)


def test_without_a_compiler_the_step_is_replayed(monkeypatch):
    def missing(*_):
        raise ppvae.capturing.CannotCapture("Inductor refused it: no C++ compiler")

    monkeypatch.setattr(ppvae.capture.graph, "compiled", missing)
    with pytest.warns(UserWarning, match="replayed and not compiled, since .* no C"):
        svi = assert_equal_trainings(
            binary_vae, ppvae.ELBO, [{"x": binary_rows()}], mode="inductor"
        )
    assert (svi.how, svi.compiled_from) == ("replay", None)


def test_compiled_code_that_is_wrong_is_not_used(monkeypatch):
    compiled = internals.compiled

    def wrong(graph, inputs):
        right = compiled(graph, inputs)
        return lambda *tensors: [1.001 * tensor for tensor in right(*tensors)]

    monkeypatch.setattr(ppvae.capture.graph, "compiled", wrong)
    with pytest.warns(UserWarning, match="not compiled, since run as a graph its numbers differ"):
        svi = assert_equal_trainings(
            binary_vae, ppvae.ELBO, [{"x": binary_rows()}], mode="inductor"
        )
    assert (svi.how, svi.compiled_from) == ("replay", None)
