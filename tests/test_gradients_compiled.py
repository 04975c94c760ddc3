"""The bench of gradients replays and compiles its draws, and says what its clock has timed."""

import math
import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
import xarray as xr
from programs import ENUMERATED, binary_rows, binary_vae, labelled_pair, linear_pair, rows
from torch import nn

import ppvae
from ppvae import ELBO, IWAE
from ppvae.bench import sampling
from ppvae.bench.table import as_text, costs
from ppvae.capture import Captured
from ppvae.capture.work import Switches
from ppvae.cli import main
from ppvae.estimators import ReweightedWakeSleep
from ppvae.estimators.gradients import VIMCO, DoublyReparameterized, StickingTheLanding

quiet = {"num_timed": 0, "progress": False}
CLOCK = {"ms", "ms_low", "ms_high", "variance_time", "variance_time_se", "timed_as"}


@pytest.fixture
def ways(monkeypatch):
    """How each computation that might be captured was done, in order."""
    found, call = [], Captured.__call__

    def noted(self, batch):
        outputs = call(self, batch)
        found.append(self.how)
        return outputs

    monkeypatch.setattr(Captured, "__call__", noted)
    return found


def few_at_once(monkeypatch, numbers):
    monkeypatch.setattr(sampling, "_AT_ONCE", numbers)


def assert_same(found, expected, rtol=0.0):
    """Hold all but the clock of one bench against another's."""
    assert set(found) == set(expected)
    for name in set(map(str, found)) - CLOCK:
        if found[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected[name], rtol=rtol, err_msg=name)
        else:
            assert (found[name] == expected[name]).all(), name


def named_params():
    """Plain functions whose parameters are named ones, one of them positive."""
    pair = linear_pair()

    def guide(x):
        slope = pyro.param("slope", pair.slope.detach().clone())
        scale = pyro.param("scale", torch.ones(2), constraint=dist.constraints.positive)
        with rows(x):
            pyro.sample("z", dist.Normal(x @ slope.T, scale).to_event(1))

    return (pair.model, guide), torch.randn(5, 4)


def labels():
    pair = labelled_pair()
    logits = nn.Parameter(pair.logits)

    def guide(x):
        with rows(x):
            y_logits = x @ pyro.param("logits", logits)
            y = pyro.sample("y", dist.Categorical(logits=y_logits), infer=ENUMERATED)
            loc = x[:, :2] + 0.3 * y.unsqueeze(-1)
            pyro.sample("z", dist.Normal(loc, 0.5).to_event(1))

    return (pair.model, guide), torch.randn(5, 4)


def vae():
    return binary_vae(), binary_rows()


DRAWN = {
    "elbo": (vae, ELBO),
    "iwae": (vae, lambda: IWAE(3)),
    "vimco": (vae, lambda: IWAE(3, gradient=VIMCO())),
    "rws": (vae, lambda: ReweightedWakeSleep(3)),
    "stl": (named_params, lambda: ELBO(gradient=StickingTheLanding())),
    "dreg": (named_params, lambda: IWAE(3, gradient=DoublyReparameterized())),
    "labels": (labels, lambda: IWAE(3)),
    "Pyro's, one by one": (vae, pyro.infer.Trace_ELBO),
    "Pyro's labels, one by one": (labels, pyro.infer.TraceEnum_ELBO),
}


@pytest.mark.parametrize(("make", "estimator"), DRAWN.values(), ids=DRAWN)
def test_replayed_draws_are_those_of_python_bit_for_bit(make, estimator, monkeypatch, ways):
    few_at_once(monkeypatch, 500)
    found = {}
    for mode in ("off", "replay"):
        torch.manual_seed(0)
        pair, x = make()
        ways.clear()
        found[mode] = ppvae.gradients(pair, x, [estimator()], 41, compile=mode, **quiet)
    together = int(found["off"]["at_once"][0])
    assert together == 1 or 4 <= together < 20
    assert len(ways) >= 3 and "replay" in ways
    # Pyro's own sum over labels is captured with those of probability zero, in another order.
    enumerated = isinstance(estimator(), pyro.infer.TraceEnum_ELBO)
    assert_same(found["replay"], found["off"], rtol=1e-12 if enumerated else 0.0)


