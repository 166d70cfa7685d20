"""Weight files of every layout, recognised by what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from zoo.checkpoints.files import CONFIG_KEY, SUFFIXES, find_checkpoint
from zoo.checkpoints.layouts import Which, container_of, recognise
from zoo.checkpoints.tensor_file import SafeTensors
from zoo.checkpoints.torch_file import TorchTensors
from zoo.errors import CheckpointError

_SIDECARS = ("model_config.json", "config.json")


@dataclass(frozen=True)
class Checkpoint:
    """The weights in a file, with upstream's keys, and the config that comes with them.

    Args:
        weights: nothing else uses their memory, so that a model may have it.
        layout: whose file this is, in words.
    """

    path: Path
    weights: Mapping[str, Tensor]
    config: Mapping[str, Any] | None
    layout: str = ""

    def require_config(self) -> Mapping[str, Any]:
        """Raises: CheckpointError where the file holds no config."""
        if self.config is None:
            raise CheckpointError(
                f"{self.path}: holds no config; name one: zoo.from_config(…, checkpoint=…), "
                "or --config, or put model_config.json beside it"
            )
        return self.config


def read_checkpoint(
    path: str | Path, which: Which = "averaged", part: str | None = None
) -> Checkpoint:
    """The weights of a file, or of the file that a folder has (see `find_checkpoint`).

    Args:
        which: `"averaged"` prefers averaged weights, `"online"` those that were trained.
        part: take the weights whose keys begin with this; by default what holds an autoencoder.

    Raises: CheckpointError, with the file's name.
    """
    path = find_checkpoint(path)
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path}: weights come as {', '.join(SUFFIXES)}")
    if path.suffix == ".safetensors":
        content: Mapping[str, Any] = SafeTensors(path)
        given = _parsed(content.metadata.get(CONFIG_KEY, "null"))
    else:
        content = TorchTensors(path)
        given = content.get(CONFIG_KEY) or content.get("model_config")
    sidecar = _sidecar(path)
    found = recognise(content, sidecar, path, which, part)
    if not found.weights:
        raise CheckpointError(f"{path}: holds no weights")
    if not all(isinstance(value, Tensor) for value in found.weights.values()):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CheckpointError(f"{path}: holds no weights")
    config = found.config
    if config is None and isinstance(given, Mapping):
        config = container_of(cast(Mapping[str, Any], given))
    if config is None and sidecar is not None:
        config = container_of(sidecar)
    return Checkpoint(path, found.weights, config, found.layout)


def _sidecar(path: Path) -> Mapping[str, Any] | None:
    """The config file beside a weight file. Raises: CheckpointError where it can't be read."""
    for name in _SIDECARS:
        file = path.with_name(name)
        if not file.is_file():
            continue
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: not a readable config: {error}") from None
        if isinstance(config, dict):
            return cast(dict[str, Any], config)
    return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None
