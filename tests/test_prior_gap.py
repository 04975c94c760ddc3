"""The benchmark of learned priors: its truths against closed formulas, and the script run."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))

import prior_gap  # noqa: E402
import richer  # noqa: E402

from ppvae.exact import grid  # noqa: E402


@pytest.fixture(autouse=True)
def in_double(monkeypatch):
    monkeypatch.setattr(prior_gap, "WEIGHT", prior_gap.WEIGHT.double())


def test_log_evidence_on_the_grid_is_the_closed_form_of_a_mixture():
    x, noise, weight = prior_gap.drawn("clusters", 50), prior_gap.NOISE, prior_gap.WEIGHT
    model = prior_gap.model_of(prior_gap.clusters, trained=False)
    mixture = prior_gap.clusters()
    parts = [
        torch.distributions.MultivariateNormal(
            weight @ loc, noise**2 * torch.eye(4) + weight @ torch.diag(scale**2) @ weight.T
        ).log_prob(x)
        for loc, scale in zip(mixture.loc, mixture.scale, strict=True)
    ]
    exact = (torch.stack(parts, -1) + mixture.logits.log_softmax(-1)).logsumexp(-1)
    torch.testing.assert_close(prior_gap.log_evidence(model, x), exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("truth", prior_gap.TRUTHS)
def test_a_truth_has_mass_1_mean_0_and_covariance_1_so_that_no_gaussian_beats_the_standard(truth):
    points, log_volume = grid(prior_gap.LIMIT, prior_gap.SIZE, dims=2)
    prior = prior_gap.TRUTHS[truth]()
    mass = prior.log_prob(points).exp() * math.exp(log_volume)
    torch.testing.assert_close(mass.sum(), torch.ones(()), rtol=0, atol=1e-6)
    torch.testing.assert_close(mass @ points, torch.zeros(2), rtol=0, atol=1e-6)
    second = points.T @ (mass.unsqueeze(-1) * points)
    torch.testing.assert_close(second, torch.eye(2), rtol=0, atol=1e-5)
    # Draws are of that density: E|z| within 5 standard errors, a false alarm in 10^6.
    drawn = prior.sample(torch.Size([20_000])).norm(dim=-1)
    expected = (mass * points.norm(dim=-1)).sum()
    assert abs(drawn.mean() - expected) < 5 * drawn.std() / len(drawn) ** 0.5


@pytest.mark.slow
def test_each_learned_prior_closes_80_percent_of_the_gap(tmp_path):
    command = [sys.executable, FOLDER / "prior_gap.py", "--seeds", "0", "--decoders", "held"]
    subprocess.run([*command, "--steps", "600", "--out", tmp_path], check=True)
    lines = json.loads((tmp_path / "prior_gap.json").read_text())["found"]
    assert {line["truth"] for line in lines} == {"clusters", "ring"}
    for line in lines:
        assert abs(line["mass"] - 1) < 5e-3
        assert line["gap"] > 0.5 if line["prior"] == "standard" else line["closed"] > 0.8
    assert (tmp_path / "prior_gap.png").is_file()


def made_up(row, seed, values):
    cell = {"row": row, "seed": seed, "settings": {"epochs": 2}, "seconds": [0.0, 1.0, 2.0]}
    both = {"at_equal_steps": values, "at_equal_seconds": [value - 1 for value in values]}
    return cell | both | {"allowed_seconds": 2.0, "epoch_within_seconds": 2}


def test_rows_of_the_table_are_paired_with_the_diagonal_guide_by_seed_and_row():
    offsets = {0: [0.0, -50.0, 7.0], 1: [3.0, 1.0, -20.0]}
    first = [made_up("diagonal", seed, off) for seed, off in offsets.items()]
    better = [made_up("iaf", seed, [v + 2 for v in off]) for seed, off in offsets.items()]
    unfinished = [made_up("planar", 0, offsets[0])]
    lines = richer.table([*better[::-1], *first, *unfinished])
    assert [line["row"] for line in lines] == ["diagonal", "iaf"]
    assert lines[1]["at_equal_steps_above_first"] == pytest.approx([2.0, 2.0, 2.0])
    assert lines[1]["at_equal_seconds_above_first"] == pytest.approx([2.0, 2.0, 2.0])
    assert lines[1]["seconds_an_epoch"] == 1.0


def test_a_kept_cell_counts_for_its_own_settings_and_seconds_alone(tmp_path):
    kept = made_up("iaf", 0, [1.0])
    (tmp_path / "iaf-0.json").write_text(json.dumps(kept))
    ask = tmp_path / "iaf-0.json"
    assert richer.kept_cell(ask, {"epochs": 2}, 2.0) == kept
    assert richer.kept_cell(ask, {"epochs": 3}, 2.0) is None
    assert richer.kept_cell(ask, {"epochs": 2}, 2.5) is None
    assert richer.kept_cell(tmp_path / "iaf-1.json", {"epochs": 2}, 2.0) is None
