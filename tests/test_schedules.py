"""Schedules: a straight line in training steps, of a length that somebody has told."""

import math

import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae
from torch.testing import assert_close

from ppvae import SVI, BetaELBO, Schedule

ADAM = torch.optim.Adam


def values_of(schedule, steps):
    values = []
    for _ in range(steps):
        values.append(float(schedule()))
        schedule.advance()
    return values


def test_a_schedule_is_a_straight_line_to_its_end_and_stays_there():
    expected = [1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 3.0]
    assert_close(values_of(Schedule(1.0, 3.0, steps=4), 7), expected, rtol=0, atol=1e-12)


def test_a_schedule_may_fall():
    falling = values_of(Schedule(2.0, 0.0, steps=4), 6)
    assert_close(falling, [2.0, 1.5, 1.0, 0.5, 0.0, 0.0], rtol=0, atol=1e-12)


def test_a_number_without_an_end_does_not_change():
    schedule = Schedule(4.0)
    assert values_of(schedule, 3) == [4.0, 4.0, 4.0]
    assert schedule.unfinished() is None


@pytest.mark.parametrize(
    ("fraction", "steps", "length"), [(0.3, 100, 30), (1.0, 7, 7), (0.3, 1, 1), (0.5, 5, 2)]
)
def test_a_fraction_of_a_run_has_its_share_of_the_steps(fraction, steps, length):
    schedule = Schedule(0.0, 1.0, fraction=fraction)
    schedule.begin(steps)
    values = values_of(schedule, length + 1)
    assert values.index(1.0) == length


def test_a_schedule_that_has_begun_keeps_its_length():
    schedule = Schedule(0.0, 1.0, fraction=0.5)
    schedule.begin(20)
    schedule.begin(2000)
    assert int(schedule.length) == 10


def test_the_number_stays_on_the_device_as_a_tensor():
    number = Schedule(0.0, 1.0, steps=4)()
    assert isinstance(number, torch.Tensor) and number.shape == ()


def test_step_and_length_travel_with_the_state():
    first, second = (Schedule(0.0, 1.0, fraction=0.5) for _ in range(2))
    first.begin(8)
    values_of(first, 3)
    second.load_state_dict(first.state_dict())
    assert float(second()) == float(first()) == 0.75


def test_a_schedule_says_where_it_was_when_the_run_ended():
    schedule = Schedule(0.0, 4.0, steps=8)
    values_of(schedule, 6)
    assert schedule.unfinished() == (
        "the run ended before its schedule: at 3 after 6 of 8 steps, on the way from 0 to 4"
    )
    values_of(schedule, 2)
    assert schedule.unfinished() is None


REFUSED = {
    "infinite steps": ({"steps": math.inf}, "steps must be a whole number of at least 1; got inf"),
    "no steps": ({"steps": 0}, "steps must be a whole number of at least 1; got 0"),
    "part of a step": ({"steps": 2.5}, r"steps must be a whole number .*; got 2\.5"),
    "nan steps": ({"steps": math.nan}, "steps must be a whole number of at least 1; got nan"),
    "no fraction": ({"fraction": 0.0}, r"fraction must be above 0 and at most 1; got 0\.0"),
    "beyond the run": ({"fraction": 1.5}, r"fraction must be above 0 and at most 1; got 1\.5"),
    "nan fraction": ({"fraction": math.nan}, "fraction must be above 0 and at most 1; got nan"),
    "no length": ({}, "a schedule must have an end, and end after either steps or a fraction"),
    "two lengths": ({"steps": 3, "fraction": 0.5}, r"got end=1\.0, steps=3, fraction=0\.5"),
    "nan": ({"end": math.nan, "steps": 3}, r"start and end must be finite; got 0\.0 and nan"),
    "infinite": ({"end": math.inf, "steps": 3}, r"start and end must be finite; got 0\.0 and inf"),
    "no end": ({"end": None, "steps": 3}, "a schedule must have an end.*; got end=None, steps=3"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_a_schedule_that_never_ends_or_has_no_numbers_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Schedule(0.0, **({"end": 1.0} | settings))


def test_a_run_without_steps_is_refused():
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        Schedule(0.0, 1.0, fraction=0.5).begin(0)


@pytest.mark.parametrize("kind", [SVI, pyro.infer.SVI, "torch"])
def test_a_fraction_of_a_run_of_unknown_length_is_refused_at_the_first_step(kind):
    (model, guide), x = binary_vae(), binary_rows()
    estimator = BetaELBO(Schedule(0.0, 1.0, fraction=0.3))
    estimator.loss(model, guide, x)  # the bound needs no beta
    with pytest.raises(ValueError, match=r"a fraction of the run, 0\.3, must be told how many"):
        if kind == "torch":
            estimator(model, guide)(x)
        else:
            kind(model, guide, pyro.optim.Adam({"lr": 0.01}), estimator).step(x)


def test_a_fraction_of_a_run_can_be_told_its_length_without_fit():
    (model, guide), x = binary_vae(), binary_rows()
    estimator = BetaELBO(Schedule(0.0, 1.0, fraction=0.5))
    estimator.begin(8)
    svi = SVI(model, guide, ADAM, estimator)
    for _ in range(3):
        svi.step(x)
    assert float(estimator.beta()) == 0.75
