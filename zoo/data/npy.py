"""Frames of a numpy array in a file, or in an archive at a place in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


def npy_bytes(values: NDArray[Any]) -> bytes:
    """`values` as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def npy_shape(path: Path, offset: int = 0) -> tuple[int, ...]:
    """Raises: OSError, ValueError for what is no array of numbers, or cut off."""
    return _mapped(path, offset).shape


def read_npy(path: Path, offset: int = 0, start: int = 0, stop: int | None = None) -> NDArray[Any]:
    """Frames `start` … `stop` of an array (latent, frames); only they are read.

    Raises:
        OSError, ValueError: as of `npy_shape`.
    """
    return np.array(_mapped(path, offset)[:, start:stop], order="C")


def _mapped(path: Path, offset: int) -> NDArray[Any]:
    with path.open("rb") as file:
        file.seek(offset)
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(file)
        if len(shape) != 2 or dtype.kind not in "fi":
            raise ValueError(f"an array of {dtype} with the shape {shape}")
        return np.memmap(
            file, dtype, "r", offset=file.tell(), shape=shape, order="F" if fortran else "C"
        )
