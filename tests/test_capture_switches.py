"""When a step is captured and compiled follows from shapes and the length of the run alone."""

import math
import time

import pytest
import torch
from captured import adam
from programs import binary_rows, binary_vae

import ppvae
from ppvae.capture import internals
from ppvae.capture.work import Switches, Work, counted

SMALL = Work(operations=250, numbers=500_000, flops=500_000_000)
LARGE = Work(operations=250, numbers=100_000_000, flops=12_000_000_000)


@pytest.mark.parametrize("work", [SMALL, LARGE])
def test_a_short_run_stays_python_and_a_long_one_is_compiled(work):
    assert Switches.of(work, 10) == (math.inf, math.inf)
    assert Switches.of(work, 1_000_000) == (2, 4)


def test_a_run_between_is_replayed():
    assert Switches.of(SMALL, 3_000) == (2, math.inf)


def test_what_takes_longer_pays_earlier():
    assert Switches.of(SMALL, None).inductor > Switches.of(LARGE, None).inductor
    assert Switches.of(SMALL, None).replay < Switches.of(SMALL, None).inductor


@pytest.mark.parametrize("work", [SMALL, LARGE])
@pytest.mark.parametrize("steps", [None, 100, 1_000, 10_000, 100_000])
def test_warming_up_never_costs_more_than_a_tenth(work, steps):
    # By the model that decides: the cost of capture over the time of the shortest run that has it.
    switches = Switches.of(work, steps)
    trace = 0.6 + 1e-3 * work.operations
    if steps is None:
        assert trace <= 0.1 * switches.replay * work.seconds + 1e-9
    elif switches.replay < math.inf:
        assert 2 * trace <= steps * 4e-6 * work.operations


def test_batches_that_come_seldom_are_captured_late():
    assert Switches.of(SMALL, 3_000, every=10).replay == math.inf


def test_convolutions_are_replayed_and_not_compiled():
    work = LARGE._replace(convolved=LARGE.flops)
    assert Switches.of(work, 1_000_000) == (2, math.inf)
    assert Switches.of(work, None).inductor == math.inf
    images, kernel = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)
    _, counts = counted(lambda x: torch.nn.functional.conv2d(x, kernel), images)
    assert counts.convolved == counts.flops == 2 * 2 * 4 * 6 * 6 * 3 * 3 * 3


def test_work_is_counted():
    weight = torch.randn(20, 30, requires_grad=True)

    def compute(x):
        loss = (x @ weight).tanh().sum()
        loss.backward()
        return loss

    _, work = counted(compute, torch.randn(7, 20))
    # Forward, and backward for the weight alone.
    assert work.flops == 2 * 2 * 7 * 20 * 30
    assert work.operations >= 5
    assert work.numbers >= 2 * 7 * 30


def trained_for(steps, batches, told=None):
    torch.manual_seed(1)
    svi = ppvae.SVI(*binary_vae(), adam, ppvae.ELBO())
    if told:
        svi.begin(told, rows=len(batches[0]))
    return svi, [(svi.update(batches[i % len(batches)]), svi.how)[1] for i in range(steps)]


def test_auto_stays_python_in_a_run_of_a_few_steps():
    for told in (None, 20):
        assert trained_for(20, [binary_rows()], told)[1] == ["eager"] * 20


def test_auto_captures_at_the_second_step_of_a_long_run(monkeypatch):
    monkeypatch.setattr(internals, "compiled", None)
    _, how = trained_for(3, [binary_rows()], told=4_000)
    assert how == ["eager", "replay", "replay"]


def test_the_clock_decides_nothing(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 1 / 0)
    monkeypatch.setattr(time, "monotonic", lambda: 1 / 0)
    _, how = trained_for(3, [binary_rows()], told=4_000)
    assert how[-1] == "replay"
