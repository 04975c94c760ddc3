"""How steps are to be computed: said, kept, shown, and refused."""

import math
import re

import pytest
import torch
from refused import refusal
from trainings import line_data, line_pair, quiet

from ppvae import ELBO, IWAE, load_run, resume
from ppvae.capture import MODES
from ppvae.capture import graph as graphs
from ppvae.capture.work import Switches
from ppvae.cli import main
from ppvae.cli.training_options import COMPILE
from ppvae.compare import compare
from ppvae.compare.progress import RunsProgress
from ppvae.data import load
from ppvae.experiment import build, find_recipe

REFUSED = "compile must be one of auto, replay, inductor, off; got 'fast'"


def test_a_run_says_how_it_was_computed(tmp_path):
    recipe = find_recipe("vae")
    data = load("digits")
    torch.set_default_dtype(torch.float32)
    experiment = build(recipe, data, seed=0, hidden=8, latent_dim=2)
    run = quiet(experiment, data, batch_size=500, steps=2, compile="replay", folder=tmp_path)
    told = {"compile": "replay", "compiled_from": 0}
    for each in (run, load_run(tmp_path), resume(tmp_path, steps=4, progress=False)):
        assert {name: each.history.attrs[name] for name in told} == told
        assert each.settings.compile == "replay"
        assert "\n" not in repr(each)


def test_a_way_that_there_is_not_is_refused_before_work(tmp_path, capsys):
    folder = tmp_path / "new"
    with pytest.raises(ValueError, match=REFUSED):
        quiet(line_pair(), line_data(), compile="fast", folder=folder)
    with pytest.raises(ValueError, match=REFUSED):
        compare(find_recipe("vae"), load("digits"), compile="fast", folder=folder)
    assert not folder.exists() and capsys.readouterr().err == ""


@pytest.mark.parametrize("verb", ["fit", "compare"])
def test_the_command_line_refuses_it_too(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert REFUSED in refusal(f"{verb} --compile fast --out new", capsys)
    assert COMPILE == MODES


def test_the_runs_of_an_estimator_capture_once_and_before_any_clock_starts(monkeypatch):
    traced, trace, so_far = [], graphs.traced, []

    def of(work, length, every=1):
        return Switches(2 if length >= 24 and every == 1 else math.inf, math.inf)

    monkeypatch.setattr(Switches, "of", of)
    monkeypatch.setattr(graphs, "traced", lambda *given: traced.append(0) or trace(*given))
    monkeypatch.setattr(RunsProgress, "begin", lambda *_: so_far.append(len(traced)))
    both = {"estimators": [ELBO(), IWAE(5)], "seeds": (0, 1), "steps": 12, "num_particles": 2}
    settings = {**both, "points": 2, "device": "cpu", "progress": False}
    found = {
        mode: compare(find_recipe("vae"), load("digits"), compile=mode, **settings).dataset
        for mode in ("auto", "off")
    }
    assert so_far == [2] * 8
    assert len(traced) == 2
    for name in ("curve", "log_evidence", "own_bound"):
        assert (found["auto"][name].values == found["off"][name].values).all()


def test_the_command_line_passes_it_on(tmp_path, monkeypatch, capsys):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    small = "--hidden 8 --latent-dim 2 --threads 1 --steps 2 --quick --compile replay --out"
    assert main(["fit", *small.split(), "run"]) == 0
    assert load_run("run").settings.compile == "replay"
    capsys.readouterr()
    assert main(["fit", "--resume", "run", "--compile", "replay"]) == 2
    assert capsys.readouterr().err.endswith("; got --compile.\n")
    assert main(["compare", *small.split(), "many", "--estimators", "elbo", "--seeds", "0"]) == 0
    page = (tmp_path / "many" / "report.html").read_text()
    assert re.search("threads</[^/]*1</[^/]*compile</[^/]*replay</", page)
