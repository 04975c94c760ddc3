"""`ppvae gradients`: what it prints, writes and refuses."""

import csv

import pytest
import xarray as xr

from ppvae import fit
from ppvae.cli import main
from ppvae.data import load
from ppvae.experiment import build, find_recipe

WORDS = ["gradients", "gaussian-toy", "--rows", "8", "--num-draws", "400"]
ESTIMATORS = ["--estimators", "elbo", "iwae:2", "iwae:2+dreg", "iwae:8+dreg", "rws:2"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One run of the command: its folder, and what it printed."""
    import contextlib
    import io

    folder, out = tmp_path_factory.mktemp("bench") / "out", io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main([*WORDS, *ESTIMATORS, "--groups", "mu=model.mu", "--out", str(folder)])
    assert code == 0
    return folder, out.getvalue()


def test_tables_are_no_wider_than_120_columns_and_say_what_they_are(done):
    _, text = done
    assert max(map(len, text.splitlines())) <= 120
    for block in ("model, 20 parameters", "guide, 420 parameters", "mu, 20 parameters", "cost"):
        assert f"{block}\n" in text
    assert "400 gradients each of the mean bound per datum in nats" in text


def test_the_verdict_names_the_highest_ratio_and_the_biased(done):
    _, text = done
    flat = " ".join(text.split())
    assert "guide: iwae:8+dreg has the highest signal-to-noise ratio" in flat
    assert "guide: biased beyond 5 standard errors: rws:2" in flat


def test_everything_is_kept(done):
    folder, _ = done
    names = {path.name for path in folder.iterdir()}
    assert names >= {"results.nc", "table.csv", "snr-guide.png", "report.html", "figure.pdf"}
    with xr.open_dataset(folder / "results.nc", engine="h5netcdf") as found:
        assert found.sizes == {"estimator": 5, "block": 3}
        snr = float(found["snr"].sel(estimator="iwae:2", block="guide"))
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    own = [r for r in rows if (r["estimator"], r["block"]) == ("iwae:2", "guide")]
    assert float(own[0]["snr"]) == pytest.approx(snr)


@pytest.mark.parametrize(
    "words, message",
    {
        "one draw": (["--num-draws", "1"], "num_draws must be at least 2; got 1."),
        "no such block": (["--groups", "a=b"], "group 'a' must hold parameters of the pair"),
        "no pattern": (["--groups", "a"], "--groups must be written NAME=PATTERN; got 'a'."),
        "no such name": (["--estimators", "elob"], "estimator must be one of"),
        "two sources": (["--run", "folder"], "--run must stand without an experiment"),
    }.values(),
)
def test_bad_input_is_one_sentence_and_exit_code_2(words, message, capsys, tmp_path):
    assert main([*WORDS[:4], *words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert said.startswith("ppvae: ")
    assert "\n" not in said
    assert not (tmp_path / "out").exists()


def test_trained_parameters_come_from_a_run(tmp_path, capsys):
    recipe = find_recipe("gaussian-toy")
    data, run = load(recipe.data), tmp_path / "run"
    trained = fit(build(recipe, data), data, steps=3, lr=0.5, folder=run, progress=False)
    out = ["--num-draws", "5", "--estimators", "elbo", "--out", str(tmp_path / "out")]
    assert main(["gradients", "--run", str(run), "--rows", "4", *out]) == 0
    assert "exact ELBO" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "out" / "results.nc", engine="h5netcdf") as found:
        bound, error = float(found["bound"][0]), float(found["bound_se"][0])
    exact = trained.experiment.elbo(trained.data.train["x"][:4]).mean().item()
    assert abs(bound - exact) < 5 * error
