"""The bare move of a fused Adam is the optimizer's own step bit for bit, or is that step."""

import copy

import pytest
import torch

from ppvae import fused_adam
from ppvae.fused_adam import FusedAdam

SETTINGS = {
    "plain": {},
    "decay": {"weight_decay": 0.1, "eps": 1e-3, "betas": (0.5, 0.9)},
    "maximize": {"maximize": True},
    "amsgrad": {"amsgrad": True},
    "not fused": {"fused": False},
}


def parameters():
    torch.manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (5,), ())]


def steps(moves, leaves, number=5, without=None):
    torch.manual_seed(2)
    for _ in range(number):
        for place, leaf in enumerate(leaves):
            gradient = torch.randn_like(leaf)
            leaf.grad = None if place == without else gradient
        moves.step()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("without", [None, 1])
def test_it_is_the_optimizers_own_step(settings, without):
    both = []
    for mover in (lambda optimizer: optimizer, FusedAdam):
        leaves = parameters()
        optimizer = torch.optim.Adam(leaves, lr=0.1, **({"fused": True} | SETTINGS[settings]))
        steps(mover(optimizer), leaves, without=without)
        both.append((leaves, optimizer.state_dict()["state"]))
    (ours, our_state), (theirs, their_state) = both
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert our_state.keys() == their_state.keys()
    for place, state in our_state.items():
        assert all(torch.equal(value, their_state[place][name]) for name, value in state.items())


def test_a_plain_one_takes_the_bare_move(monkeypatch):
    leaves = parameters()
    optimizer = torch.optim.Adam(leaves, lr=0.1, fused=True)
    moves = FusedAdam(optimizer)
    steps(moves, leaves, 1)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: 1 / 0)
    steps(moves, leaves, 3)
    assert optimizer.state[leaves[0]]["step"] == 4


def test_a_state_that_was_loaded_is_moved():
    leaves = parameters()
    optimizer = torch.optim.Adam(leaves, lr=0.1, fused=True)
    moves = FusedAdam(optimizer)
    steps(moves, leaves)
    kept, values = copy.deepcopy(optimizer.state_dict()), [leaf.detach().clone() for leaf in leaves]
    steps(moves, leaves)
    first = [leaf.detach().clone() for leaf in leaves]
    optimizer.load_state_dict(kept)
    for leaf, value in zip(leaves, values, strict=True):
        leaf.data.copy_(value)
    steps(moves, leaves)
    assert all(torch.equal(a, b) for a, b in zip(leaves, first, strict=True))


def test_a_learning_rate_that_changes_and_a_parameter_that_comes_are_seen():
    both = []
    for mover in (lambda optimizer: optimizer, FusedAdam):
        leaves = parameters()
        optimizer = torch.optim.Adam(leaves[:2], lr=0.1, fused=True)
        moves = mover(optimizer)
        steps(moves, leaves)
        optimizer.param_groups[0]["lr"] = 0.01
        steps(moves, leaves)
        optimizer.add_param_group({"params": [leaves[2]]})
        steps(moves, leaves)
        both.append(leaves)
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))


@pytest.mark.parametrize("name", ["hook", "schedule"])
def test_hooks_and_schedules_are_called(name):
    leaves, calls = parameters(), []
    optimizer = torch.optim.Adam(leaves, lr=0.1, fused=True)
    moves = FusedAdam(optimizer)
    steps(moves, leaves, 2)
    if name == "hook":
        optimizer.register_step_post_hook(lambda *_: calls.append(1))
        steps(moves, leaves, 3)
    else:
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        steps(moves, leaves, 3)
        # torch warns here of a schedule without steps before it; none is an error in tests.
        schedule.step()
        calls = [1] * 3
    assert len(calls) == 3


def test_where_torch_has_moved_it_the_optimizer_steps(monkeypatch):
    monkeypatch.setattr(fused_adam, "_MOVE", None)
    test_it_is_the_optimizers_own_step("plain", None)
