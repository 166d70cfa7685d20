"""Folders are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import CheckpointError

# The card of a folder that zoo has written has this line; with nothing else in it, such a folder
# may be replaced.
CARD = "README.md"
MARK = "<!-- written by zoo export -->"
# What is in such a folder besides, in words for the card.
FILES = {
    "model.safetensors": "the weights",
    "model_config.json": "the network, in the form of stable-audio-tools",
    "diffusion_pytorch_model.safetensors": "the weights",
    "config.json": "the network, in the form of diffusers",
    "encoder.onnx": "audio (batch, channels, samples) to latents (batch, latent, frames)",
    "decoder.onnx": "latents (batch, latent, frames) to audio (batch, channels, samples)",
    "encoder.onnx.data": "weights of encoder.onnx",
    "decoder.onnx.data": "weights of decoder.onnx",
    "encoder.pt2": "audio (batch, channels, samples) to latents (batch, latent, frames)",
    "decoder.pt2": "latents (batch, latent, frames) to audio (batch, channels, samples)",
}
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)


def check_target(folder: Path, force: bool = False) -> None:
    """Raises: CheckpointError where `folder` holds what is not zoo's, unless `force` is set."""
    if folder.is_file():
        raise CheckpointError(f"{folder}: is a file; name a folder with --output")
    if not force and _is_foreign(folder):
        raise CheckpointError(
            f"{folder}: holds other files than zoo export has written; name another folder with "
            "--output, or --force writes into it"
        )


@contextlib.contextmanager
def whole_folder(folder: Path, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place at the end.

    A folder with nothing but an export of zoo is replaced; of several processes, the last one's
    stays. With `force`, any other keeps its files but those of an export.

    Raises:
        CheckpointError: as `check_target`.
        OSError: where it can't be written. What was there before is then as it was.
    """
    check_target(folder, force)
    folder = folder.absolute()
    foreign = _is_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(folder, ".part")
    try:
        yield part
        _settle(part)
        if foreign:
            # What an export of another format has left would be read in place of this one.
            stale = set(FILES) if _has_our_card(folder) else set[str]()
            stale -= {file.name for file in part.iterdir()}
            for file in sorted(part.iterdir()):
                file.replace(folder / file.name)
            for name in stale:
                (folder / name).unlink(missing_ok=True)
        else:
            while not _has_replaced(part, folder):
                pass
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_foreign(folder: Path) -> bool:
    """Whether there is something in `folder` besides an export of ours."""
    while True:
        try:
            before = _version(folder)
            names = {entry.name for entry in folder.iterdir()}
            if not names or (names <= {CARD, *FILES} and _has_our_card(folder)):
                return False
            if _version(folder) == before:
                return True
        except FileNotFoundError:
            # Another process may be about to put its own there.
            if not folder.exists():
                return False


def _has_our_card(folder: Path) -> bool:
    card = folder / CARD
    return card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace")


def _version(folder: Path) -> tuple[int, int]:
    """Another one for another folder of the same name; numbers alone are used again."""
    found = folder.stat()
    return found.st_ino, found.st_ctime_ns


def _has_replaced(part: Path, folder: Path) -> bool:
    """Whether `part` is `folder` now; not where another process has just put its own there."""
    try:
        part.replace(folder)
        return True
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
    old = _beside(folder, ".old")
    try:
        folder.replace(old)
        part.replace(folder)
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _OCCUPIED:
            if any(old.iterdir()):
                old.replace(folder)
            raise
        return False
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path, suffix: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=suffix, dir=folder.parent))


def _settle(part: Path) -> None:
    """Rights as of a new folder, and all of it on the disk."""
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o777 & ~mask)
    for file in part.iterdir():
        file.chmod(0o666 & ~mask)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
