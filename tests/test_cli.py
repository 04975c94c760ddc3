"""The command line from end to end, with tiny settings."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from ppvae.checkpoint import Checkpoint
from ppvae.cli import main
from ppvae.compare import Comparison

SMALL = ["--hidden", "8", "--latent-dim", "2", "--threads", "1"]
TENTH = ["--steps", "2", "--quick"]

# One's own pair: plain functions, plain Pyro.
OWN_PAIR = '''
import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppvae import Experiment
from ppvae.data import Data


def my_pair(data: Data, width: int = 2, deep: bool = False) -> Experiment:
    """A pair of my own.

    Args:
        data: rows.
        width: of the code; 50 % of the rows fit.
        deep: whether there is a hidden layer.
    """
    layers = [nn.Linear(width, 4), nn.Tanh(), nn.Linear(4, 64)] if deep else [nn.Linear(width, 64)]
    decoder, encoder = nn.Sequential(*layers), nn.Linear(64, 2 * width)

    def model(x):
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(width), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        loc, log_scale = encoder(x).chunk(2, -1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    return Experiment(model, guide, epochs=1)
'''

NAN_PAIR = OWN_PAIR.replace("decoder(z)", "decoder(z) / (step() > 3)").replace(
    "from ppvae import",
    """
count = 0
def step():
    global count
    count += torch.is_grad_enabled()
    return torch.tensor(float(count < 30)) * 9

