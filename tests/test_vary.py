"""`ppvae compare --vary`: one experiment beside itself, an option changed."""

import argparse

import pytest
import torch
import xarray as xr

from ppvae.cli import main
from ppvae.cli.compare import COMPARE
from ppvae.cli.vary import Varied, variants, varied
from ppvae.experiment import find_recipe


@pytest.fixture(autouse=True)
def float32(fixed_start):
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("text", ["kind", "kind=", "kind=a", "=a,b", "kind=a,a", "kind=,a"])
def test_anything_but_an_option_with_two_values_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="OPTION=VALUE,VALUE"):
        varied(text)


def test_an_option_may_be_typed_as_on_the_command_line():
    assert varied("--latent-dim=2,3") == Varied("latent_dim", ("2", "3"))


def test_experiments_that_have_the_option_stand_once_for_each_value():
    recipes = {name: find_recipe(name) for name in ("vae", "flow-guide")}
    found = variants(COMPARE, recipes, ["--hidden", "9"], varied("kind=full,iaf"))
    assert [recipe.name for recipe in found] == [
        "vae",
        "flow-guide kind=full",
        "flow-guide kind=iaf",
    ]
    assert [dict(recipe.options) for recipe in found] == [
        {"hidden": 9},
        {"hidden": 9, "kind": "full"},
        {"hidden": 9, "kind": "iaf"},
    ]


def test_values_are_those_that_the_option_takes():
    recipes = {"vae": find_recipe("vae")}
    found = variants(COMPARE, recipes, [], varied("latent-dim=2,3"))
    assert [recipe.options["latent_dim"] for recipe in found] == [2, 3]
    with pytest.raises(ValueError, match="--latent-dim"):
        variants(COMPARE, recipes, [], varied("latent-dim=2,x"))
    with pytest.raises(ValueError, match=r"--vary must name one of the options .*; got 'kind'"):
        variants(COMPARE, recipes, [], varied("kind=a,b"))


def test_the_table_has_a_line_for_each_value(tmp_path, capsys):
    words = ["compare", "vampprior", "--vary", "kind=standard,vamp", "--estimators", "elbo"]
    small = ["--hidden", "8", "--steps", "3", "--seeds", "0", "--num-particles", "30"]
    assert main([*words, *small, "--components", "5", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "vampprior kind=standard elbo" in said and "vampprior kind=vamp elbo" in said
    with xr.open_dataset(tmp_path / "out" / "results.nc") as found:
        assert list(found["experiment"].values) == [
            "vampprior kind=standard",
            "vampprior kind=vamp",
        ]
