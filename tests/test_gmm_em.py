"""The experiment gmm-em: one start for all ways, and the script's table and pictures."""

import re

import pytest
import torch

from ppvae import ELBO, log_terms
from ppvae.data import load
from ppvae.em import joint_table
from ppvae.examples import gmm_em
from ppvae.experiment import build, find_recipe

WAYS = ("summed", "per-datum", "amortized", "drawn")


def built(**options):
    data = load("faithful")
    return build(find_recipe("gmm-em"), data, **options), data


@pytest.mark.parametrize("inference", WAYS)
def test_each_way_starts_at_the_same_mixture_and_bounds_its_evidence(inference):
    experiment, data = built(inference=inference)
    first, _ = built()
    for ours, other in zip(experiment.model.parameters(), first.model.parameters(), strict=True):
        assert torch.equal(ours, other)
    fields = {name: values[:20] for name, values in data.train.items()}
    fields["x"] = fields["x"].double()
    experiment.guide.enumerated = True
    bound = ELBO().bound(log_terms(experiment.model, experiment.guide, fields))
    gap = joint_table(experiment.model, fields["x"]).log_evidence - bound
    assert (gap > -1e-10).all() and (gap.mean() < 1e-10) == (inference == "summed")


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal"])
def test_each_covariance_starts_as_that_of_all_rows(kind):
    experiment, data = built(covariance=kind, components=3)
    factor = experiment.model.covariance()
    found, truth = factor @ factor.mT, torch.cov(data.train["x"].double().T)
    truth = truth.diagonal().diag() if kind == "diagonal" else truth
    torch.testing.assert_close(found.detach(), truth.expand(3, 2, 2), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inference": "guessed"}, "inference must be summed, per-datum, .*; got 'guessed'"),
        ({"covariance": "round"}, "covariance must be full, tied, diagonal; got 'round'"),
    ],
)
def test_a_choice_that_there_is_not_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(**options)


@pytest.mark.slow
def test_the_script_prints_one_table_and_writes_three_pictures(tmp_path, capsys):
    gmm_em.script(["--quick", "--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    rows = [re.fullmatch(r"(.{42}) +(-?[\d.]+) +(-?[\d.]+) +[\d.]+", line) for line in lines[1:7]]
    names = ["EM", "coordinate", "enumerated", "black-box", "q(y_n)", "q(y|x)"]
    assert [row[1].split()[0] for row in rows] == names
    assert rows[0][2] == rows[0][3] == "-4.1554"
    assert all(float(row[2]) <= float(row[3]) for row in rows)
    names = {"touching.png", "ellipses.png", "staircase.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
