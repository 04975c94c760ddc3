"""How many draws and rows evaluation scores at once, and what memory that takes."""

import gc
import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, rows

from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.evaluate import evaluate
from ppvae.evaluate.pieces import BUDGET, evenly, measured, most_even, pieces
from ppvae.guides import GaussianGuide
from ppvae.live_bytes import Live
from ppvae.models import VAE
from ppvae.networks import MLP

MB = 2**20


def wide_vae():
    """A pair that takes some 7 kB for each draw and row, many times its four results."""
    model = VAE(MLP(2, [400], 36), StandardNormal(2), BernoulliLikelihood())
    return model, GaussianGuide(MLP(36, [400], 4))


@pytest.mark.parametrize(
    ("total", "most", "size"),
    [(10, 100, 10), (1000, 333, 250), (300, 7, 6), (300, 17, 15), (11, 4, 4), (1009, 500, 337)],
)
def test_pieces_are_equal_where_few_equal_ones_will_do(total, most, size):
    assert evenly(total, most) == size
    assert math.ceil(total / size) < 2 * math.ceil(total / most)


@pytest.mark.parametrize(("num_rows", "num_particles"), [(300, 1000), (7, 50), (1, 1), (300, 1)])
@pytest.mark.parametrize("at_once", [1, 9, 120, 10_000])
def test_what_is_chosen_is_a_chunk_that_makes_the_same_pieces(num_rows, num_particles, at_once):
    chunk = most_even(num_rows, num_particles, at_once)
    size = pieces(num_rows, num_particles, chunk)
    assert size.draws * size.rows == chunk <= at_once
    assert size.rows == 1 or size.draws == num_particles


# Bytes of the batch, of each row, and of each draw of it.
STAGES = {"of the draws": (3000, 400, 40), "of the rows": (3000, 20_000, 40), "few": (0, 4, 1)}


@pytest.mark.parametrize(("batch", "row", "draw"), STAGES.values(), ids=STAGES)
def test_the_bytes_of_small_pieces_are_no_fewer_than_those_of_large_ones(batch, row, draw):
    def piece(draws, num_rows):
        # Each stage lets go of what was before it.
        for size in (batch + num_rows, row * num_rows, 500 + draw * num_rows * draws):
            torch.empty(size, dtype=torch.uint8)

    budget, num_particles = 100_000, 5000
    taken = measured(piece, 8, num_particles, budget)
    assert taken.alone == max(batch + 8, 8 * row, 500 + 8 * draw) / 8
    # Nor are they so many that a piece would stay far below the budget.
    assert draw < taken.each < 2 * draw + 1
    at_once = int(budget / taken.each)
    draws = min(num_particles, at_once)
    with Live() as live:
        piece(draws, at_once // draws)
    assert live.peak <= budget


def test_the_collector_works_again_after_a_measurement_that_failed():
    def fails(draws, num_rows):
        raise ValueError

    with pytest.raises(ValueError):
        measured(fails, 1, 1, MB)
    assert gc.isenabled()


@pytest.mark.parametrize("mode", ["off", "replay"])
def test_memory_stays_below_the_budget_however_many_draws(mode, monkeypatch):
    monkeypatch.setitem(BUDGET, "cpu", MB)
    pair, x, num_particles = wide_vae(), binary_rows(3, 36), 2000
    peaks = {}
    for chunk in (None, num_particles):
        with Live() as live:
            found = evaluate(pair, x, num_particles=num_particles, chunk=chunk, compile=mode)
        peaks[found.attrs["chunk"]] = live.peak
    chosen, whole = sorted(peaks)
    # Beside the piece, what was found at all draws of a row and is made of it, and two copies of
    # the parameters while a graph is held against Python.
    results = 12 * 8 * num_particles
    copies = 0 if mode == "off" else 2 * sum(p.numel() * 8 for m in pair for p in m.parameters())
    assert MB / 2 < peaks[chosen] < MB + results + copies
    assert peaks[whole] > 5 * MB


def test_many_rows_are_looked_at_within_the_budget_where_the_guide_takes_the_most(monkeypatch):
    monkeypatch.setitem(BUDGET, "cpu", MB)
    model = VAE(MLP(2, [4], 36), StandardNormal(2), BernoulliLikelihood())
    pair = model, GaussianGuide(MLP(36, [1000], 4))
    with Live() as live:
        found = evaluate(pair, binary_rows(300, 36), num_particles=50)
    assert found.attrs["chunk"] >= 500
    # With the numbers of a few rows and what was found.
    assert live.peak < 1.3 * MB


def test_a_row_beyond_the_budget_is_scored_draw_by_draw(monkeypatch):
    pair, x = binary_vae(), binary_rows(2)
    one_by_one = evaluate(pair, x, num_particles=5, chunk=1)
    monkeypatch.setitem(BUDGET, "cpu", 1)
    found = evaluate(pair, x, num_particles=5)
    assert found.attrs["chunk"] == 1 and found.identical(one_by_one)


def test_the_chunk_that_was_taken_gives_the_same_numbers_again(monkeypatch):
    monkeypatch.setitem(BUDGET, "cpu", MB // 4)
    pair, x = wide_vae(), binary_rows(6, 36)
    found = evaluate(pair, x, num_particles=12)
    assert 12 <= found.attrs["chunk"] < 6 * 12
    assert found.identical(evaluate(pair, x, num_particles=12))
    assert found.identical(evaluate(pair, x, num_particles=12, chunk=found.attrs["chunk"]))


def test_a_mean_that_is_no_number_in_a_later_row_is_drawn_in_all():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with rows(x):
            # Without a mean for one degree of freedom or less.
            pyro.sample("z", dist.StudentT(x.abs(), x, 0.1))

    x = torch.cat([torch.linspace(3.0, 4.0, 70), torch.tensor([0.9])])
    found = evaluate((model, guide), x, num_particles=400, chunk=8000)
    assert np.isfinite(found["activity"]).all() and np.isfinite(found["elbo"]).all()
