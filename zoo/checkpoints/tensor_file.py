"""Files of tensors, .safetensors, whose checksums zoo writes and compares."""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zoo.checkpoints.files import SUMS_KEY, damaged
from zoo.errors import CheckpointError

_KINDS = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_PIECE_BYTES = 1 << 20
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class _Place:
    """Where a tensor is in the file, in bytes."""

    kind: torch.dtype
    shape: tuple[int, ...]
    start: int


class SafeTensors(Mapping[str, Tensor]):
    """The tensors of a .safetensors file, each read into memory of its own when it is asked for.

    So nothing depends on the file once it is read, which may change or vanish; and nothing is in
    memory twice. Half precision becomes single. The checksums of a file of zoo are compared.

    Raises: CheckpointError for a file that can't be read or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # The library checks that all of the header is as it should be.
            with safe_open(path, framework="pt") as opened:
                self.metadata: Mapping[str, str] = opened.metadata() or {}
            self._places = _places(path)
            self._sums: dict[str, int] = json.loads(self.metadata.get(SUMS_KEY, "{}"))
        except PermissionError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from None
        except KeyError as error:
            raise CheckpointError(f"{path}: holds numbers of an unknown kind: {error}") from None
        except (SafetensorError, OSError, ValueError):
            raise CheckpointError(damaged(path)) from None

    def __getitem__(self, key: str) -> Tensor:
        place = self._places[key]
        value = torch.empty(place.shape, dtype=place.kind, device="cpu")
        expected = self._sums.get(key)
        try:
            checksum = _fill(_memory(value), self._path, place.start, checked=expected is not None)
        except EOFError:
            raise CheckpointError(damaged(self._path)) from None
        except OSError as error:
            raise CheckpointError(f"{self._path}: {error.strerror}") from None
        if checksum != expected:
            raise CheckpointError(f"{self._path}: damaged: the checksum of '{key}' is another one")
        return value.float() if place.kind in _HALF else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a .safetensors file with the checksum of each tensor in its metadata.

    Raises: OSError where it can't be written, say for a full disk.
    """
    own: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, value in tensors.items():
        value = value.detach().cpu().contiguous()
        # The format knows no tensors that share their memory.
        own[key] = value.clone() if value.data_ptr() in seen else value
        seen.add(value.data_ptr())
    sums = {key: zlib.crc32(_memory(value)) for key, value in own.items()}
    try:
        save_file(own, path, {**metadata, SUMS_KEY: json.dumps(sums)})
    except SafetensorError as error:
        # The library puts the system's number into words.
        match = re.search(r"os error (\d+)", str(error))
        number = int(match[1]) if match else errno.EIO
        reason = os.strerror(number) if match else str(error)
        raise OSError(number, reason, str(path)) from None


def _places(path: Path) -> dict[str, _Place]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    return {
        key: _Place(
            _KINDS[entry["dtype"]], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0]
        )
        for key, entry in sorted(header.items(), key=lambda item: item[0])
        if key != "__metadata__"
    }


def _fill(memory: memoryview, path: Path, start: int, *, checked: bool) -> int | None:
    """Reads from `start` on as much as `memory` holds; its CRC32, computed beside the reading.

    Raises: EOFError where the file is shorter; OSError.
    """
    checksum = 0

    def add(piece: memoryview) -> None:
        nonlocal checksum
        checksum = zlib.crc32(piece, checksum)

    pieces = [memory[at : at + _PIECE_BYTES] for at in range(0, len(memory), _PIECE_BYTES)]
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(1) as behind:
        file.seek(start)
        for piece in pieces:
            done = 0
            while done < len(piece):
                if not (count := file.readinto(piece[done:])):
                    raise EOFError
                done += count
            if not checked:
                continue
            if len(pieces) == 1:
                add(piece)
            else:
                behind.submit(add, piece)
    return checksum if checked else None


def _memory(value: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU, to read and to write."""
    size = math.prod(value.shape) * value.element_size()
    if size == 0:
        return memoryview(bytearray())
    return memoryview((ctypes.c_char * size).from_address(value.data_ptr())).cast("B")
