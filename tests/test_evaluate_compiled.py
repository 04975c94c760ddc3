"""Evaluation whose pieces are replayed or compiled gives the numbers of Python."""

import warnings

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pairs import PAIRS, fields_for, globals_of, rows_for
from programs import ENUMERATED, binary_rows, binary_vae, labelled_pair, linear_pair, rows
from refused import refusal

from ppvae import Pair, fit
from ppvae.capture import Captured
from ppvae.capture.work import Switches
from ppvae.cli import main
from ppvae.data import load
from ppvae.diagnose import NotFiniteError
from ppvae.evaluate import evaluate
from ppvae.evaluate import scoring as scorings
from ppvae.evaluate.pieces import BUDGET
from ppvae.experiment import build, find_recipe
from ppvae.models import ClusterMixture

REFUSED = "compile must be one of auto, replay, inductor, off; got 'fast'"


@pytest.fixture
def ways(monkeypatch):
    """How each piece was computed, in order."""
    found = []

    class Noted(Captured):
        def __call__(self, batch):
            outputs = super().__call__(batch)
            found.append(self.how)
            return outputs

    monkeypatch.setattr(scorings, "Captured", Noted)
    return found


def assert_replayed(pair, x, ways, **settings):
    """Hold a replayed evaluation against that of Python, and give back its attributes."""
    expected = evaluate(pair, x, compile="off", **settings)
    assert set(ways) == {"eager"}
    ways.clear()
    found = evaluate(pair, x, compile="replay", **settings)
    assert ways[0] == "eager" and set(ways[1:]) == {"replay"}
    assert found.identical(expected)
    return found


# 8 rows: by threes, twos of them at last; one by one, with 4, 4 and 2 draws.
@pytest.mark.parametrize("chunk", [30, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [n for n, make in PAIRS.items() if not globals_of(make())])
def test_replayed_pieces_ragged_ones_too_are_those_of_python_bit_for_bit(name, chunk, ways):
    pair = PAIRS[name]()
    assert_replayed(pair, fields_for(pair, rows_for(pair)), ways, num_particles=10, chunk=chunk)
    assert len(ways) == (3 if chunk == 30 else 8 * 3)


def only_in_the_model():
    weight = torch.tensor([0.2, 0.3, 0.5])

    def model(x):
        with rows(x):
            c = pyro.sample("c", dist.Categorical(weight), infer=ENUMERATED)
            z = pyro.sample("z", dist.Normal(c * 1.0, 1.0).expand(c.shape))
            pyro.sample("x", dist.Normal(z - c, 1.0), obs=x[..., 0])

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x[..., 0] / 2, 0.8))

    return model, guide


def labels_and_a_code():
    pair = labelled_pair()
    return pair.model, pair.guide


LABELLED = {
    "only in the model": only_in_the_model,
    "and a code": labels_and_a_code,
}


@pytest.mark.parametrize("make", LABELLED.values(), ids=LABELLED)
def test_replayed_pieces_sum_labels_as_python_does(make, ways):
    assert_replayed(make(), torch.randn(7, 4), ways, num_particles=6, chunk=18)


def test_a_label_of_probability_zero_is_left_out_of_a_replayed_piece(ways):
    model = ClusterMixture(torch.randn(3, 4), width=0.7)

    def guide(x):
        first = (x[:, 0] > 0).to(x.dtype)
        probs = torch.stack([first, 1 - first, torch.zeros_like(first)], -1)
        with rows(x):
            pyro.sample("y", dist.Categorical(probs), infer=ENUMERATED)

    assert_replayed((model, guide), torch.randn(9, 4), ways, num_particles=2, chunk=6)


def test_a_pair_that_draws_one_by_one_is_replayed_draw_by_draw(ways):
    pair = linear_pair(offset=0.3)

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            loc = z.reshape(len(x), -1) @ pair.weight.T
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    with pytest.warns(UserWarning, match="one by one"):
        assert_replayed((model, pair.guide), torch.randn(5, 4), ways, num_particles=6)
    assert len(ways) == 6


