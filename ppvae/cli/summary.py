"""What `ppvae fit` says at the end."""

from __future__ import annotations

from ppvae.cli.pictures import write_pictures
from ppvae.run import Run

__all__ = ["summarize"]


def summarize(run: Run, num_particles: int) -> None:
    """Write the pictures of a run into its folder and print how good it is.

    Args:
        run: kept in a folder.
        num_particles: K, draws per test row for log p(x).
    """
    assert run.folder is not None
    print(write_pictures(run, run.folder))
