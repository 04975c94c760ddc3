"""The memory that one contender needs for its steps, in a process of its own (Linux).

What is measured is how far the resident memory rises above what it was before the first step, with
weights and data in place: at its highest while the step is captured and compiled, and at its
highest afterwards. On a GPU it is the memory that torch allocated there.
"""

import multiprocessing
import platform
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from contenders import Ours, contender
from turns import WARM_UP_STEPS, orders
from workloads import Workload, rows

__all__ = ["peaks"]

LATER_STEPS = 4
# Name of a contender, and how its workload is made.
Asked = tuple[str, Callable[[], Workload]]
PRELOADED = ["torch", "pyro.infer", "ppvae.models", "ppvae.guides", "contenders"]


def peaks(asked: Iterable[Asked], device: str, threads: int, seed: int) -> list[dict[str, float]]:
    """MB of each, "first" and "later"; nothing where a step did not run as asked.

    Raises:
        OSError: this is not Linux.
    """
    if device == "cpu" and platform.system() != "Linux":
        raise OSError(f"memory is read from Linux's /proc; got {platform.system()}.")
    # From a process that has imported all but has computed nothing. CUDA does not outlive a fork.
    how = "forkserver" if device == "cpu" else "spawn"
    context = multiprocessing.get_context(how)
    if how == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        jobs = [pool.submit(_peak, *each, device, threads, seed) for each in asked]
        return [job.result() for job in jobs]


def _peak(
    name: str, make: Callable[[], Workload], device: str, threads: int, seed: int
) -> dict[str, float]:
    torch.set_num_threads(threads)
    where, work = torch.device(device), make()
    data = rows(2 * work.batch_size, seed).to(where)
    order = orders(len(data), work.batch_size, WARM_UP_STEPS + LATER_STEPS, seed)
    step = contender(name, work, where, seed)
    memory = _on_gpu if data.is_cuda else _resident
    before, _ = memory()
    for index in order[:WARM_UP_STEPS]:
        step(data[index])
    _, first = memory()
    for index in order[WARM_UP_STEPS:]:
        step(data[index])
    _, later = memory()
    if isinstance(step, Ours) and step.ran_as:
        return {}
    found = {"first": first - before, "later": later - before}
    return {when: round(max(0.0, each) / 1e6, 1) for when, each in found.items()}


def _resident() -> tuple[float, float]:
    """Bytes of resident memory now, and at its highest since the last call."""
    status = Path("/proc/self/status").read_text().splitlines()
    sizes = {line.partition(":")[0]: line.split()[1] for line in status if line.startswith("Vm")}
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * float(sizes["VmRSS"]), 1024 * float(sizes["VmHWM"])


def _on_gpu() -> tuple[float, float]:
    now, highest = torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return float(now), float(highest)
