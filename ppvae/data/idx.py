"""The idx format of MNIST, plain or gzip.

Two zero bytes, 0x08 for uint8, the number of dimensions, each size in 4 bytes (big-endian), values.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_idx"]


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The uint8 array of the file, which must have this shape.

    Raises:
        ValueError: the file has another header or size, or its compression is damaged.
    """
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">u4").tobytes()
    num_values = int(np.prod(shape))
    rule = f"{path} must be an idx file of {' x '.join(map(str, shape))} bytes"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            found = file.read(len(header))
            # One byte more than expected shows a longer file and makes gzip verify its checksum.
            values = file.read(num_values + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{rule}; got damaged compression: {error}.") from error
    if found != header:
        raise ValueError(f"{rule}; got the header {found.hex() or 'of an empty file'}.")
    if len(values) != num_values:
        size = f"{len(values)}" if len(values) < num_values else "more"
        raise ValueError(f"{rule}; got {size} after the header.")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
