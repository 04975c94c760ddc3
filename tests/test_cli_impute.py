"""Holes on the command line, and trainings whose masks are drawn anew."""

from pathlib import Path

import pytest
import torch
import xarray as xr

from ppvae.checkpoint import Checkpoint
from ppvae.cli import main
from ppvae.data import load
from ppvae.experiment import build, find_recipe
from ppvae.fit import fit
from ppvae.runs import load_run

SMALL = ["--hidden", "8", "--latent-dim", "2", "--threads", "1", "--quick"]


@pytest.fixture(autouse=True)
def as_in_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_a_run_with_holes_is_filled_and_drawn(capsys):
    said(capsys, "fit", "inpainting", *SMALL, "--steps", "2", "--out", "run")
    out = said(capsys, "impute", "run", "--num-rows", "9", "--quick")
    assert "9 rows, " in out and "weighted mean" in out and "of 100 in the median row" in out
    assert Path("run/imputed.png").read_bytes().startswith(b"\x89PNG")
    with xr.open_dataset("run/imputed.nc", engine="h5netcdf") as found:
        assert found.sizes == {"row": 9, "pixel": 64, "sample": 5}
    other = ["--missing", "quadrants:1", "--num-draws", "7", "--out", "other.png"]
    assert "75.0% of their values filled in" in said(capsys, "impute", "run", *other)


def test_a_run_without_holes_of_its_own_needs_some(capsys):
    said(capsys, "fit", "vae", *SMALL, "--steps", "2", "--out", "run")
    assert main(["impute", "run"]) == 2
    assert "missing must be given where the run's data have no holes" in capsys.readouterr().err
    assert "weighted mean" in said(capsys, "impute", "run", "--missing", "block:3", "--quick")
    assert main(["impute", "run", "other"]) == 2
    assert "one run folder must be named; got 2" in capsys.readouterr().err


def test_any_experiment_may_lose_values(capsys):
    out = said(capsys, "fit", "vae", *SMALL, "--steps", "2", "--missing", "pixels:0.5")
    assert "of training values not observed" in out


def test_experiments_of_holes_need_some(capsys):
    assert main(["check", "inpainting", "--missing", "none"]) == 2
    assert "inpainting needs data with holes, by --missing" in capsys.readouterr().err


def test_masks_drawn_anew_go_on_as_they_would_have(capsys):
    common = ["fit", "inpainting", *SMALL]
    said(capsys, *common, "--epochs", "2", "--out", "once")
    said(capsys, *common, "--epochs", "1", "--out", "twice")
    said(capsys, "fit", "--resume", "twice", "--epochs", "2", "--quick")
    once, twice = (Checkpoint.load(Path(f, "checkpoint.safetensors")) for f in ("once", "twice"))
    for name, tensor in once.tensors.items():
        if name != "history/seconds":
            assert torch.equal(tensor.nan_to_num(), twice.tensors[name].nan_to_num()), name


def test_a_frozen_generator_stays_as_it_was_trained(capsys):
    said(capsys, "fit", "vae", *SMALL, "--steps", "2", "--out", "whole")
    recipe, data = find_recipe("inpainting"), load("digits", missing="block:3", masks="anew")
    made = build(recipe, data, generator="whole", hidden=8)
    first = {name: p.clone() for name, p in made.guide.named_parameters()}
    fit(made, data, steps=3, progress=False)
    learned = load_run("whole").model.state_dict()
    assert all(torch.equal(p, learned[name]) for name, p in made.model.state_dict().items())
    assert not any(torch.equal(p, first[name]) for name, p in made.guide.named_parameters())
