"""All contenders of one workload take turns."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from contenders import Ours, contender, contenders_for
from numpyro_child import NumPyro, has_numpyro
from step_names import REFERENCES
from turns import Turns, clock, in_turns, orders, quartiles, ratios
from workloads import Workload, rows

__all__ = ["contest"]

NUM_ROWS, NUM_BATCHES = 10_000, 400
# The loop's begin and end count less where it is longer.
LONGER = {"numpyro-loop": 5}


def contest(
    work: Workload,
    *,
    rounds: int,
    block: int,
    threads: int,
    device: str,
    seed: int,
    names: Sequence[str] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Time all contenders, or some.

    Args:
        work: what they solve.
        rounds: turns of each.
        block: steps in a turn, at most.
        threads: on the CPU.
        device: "cpu" or "cuda".
        seed: of weights, noise and the order of rows.
        names: of those that take part, without NumPyro; all unless given.

    Returns:
        A row for each contender, and what NumPyro says of itself.
    """
    torch.set_num_threads(threads)
    # What was compiled for another number of threads, or another workload, is not used again.
    torch.compiler.reset()
    where = torch.device(device)
    data = rows(NUM_ROWS, seed).to(where)
    order = orders(NUM_ROWS, work.batch_size, NUM_BATCHES, seed).to(where)
    steps = {
        name: contender(name, work, where, seed)
        for name in (contenders_for(work, where) if names is None else names)
    }
    clocks = {name: clock(step, data) for name, step in steps.items()}
    about: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        if names is None and work.in_numpyro and has_numpyro(device):
            child = stack.enter_context(NumPyro(data, work.batch_size, threads, seed, device))
            about = child.about
            clocks |= {f"numpyro-{what}": child.timed(what) for what in ("jit", "loop")}
        turns = in_turns(clocks, order, rounds, block, next(iter(clocks)), LONGER)
    ran_as = {name: step.ran_as for name, step in steps.items() if isinstance(step, Ours)}
    return _as_rows(turns, ran_as), about


def _as_rows(turns: Turns, ran_as: Mapping[str, str | None]) -> list[dict[str, Any]]:
    over = ratios(turns.milliseconds, REFERENCES)
    return [
        {
            "contender": name,
            "ms": quartiles(milliseconds),
            "over": over[name],
            "warm_up": round(turns.warm_up[name], 2),
            "steps_in_a_turn": turns.block * LONGER.get(name, 1),
            # A step that could not be captured is timed as what it is not.
            "ran_as": ran_as.get(name),
        }
        for name, milliseconds in turns.milliseconds.items()
    ]
