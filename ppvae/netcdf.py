"""Data sets as NetCDF files, written whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from ppvae.atomic import write_whole

__all__ = ["save_dataset"]


def save_dataset(
    dataset: xr.Dataset, path: Path, groups: Mapping[str, xr.Dataset] | None = None
) -> None:
    """Write a data set as NetCDF 4.

    Args:
        dataset: what xarray finds in the file.
        path: of the file.
        groups: further ones by name, which ArviZ finds too.

    Raises:
        ValueError: there is no folder to write into.
        OSError: the folder cannot be written to.
    """
    if not path.parent.is_dir():
        raise ValueError(f"file must go into a folder that exists; got {path}.")
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part.nc")
        dataset.to_netcdf(part, engine="h5netcdf")
        for name, group in (groups or {}).items():
            group.to_netcdf(part, mode="a", group=name, engine="h5netcdf")
        write_whole(path, part.read_bytes())
