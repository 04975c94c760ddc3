"""The experiments `vq-vae` and `vq-vae2`: grids as fine as asked, and a prior learned after."""

import pytest
import torch

import ppvae
from ppvae.data import Source, load
from ppvae.experiment import build, find_recipe


@pytest.fixture(scope="module")
def digits():
    return load(Source("digits", binarize="none"))


@pytest.mark.parametrize(
    "name, halvings, places",
    [("vq-vae", 0, [16]), ("vq-vae", 2, [4]), ("vq-vae2", 0, [16, 4]), ("vq-vae2", 2, [4, 1])],
)
def test_grids_are_as_fine_as_asked(digits, name, halvings, places):
    experiment = build(find_recipe(name), digits, halvings=halvings, width=4, code_dim=3)
    codes = experiment.guide(digits.test["x"][:2].double())
    assert [tuple(each.shape) for each in codes] == [(2, number, 3) for number in places]


@pytest.mark.parametrize("name", ["vq-vae", "vq-vae2"])
def test_a_step_is_limited_by_the_values_in_it(digits, name):
    experiment = build(find_recipe(name), digits, width=4)
    assert experiment.clip_norm == 4.0 * experiment.batch_size * 64


def test_with_a_trained_run_the_prior_alone_is_learned(digits, tmp_path):
    small = {"width": 4, "codes": 8, "code_dim": 3}
    quick = {"epochs": 1, "device": "cpu", "threads": 1, "progress": False}
    recipe = find_recipe("vq-vae")
    first = build(recipe, digits, prior="uniform", halvings=2, **small)
    ppvae.fit(first, digits, folder=tmp_path / "codes", **quick)
    second = build(recipe, digits, trained=str(tmp_path / "codes"), **small)
    before = {name: value.clone() for name, value in second.model.state_dict().items()}
    run = ppvae.fit(second, digits, **quick)
    moved = {
        name
        for name, value in run.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved
    assert all(name.startswith("priors.0.network") for name in moved)
    for kept, found in [
        (first.guide.codebooks[0].codes, run.guide.codebooks[0].codes),
        (first.guide(digits.test["x"].double())[0], run.guide(digits.test["x"].double())[0]),
    ]:
        assert torch.equal(kept, found)


def test_a_run_of_another_experiment_is_refused(digits, tmp_path):
    experiment = build(find_recipe("vq-vae2"), digits, width=4, prior="uniform")
    quick = {"epochs": 1, "device": "cpu", "threads": 1, "progress": False}
    ppvae.fit(experiment, digits, folder=tmp_path / "two", **quick)
    with pytest.raises(ValueError, match="trained must be the folder of a run of vq-vae; got"):
        build(find_recipe("vq-vae"), digits, trained=str(tmp_path / "two"))
