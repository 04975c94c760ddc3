"""What a comparison refuses, and what it does in a hurry."""

import math

import pytest
import torch

from ppvae import ELBO, Estimator, Experiment, NotFiniteError
from ppvae.compare import compare
from ppvae.data import load
from ppvae.experiment import find_recipe
from ppvae.guides import DeltaGuide
from ppvae.models import LinearGaussian

SHORT = {"seeds": (0, 1), "steps": 3, "num_particles": 50, "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def autoencoder(data) -> Experiment:
    model = LinearGaussian(torch.randn(data.data_dim, 2))
    guide = DeltaGuide(torch.nn.Linear(data.data_dim, 2))
    return Experiment(model, guide, epochs=1)


class Broken(Estimator):
    def bound(self, terms):
        return terms.log_weight.mean(0) * math.nan


def test_quick_takes_200_steps_unless_told_otherwise(digits, capsys):
    for steps, told in ((None, 200), (7, 7)):
        with pytest.raises(NotFiniteError):
            compare(
                find_recipe("vae"),
                digits,
                estimators=[Broken()],
                steps=steps,
                quick=True,
                seeds=[0],
            )
        assert f"1 runs of {told} steps" in capsys.readouterr().err


def test_a_pair_without_a_density_is_refused(digits):
    with pytest.raises(ValueError, match=r"compare needs log p\(x\) of the test rows"):
        compare(autoencoder, load("digits", binarize="none"), **SHORT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": ()}, r"seeds must be at least one, each once; got \[\]"),
        ({"seeds": (1, 1)}, r"seeds must be at least one, each once; got \[1, 1\]"),
        ({"num_particles": 0}, "num_particles must be at least 1; got 0"),
        ({"points": 0}, "points must be at least 1; got 0"),
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"epochs": 2, "steps": 3}, "epochs or steps must be given, not both; got 2 and 3"),
        ({"estimators": []}, "at least one experiment and one estimator; got none"),
        ({"estimators": [ELBO(), ELBO()]}, "must differ; got 'elbo' twice"),
    ],
)
def test_what_makes_no_comparison_is_refused(digits, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(find_recipe("vae"), digits, **{**SHORT, **arguments})


def test_data_must_be_one_or_one_for_each_experiment(digits):
    with pytest.raises(ValueError, match="one for each of 1 experiments; got 2"):
        compare(find_recipe("vae"), [digits, digits], **SHORT)


def test_an_estimator_must_be_an_elbo(digits):
    with pytest.raises(TypeError, match="estimators must be ELBOs; got str"):
        compare(find_recipe("vae"), digits, **SHORT, estimators=["elbo"])


def test_a_folder_that_cannot_be_written_is_refused_before_any_run(digits, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        compare(find_recipe("vae"), digits, **SHORT, folder=tmp_path / "file" / "below")
    assert capsys.readouterr().err == ""
