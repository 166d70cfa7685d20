"""A PyTorch Lightning model zoo for neural audio autoencoders."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from zoo.errors import AudioError, CheckpointError, ConfigError, TrainingError, ZooError

if TYPE_CHECKING:
    from zoo import interop
    from zoo.config.library import list_models, list_recipes
    from zoo.data.files import read_audio, write_audio
    from zoo.data.latents import LatentDataModule
    from zoo.evaluation.files import evaluate
    from zoo.inference.batch.folders import decode_folder, encode_folder, reconstruct_folder
    from zoo.inference.batch.manifest import write_manifest
    from zoo.inference.codec import Codec
    from zoo.inference.export.exporting import export
    from zoo.inference.fast import fast
    from zoo.inference.latents import Latents
    from zoo.load import from_checkpoint, from_config, from_pretrained

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "CheckpointError",
    "Codec",
    "ConfigError",
    "LatentDataModule",
    "Latents",
    "TrainingError",
    "ZooError",
    "__version__",
    "decode_folder",
    "encode_folder",
    "evaluate",
    "export",
    "fast",
    "from_checkpoint",
    "from_config",
    "from_pretrained",
    "interop",
    "list_models",
    "list_recipes",
    "read_audio",
    "reconstruct_folder",
    "write_audio",
    "write_manifest",
]

_HOME = {
    "Codec": "zoo.inference.codec",
    "LatentDataModule": "zoo.data.latents",
    "Latents": "zoo.inference.latents",
    "decode_folder": "zoo.inference.batch.folders",
    "encode_folder": "zoo.inference.batch.folders",
    "evaluate": "zoo.evaluation.files",
    "export": "zoo.inference.export.exporting",
    "fast": "zoo.inference.fast",
    "from_checkpoint": "zoo.load",
    "from_config": "zoo.load",
    "from_pretrained": "zoo.load",
    "list_models": "zoo.config.library",
    "list_recipes": "zoo.config.library",
    "read_audio": "zoo.data.files",
    "reconstruct_folder": "zoo.inference.batch.folders",
    "write_audio": "zoo.data.files",
    "write_manifest": "zoo.inference.batch.manifest",
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only what is used is loaded.
    if name == "interop":
        return importlib.import_module("zoo.interop")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