@pytest.mark.parametrize("estimator", [ELBO, pyro.infer.Trace_ELBO])
def test_compiled_draws_are_those_of_python_up_to_rounding(estimator, monkeypatch, ways):
    few_at_once(monkeypatch, 1000)
    torch.set_default_dtype(torch.float32)
    pair, x = binary_vae(), binary_rows().float()
    expected = ppvae.gradients(pair, x, [estimator()], 101, compile="off", **quiet)
    ways.clear()
    found = ppvae.gradients(pair, x, [estimator()], 101, compile="inductor", **quiet)
    assert "inductor" in ways
    for name in ("variance", "bound"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("estimator", [ELBO, pyro.infer.Trace_ELBO])
def test_the_number_of_draws_decides_whether_they_are_captured(estimator, monkeypatch):
    few_at_once(monkeypatch, 1000)
    told = []

    def of(work, steps, every=1):
        told.append((steps, every))
        return Switches(math.inf, math.inf)

    monkeypatch.setattr(Switches, "of", of)
    found = ppvae.gradients(binary_vae(), binary_rows(), [estimator()], 82, **quiet)
    together = int(found["at_once"][0])
    pieces = math.ceil(82 / together)
    # The last few are another kind, of which there is one.
    assert told == [(pieces, 1), (pieces, pieces)][: 1 if together == 1 else 2]
    assert 82 % together or together == 1


def test_a_short_bench_is_left_to_python(ways):
    ppvae.gradients(binary_vae(), binary_rows(), [ELBO(), pyro.infer.Trace_ELBO()], 10, **quiet)
    assert set(ways) == {"eager"}


def branching():
    """A pair that cannot be captured."""
    model, guide = binary_vae()

    def looks(x):
        if model(x).isnan().any():
            raise ValueError("the decoder must give numbers.")

    return looks, guide


def test_a_pair_that_forbids_capturing_runs_as_python_and_says_so_once(ways):
    pair, x, of_pyro = branching(), binary_rows(), pyro.infer.Trace_ELBO
    expected = ppvae.gradients(pair, x, [of_pyro()], 7, compile="off", **quiet)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = ppvae.gradients(
            pair, x, [of_pyro()], 7, compile="replay", num_timed=2, progress=False
        )
    (one,) = said
    assert "runs as Python, since an `if` on the value of a tensor" in str(one.message)
    assert set(ways) == {"eager"} and found["timed_as"].values.tolist() == ["eager"]
    found["peak_bytes"] = expected["peak_bytes"]
    assert_same(found, expected)


def test_the_clock_is_pythons_unless_another_is_asked_for(monkeypatch):
    # As if capturing would always pay: what is timed does not depend on that.
    monkeypatch.setattr(Switches, "of", lambda *_: Switches(2, math.inf))
    pair, x, settings = binary_vae(), binary_rows(), {"num_timed": 2, "progress": False}
    estimators = [ELBO(), IWAE(3), pyro.infer.Trace_ELBO()]
    found = {
        mode: ppvae.gradients(pair, x, estimators, 5, compile=mode, **settings)
        for mode in ("auto", "off", "replay")
    }
    assert set(found["auto"]["timed_as"].values) == {"eager"}
    assert set(found["off"]["timed_as"].values) == {"eager"}
    assert set(found["replay"]["timed_as"].values) == {"replay"}
    memory = {mode: each["peak_bytes"].values.tolist() for mode, each in found.items()}
    assert memory["auto"] == memory["off"] == memory["replay"]
    assert "timed as" not in costs(found["auto"])
    assert costs(found["replay"])["timed as"] == ["replay"] * 3
    texts = {mode: " ".join(as_text(each, []).split()) for mode, each in found.items()}
    assert "of one ordinary gradient as Pyro's Python computes it" in texts["auto"]
    assert "of one ordinary gradient once it is captured" in texts["replay"]


def test_capturing_and_compiling_are_off_the_clock():
    taken = {}
    for mode in ("replay", "inductor"):
        found = ppvae.gradients(
            *(binary_vae(), binary_rows(), [ELBO()], 5),
            **{"compile": mode, "num_timed": 3, "progress": False},
        )
        assert found["timed_as"].values.tolist() == [mode]
        taken[mode] = float(found["ms_high"][0])
    # Either takes a second and more.
    assert max(taken.values()) < 200


def test_a_mode_that_there_is_not_is_refused_before_work():
    def never(x):
        raise AssertionError("it must not run")

    with pytest.raises(ValueError, match=r"compile must be one of auto, replay, .*; got 'fast'"):
        ppvae.gradients((never, never), binary_rows(), [ELBO()], compile="fast")


def test_the_command_line_passes_it_on(tmp_path, capsys):
    words = ["gradients", "gaussian-toy", "--rows", "4", "--num-draws", "5", "--compile", "replay"]
    assert main([*words, "--estimators", "elbo", "--out", str(tmp_path / "out")]) == 0
    assert "timed as" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "out" / "results.nc", engine="h5netcdf") as found:
        assert found["timed_as"].values.tolist() == ["replay"]
