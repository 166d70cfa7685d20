"""Which files train and which validate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.crops import AudioFile


@dataclass(frozen=True)
class Split:
    """Files for training and for validation; the same single file on both sides if `shared`."""

    training: tuple[AudioFile, ...]
    validation: tuple[AudioFile, ...]
    shared: bool = False


def split_files(files: Sequence[AudioFile], folder: Path, *, fraction: float, seed: int) -> Split:
    """Splits by a hash of the path below `folder`, so that other files never move a file.

    The only exception: where one side would stay empty it gets the file next in line.
    """
    assert files
    if len(files) == 1:
        return Split(tuple(files), tuple(files), shared=True)
    places = {file.path: place(file.path.relative_to(folder), seed) for file in files}
    ordered = sorted(places, key=lambda path: (places[path], path))
    count = sum(place < fraction for place in places.values())
    chosen = set(ordered[: min(max(count, 1), len(files) - 1)])
    return Split(
        training=tuple(file for file in files if file.path not in chosen),
        validation=tuple(file for file in files if file.path in chosen),
    )


def place(path: Path, seed: int) -> float:
    """A number from 0 to below 1 that depends on the path and `seed` alone."""
    digest = hashlib.sha256(f"{seed}/{path.as_posix()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