from ppvae import""",
)


@pytest.fixture(autouse=True)
def as_in_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["fit", *SMALL, *TENTH, "--out", str(folder)]) == 0
    return folder


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_fit_writes_what_it_says(capsys):
    out = said(capsys, "fit", *SMALL, *TENTH, "--estimator", "iwae:2")
    folder = Path("runs/vae-digits-iwae-2-seed0")
    assert f"kept in   {folder}" in out
    assert "ELBO" in out and "nats" in out
    pictures = out.split("pictures  ")[1].split("\n")[0].split(", ")
    names = "history samples reconstructions interpolation latent-map traversal pushforward"
    assert pictures == [f"{name}.png" for name in names.split()]
    for name in pictures:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert {"settings.json", "checkpoint.safetensors"} <= {p.name for p in folder.iterdir()}


def test_each_layer_of_codes_has_a_map(capsys):
    small = ("--latent-dim", "4", "--hidden", "6", "--steps", "2", "--kind", "ladder")
    out = said(capsys, "fit", "hierarchical", *small, "--out", "layers")
    assert "interpolation.png, latent-map-z2.png, latent-map-z1.png" in out
    for name in ("latent-map-z1", "traversal-z2", "pushforward-z1"):
        assert Path(f"layers/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_taken_folder_gets_a_number(capsys):
    Path("runs/vae-digits-elbo-seed3").mkdir(parents=True)
    out = said(capsys, "fit", *SMALL, *TENTH, "--seed", "3")
    assert "kept in   runs/vae-digits-elbo-seed3-2 " in out


def test_resumed_to_be_longer_equals_longer_at_once(capsys):
    common = ["fit", *SMALL, "--quick"]
    said(capsys, *common, "--epochs", "2", "--out", "once")
    said(capsys, *common, "--epochs", "1", "--out", "twice")
    said(capsys, "fit", "--resume", "twice", "--epochs", "2", "--quick")
    once, twice = (Checkpoint.load(Path(f, "checkpoint.safetensors")) for f in ("once", "twice"))
    assert once.tensors.keys() == twice.tensors.keys()
    for name, tensor in once.tensors.items():
        if name != "history/seconds":
            assert torch.equal(tensor.nan_to_num(), twice.tensors[name].nan_to_num()), name


def test_a_run_is_evaluated_from_another_folder(run, capsys):
    out = said(capsys, "evaluate", str(run), "--quick", "--split", "valid", "--out", "found.nc")
    with xr.open_dataset("found.nc", engine="h5netcdf") as found:
        assert found.sizes["row"] == 200
        assert found.attrs["num_particles"] == 50
        mean = float(found["log_evidence_mean"])
    assert f"{mean:.3f} ±" in out
    assert "written to found.nc" in out


def test_evaluations_of_several_runs_go_into_their_folders(run, capsys):
    said(capsys, "evaluate", str(run), str(run), "--num-particles", "3")
    with xr.open_dataset(run / "evaluation.nc", engine="h5netcdf") as found:
        assert found.attrs["num_particles"] == 3


def test_sample_writes_a_picture_of_what_is_given(run, capsys):
    for number in ("1", "-1.5"):
        out = said(capsys, "sample", str(run), "--given", f"z={number}", "--out", f"z{number}.png")
        assert f"written to z{number}.png" in out
    one, other = Path("z1.png").read_bytes(), Path("z-1.5.png").read_bytes()
    assert one.startswith(b"\x89PNG") and one != other


def test_check_describes_each_site(capsys):
    out = said(capsys, "check", "linear-gaussian", "--latent-dim", "3")
    assert "model 'z' (latent, Normal): plate data 128 at -1; batch (128,), event (3,)" in out
    assert "nothing wrong was found" in out


def test_compare_ends_with_the_verdict(capsys):
    options = ["--estimators", "elbo,iwae:2", "--seeds", "0", "--seeds", "2"]
    out = said(capsys, "compare", *SMALL, "--steps", "2", "--num-particles", "2", *options)
    assert out.startswith("ppvae compare: vae on digits, 2 estimators, 2 seeds ...\n")
    with xr.open_dataset("runs/compare-vae-digits/results.nc", engine="h5netcdf") as found:
        assert [str(name) for name in found["estimator"].values] == ["elbo", "iwae:2"]
        assert found["seed"].values.tolist() == [0, 2]
        said_last = Comparison(found.load()).verdict
    assert out.split("\n\n")[-1].split() == said_last.split()


def test_a_pair_of_ones_own_works_from_another_folder(tmp_path, monkeypatch, capsys):
    Path("my_pair.py").write_text(OWN_PAIR)
    assert "of the code; 50 % of the rows fit" in said(capsys, "fit", "my_pair.py", "--help")
    said(capsys, "fit", "my_pair.py", "--width", "3", "--deep", *TENTH, "--out", "mine")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    said(capsys, "fit", "--resume", "../mine", "--steps", "4")
    out = said(capsys, "evaluate", "../mine", "--quick")
    assert "active units" in out and "of 3" in out


def test_a_run_that_ends_before_its_schedule_says_so(capsys):
    warm_up = "epochs=1, estimator=BetaELBO(Schedule(0.0, 1.0, steps=8))"
    text = OWN_PAIR.replace("Experiment\n", "BetaELBO, Experiment, Schedule\n", 1)
    Path("my_pair.py").write_text(text.replace("epochs=1", warm_up))
    out = said(capsys, "fit", "my_pair.py", *TENTH, "--out", "mine")
    assert "\nnote: the run ended before its schedule: at 0.25 after 2 of 8 steps" in out
    assert "ended before" not in said(capsys, "fit", "--resume", "mine", "--steps", "8")


def test_a_changed_file_is_taken_once_it_is_named_again(tmp_path, capsys):
    Path("my_pair.py").write_text(OWN_PAIR)
    said(capsys, "fit", "my_pair.py", *TENTH, "--out", "mine")
    Path("my_pair.py").write_text(OWN_PAIR + "\n# changed\n")
    assert main(["evaluate", "mine", "--quick"]) == 2
    assert "it has changed: name it again" in capsys.readouterr().err
    said(capsys, "evaluate", "mine", "--quick", "--experiment", "my_pair.py")
    said(capsys, "fit", "my_pair.py", "--resume", "mine", "--steps", "3", "--quick")


def test_one_s_own_array_is_data(capsys):
    x = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.float32)
    np.save("rows.npy", x)
    out = said(capsys, "fit", *SMALL, *TENTH, "--data", "rows.npy")
    assert "rows.npy: 32 train, 4 validation, 4 test rows of 6 values" in out


def test_nan_in_training_ends_with_code_1_and_names_the_site(capsys):
    Path("nan.py").write_text(NAN_PAIR)
    assert main(["fit", "nan.py", "--epochs", "9", "--out", "mine"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ppvae: training met a value that is not finite") and "'x'" in last
    assert "is kept in mine." in last


def test_an_interrupted_run_says_how_to_go_on(monkeypatch, capsys):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ppvae.keeper.Keeper.curve", stop)
        assert main(["fit", *SMALL, *TENTH, "--out", "mine"]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "ppvae: stopped; go on with: ppvae fit --resume mine"
    assert main([*line.split("ppvae ")[1].split(), "--quick"]) == 0


def test_an_interrupted_comparison_leaves_nothing(monkeypatch, capsys):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ppvae.training.Training.run", stop)
    assert main(["compare", *SMALL, "--steps", "2", "--out", "new"]) == 130
    assert "a comparison is kept only at its end" in capsys.readouterr().err
    assert not Path("new").exists()


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("ppvae.cli.fit.only_one", lambda words: None + 1)
    with pytest.raises(TypeError, match="unsupported operand"):
        main(["fit"])


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m ppvae list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("experiments")
    assert done.stderr == ""
