"""Checkpoint files: what is in them, and how they are read without running code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from zoo.errors import CheckpointError

# What `zoo train` adds to the file that Lightning writes.
CONFIG_KEY = "zoo_config"
EMA_KEY = "zoo_ema"
BEST = Path("checkpoints") / "best.ckpt"
LAST = Path("checkpoints") / "last.ckpt"
_MODEL_PREFIX = "model."
_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a file, with upstream's keys, and the config that it carries."""

    path: Path
    weights: Mapping[str, Tensor]
    config: Mapping[str, Any] | None

    def require_config(self) -> Mapping[str, Any]:
        """Raises: CheckpointError where the file holds no config."""
        if self.config is None:
            raise CheckpointError(
                f"{self.path}: holds no config; name one: zoo.from_config(…, checkpoint=…)"
            )
        return self.config


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The weights of a .ckpt or .safetensors file, or of the best checkpoint in a run folder.

    Averaged weights are preferred. Raises: CheckpointError, with the file's name.
    """
    path = find_checkpoint(path)
    if path.suffix not in _SUFFIXES:
        raise CheckpointError(f"{path}: weights come as {', '.join(_SUFFIXES)}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    content = read_ckpt(path)
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: holds no weights")
    weights = content.get(EMA_KEY) or _without_prefix(state)
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f"{path}: holds no weights")
    config = content.get(CONFIG_KEY)
    return Checkpoint(path, weights, config if isinstance(config, Mapping) else None)


def read_ckpt(path: Path) -> dict[str, Any]:
    """All that a .ckpt file holds, never running code from it. Raises: CheckpointError."""
    import pickle

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise CheckpointError(
                f"{path}: holds code besides tensors, which is never run; "
                "save its state dict as .safetensors where it comes from"
            ) from None
        raise CheckpointError(_damaged(path)) from None
    except PermissionError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except (RuntimeError, EOFError, ValueError, OSError, KeyError):
        raise CheckpointError(_damaged(path)) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds no weights")
    return content


def find_checkpoint(path: str | Path) -> Path:
    """`path` itself, or in a run folder the best checkpoint, else the last.

    In a folder of runs, the newest one is taken. Raises: CheckpointError where there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.exists():
        raise CheckpointError(f"{path}: no such file or folder")
    run = newest_run(path.parent if path.name == "checkpoints" else path)
    if run is None:
        raise CheckpointError(f"{path}: no checkpoint in this folder")
    best = run / BEST
    return best if best.is_file() else run / LAST


def newest_run(root: str | Path = "runs") -> Path | None:
    """The run folder that `root` is, or the one below it with the newest checkpoint."""
    files = [
        *Path(root).glob(f"**/{LAST}"),
        *Path(root).glob(f"**/{BEST}"),
    ]
    newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
    return newest and newest.parent.parent


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        raise CheckpointError(_damaged(path)) from None
    try:
        config = json.loads(metadata.get(CONFIG_KEY, "null"))
    except json.JSONDecodeError:
        config = None
    return Checkpoint(path, weights, config if isinstance(config, dict) else None)


def _without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's own keys out of a LightningModule's state dict."""
    inner = {
        key.removeprefix(_MODEL_PREFIX): value
        for key, value in state.items()
        if key.startswith(_MODEL_PREFIX)
    }
    return inner or dict(state)


def _damaged(path: Path) -> str:
    return f"{path}: not a readable checkpoint (truncated or damaged)"
