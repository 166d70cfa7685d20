"""Checkpoint files: where they are, and how they are read without running code."""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import CheckpointError

# What `zoo train` adds to the file that Lightning writes.
CONFIG_KEY = "zoo_config"
EMA_KEY = "zoo_ema"
METRICS_KEY = "zoo_metrics"
# And `zoo export` to the metadata of a .safetensors file.
TRAINING_KEY = "zoo_training"
SUMS_KEY = "zoo_crc32"
BEST = Path("checkpoints") / "best.ckpt"
LAST = Path("checkpoints") / "last.ckpt"
AUDIOCRAFT_FILE = "compression_state_dict.bin"
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".th", ".bin")
# Where a folder has one of these pairs, they are a model; in this order.
PAIRS = (
    ("model_config.json", ("model.safetensors", "model.ckpt")),
    ("config.json", ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")),
    ("config.json", ("model.safetensors", "pytorch_model.bin")),
)
# Where a folder has no file of its own, the model is in this one: diffusers' pipelines.
INSIDE = "vae"


def read_ckpt(path: Path) -> dict[str, Any]:
    """All that a .ckpt file holds, never running code from it. Raises: CheckpointError."""
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
    except (RuntimeError, EOFError, ValueError, OSError, KeyError):
        raise CheckpointError(damaged(path)) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds no weights")
    return content


def find_checkpoint(path: str | Path) -> Path:
    """The file with the weights: `path` itself, or one in the folder that it is.

    In a run folder that is the best checkpoint, else the last; in a folder of runs, that of the
    newest one; else what stable-audio-tools, diffusers (also in `vae/`), transformers or audiocraft
    would read, or the only weight file. Raises: CheckpointError where there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.exists():
        raise CheckpointError(f"{path}: no such file or folder")
    for folder in (path, path / INSIDE):
        if found := _published(folder):
            return found
    run = newest_run(path.parent if path.name == "checkpoints" else path)
    if run is not None:
        best = run / BEST
        return best if best.is_file() else run / LAST
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise CheckpointError(f"{path}: no checkpoint in this folder")
    if len(files) > 1:
        raise CheckpointError(f"{path}: which one? {', '.join(file.name for file in files)}")
    return files[0]


def _published(folder: Path) -> Path | None:
    for config, files in PAIRS:
        for name in files:
            if (folder / config).is_file() and (folder / name).is_file():
                return folder / name
    alone = folder / AUDIOCRAFT_FILE
    return alone if alone.is_file() else None


def newest_run(root: str | Path = "runs") -> Path | None:
    """The run folder that `root` is, or the one below it with the newest checkpoint."""
    files = [
        *Path(root).glob(f"**/{LAST}"),
        *Path(root).glob(f"**/{BEST}"),
    ]
    newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
    return newest and newest.parent.parent


def check_sums(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Compares what torch has saved with the file's own checksums, which torch does not.

    Args:
        weights: as `read_ckpt` gave them: each tensor's storage is a record of the file.

    Raises: CheckpointError.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        records = [record for record in archive.infolist() if "/data/" in record.filename]
    if not any(record.CRC for record in records):
        return
    sums = {(record.file_size, record.CRC) for record in records}
    for key, value in weights.items():
        whole = torch.empty(0, dtype=torch.uint8).set_(value.untyped_storage())  # type: ignore[arg-type]
        if whole.numel() and (whole.numel(), zlib.crc32(whole.numpy().data)) not in sums:
            raise CheckpointError(f"{path}: damaged: the checksum of '{key}' is another one")


def damaged(path: Path) -> str:
    """What is said of a file that can't be read."""
    return f"{path}: not a readable checkpoint (truncated or damaged)"
