"""In float32, too, a replayed step is Python's bit for bit."""

import functools

import pyro.infer
import pytest
import torch
from captured import EACH_KIND, assert_equal_trainings
from pairs import PAIRS, fields_for, rows_for

from ppvae.named import estimator_named


@pytest.fixture(autouse=True)
def in_float32(fixed_start):
    torch.set_default_dtype(torch.float32)


def batches(pair):
    made = PAIRS[pair]()
    return [fields_for(made, rows_for(made))]


SOME = ("bernoulli", "clusters-enumerated", *EACH_KIND)
EVERY = [pytest.param(n, marks=() if n in SOME else pytest.mark.slow) for n in PAIRS]


@pytest.mark.parametrize("pair", EVERY)
def test_every_pair(pair):
    drawn = any(word in pair for word in ("clusters", "bits", "drawn"))
    name = "rws:5" if drawn else "iwae:5"
    svi = assert_equal_trainings(PAIRS[pair], lambda: estimator_named(name), batches(pair))
    assert svi.how == "replay"


def test_losses_that_pyro_sums_as_python_numbers():
    loss = functools.partial(pyro.infer.Trace_ELBO, num_particles=7)
    assert_equal_trainings(PAIRS["bernoulli"], loss, batches("bernoulli"), steps=20)
