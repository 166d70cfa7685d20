"""Folders are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import CheckpointError

# The card of a folder that zoo has written has this line; such a folder may be replaced.
CARD = "README.md"
MARK = "<!-- written by zoo export -->"


def check_target(folder: Path, force: bool = False) -> None:
    """Raises: CheckpointError where `folder` holds what is not zoo's, unless `force` is set."""
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file; name a folder with --output")
    if folder.is_dir() and any(folder.iterdir()) and not (force or _is_ours(folder)):
        raise CheckpointError(
            f"{folder}: is not empty, and no folder that zoo export has written; name another one "
            "with --output, or --force writes into it"
        )


@contextlib.contextmanager
def whole_folder(folder: Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place at the end.

    A folder that zoo has exported to is replaced. With `force`, any other keeps its files but those
    of the same names.

    Raises:
        CheckpointError: as `check_target`.
        OSError: where it can't be written. What was there before is then as it was.
    """
    check_target(folder, force)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield part
        _settle(part)
        if not folder.exists() or not any(folder.iterdir()):
            part.replace(folder)
        elif _is_ours(folder):
            _swap(part, folder)
        else:
            for file in sorted(part.iterdir()):
                file.replace(folder / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    card = folder / CARD
    if not card.is_file() or any(entry.is_dir() for entry in folder.iterdir()):
        return False
    return MARK in card.read_text(encoding="utf-8", errors="replace")


def _settle(part: Path) -> None:
    """Rights as of a new folder, and all of it on the disk."""
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o777 & ~mask)
    for file in part.iterdir():
        file.chmod(0o666 & ~mask)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _swap(part: Path, folder: Path) -> None:
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    folder.replace(old)
    try:
        part.replace(folder)
    except OSError:
        old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
