"""Files that `torch.save` has written, read without running code and without a second copy."""

from __future__ import annotations

import ctypes
import mmap
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from zoo.checkpoints.files import damaged
from zoo.errors import CheckpointError

# What torch raises for files that are cut or changed.
_DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    zipfile.BadZipFile,
)


def read_ckpt(path: Path) -> dict[str, Any]:
    """All that a .ckpt file holds, never running code from it. Raises: CheckpointError.

    Its tensors are in the file's memory map where they can be: see `TorchTensors`.
    """
    import pickle

    start = b""
    try:
        with path.open("rb") as file:
            start = file.read(2)
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            # Only archives can be mapped; torch wrote none before its release 1.6.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=start == b"PK")
    except pickle.UnpicklingError as error:
        needed = re.search(r"GLOBAL ([\w.]+)", str(error))
        # Any other file may begin in any way; a pickle begins like this.
        if needed or (start.startswith(b"\x80") and "Unsupported" in str(error)):
            raise CheckpointError(
                f"{path}: holds code besides tensors, which is never run"
                f"{f' (it needs {needed[1]})' if needed else ''}; "
                "save its state dict as .safetensors where it comes from"
            ) from None
        raise CheckpointError(damaged(path)) from None
    except PermissionError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except _DAMAGE:
        raise CheckpointError(damaged(path)) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds no weights")
    return content


class TorchTensors(Mapping[str, Any]):
    """The tensors of a file of `torch.save`, each copied to memory of its own when asked for.

    As with `SafeTensors`, nothing depends on the file once it is read, and nothing is in memory
    twice: the part of the map that held a tensor is given back. The checksums that torch writes,
    and does not read, are compared; of files without any, no memory is given back. A dict of
    tensors is given as another one of these; other values as they are.

    Raises: CheckpointError for a file that can't be read or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        version = None
        # A training that goes on may replace the file between the two.
        while version != (version := _version(path)):
            self._content: Mapping[str, Any] = read_ckpt(path)
            self._sums = _checksums(path)
        self._checked: set[int] = set()

    def __getitem__(self, key: str) -> Any:
        value = self._content[key]
        if isinstance(value, Tensor):
            return self._own(key, value)
        if isinstance(value, dict) and any(isinstance(v, Tensor) for v in value.values()):
            return self._below(cast(dict[str, Any], value))
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def _below(self, content: dict[str, Any]) -> TorchTensors:
        part = object.__new__(TorchTensors)
        part._path, part._content = self._path, content
        part._sums, part._checked = self._sums, self._checked
        return part

    def _own(self, key: str, value: Tensor) -> Tensor:
        storage: Any = value.untyped_storage()
        whole = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage)
        if self._sums and whole.numel() and whole.data_ptr() not in self._checked:
            if (whole.numel(), zlib.crc32(whole.numpy().data)) not in self._sums:
                raise CheckpointError(
                    f"{self._path}: damaged: the checksum of '{key}' is another one"
                )
            self._checked.add(whole.data_ptr())
        own = value.detach().clone()
        if self._sums:
            # It is a record of the file, so it was mapped.
            _give_back(whole)
        return own


def _checksums(path: Path) -> set[tuple[int, int]]:
    """Size and CRC32 of each storage; none where the file has none. Raises: CheckpointError."""
    try:
        if not zipfile.is_zipfile(path):
            return set()
        with zipfile.ZipFile(path) as archive:
            records = [record for record in archive.infolist() if "/data/" in record.filename]
    except (zipfile.BadZipFile, OSError):
        raise CheckpointError(damaged(path)) from None
    has_sums = any(record.CRC for record in records)
    return {(record.file_size, record.CRC) for record in records} if has_sums else set()


def _version(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    return found.st_ino, found.st_mtime_ns


def _give_back(mapped: Tensor) -> None:
    """Drops the pages of a file's map that lie in `mapped`; if asked for, they are read again."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    first = -(-mapped.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    size = (mapped.data_ptr() + mapped.numel() - first) // mmap.PAGESIZE * mmap.PAGESIZE
    if size > 0:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(size), mmap.MADV_DONTNEED)