# Rounding of single rows' numbers: at most 2e-6 was seen, at 300 rows and 1000 draws.
def test_compiled_pieces_are_those_of_python_up_to_rounding(ways):
    torch.set_default_dtype(torch.float32)
    pair, x = binary_vae(data_dim=40), binary_rows(30, 40).float()
    expected = evaluate(pair, x, num_particles=100, chunk=500, compile="off")
    ways.clear()
    found = evaluate(pair, x, num_particles=100, chunk=500, compile="inductor")
    assert ways == ["eager", "replay", "replay", *["inductor"] * 3]
    for name in ("log_evidence", "elbo", "reconstruction", "kl", "bits_per_dim", "kl_by_dim"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)
    assert found.attrs == expected.attrs and not found.identical(expected)


def test_a_pair_that_forbids_capturing_runs_as_python_and_says_so_once(ways):
    model, guide = binary_vae()

    def branching(x):
        logits = model(x)
        if logits.isnan().any():
            raise ValueError("the decoder must give numbers.")

    x = binary_rows(10)
    expected = evaluate((branching, guide), x, num_particles=5, chunk=10, compile="off")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = evaluate((branching, guide), x, num_particles=5, chunk=10, compile="replay")
    (one,) = said
    assert "runs as Python, since an `if` on the value of a tensor" in str(one.message)
    assert set(ways) == {"eager"} and found.identical(expected)


def test_a_short_evaluation_is_left_to_python(ways):
    evaluate(binary_vae(), binary_rows(10), num_particles=5, chunk=10)
    assert ways == ["eager"] * 5


def test_the_length_of_an_evaluation_decides_by_the_number_of_its_pieces(monkeypatch, ways):
    told = []

    def of(work, steps, every=1):
        told.append((steps, every))
        return Switches(4 if every == 1 else float("inf"), float("inf"))

    monkeypatch.setattr(Switches, "of", of)
    # Rows by threes, one at last, and each in pieces of all draws.
    evaluate(binary_vae(), binary_rows(16), num_particles=5, chunk=15)
    assert ways == ["eager"] * 3 + ["replay"] * 2 + ["eager"]
    assert told == [(6, 1), (6, 6)]


def test_a_log_density_that_is_not_finite_is_refused_in_a_replayed_piece(ways):
    pair, x = linear_pair(), torch.zeros(90, 4)
    # Beyond the rows that are looked at beforehand: its square is infinite.
    x[80] = 1e200

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal((x.square() - x.square())[:, :2], 1.0).to_event(1))

    with pytest.raises(NotFiniteError, match="got nan at site 'z' of the guide"):
        evaluate((pair.model, guide), x, num_particles=2, chunk=10, compile="replay")
    assert ways[1:] == ["replay"] * 16


def test_a_mode_that_there_is_not_is_refused_before_work():
    def never(x):
        raise AssertionError("it must not run")

    with pytest.raises(ValueError, match=REFUSED) as caught:
        evaluate(Pair(never, never), binary_rows(), compile="fast")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("verb", ["evaluate runs/some", "gradients vae"])
def test_the_command_line_refuses_it_too(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert REFUSED in refusal(f"{verb} --compile fast", capsys)


def test_a_run_is_evaluated_as_the_command_line_asks(tmp_path, ways, monkeypatch, capsys):
    recipe, run = find_recipe("gaussian-toy"), str(tmp_path / "run")
    data = load(recipe.data)
    fit(build(recipe, data), data, steps=3, folder=run, progress=False)
    monkeypatch.setitem(BUDGET, "cpu", 2**16)
    for mode, way in (("off", "eager"), ("replay", "replay")):
        ways.clear()
        assert main(["evaluate", run, "--num-particles", "40", "--compile", mode]) == 0
        assert ways[-1] == way
    assert "log p(x)" in capsys.readouterr().out
