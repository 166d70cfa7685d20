"""How a model is had: from a config or from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import torch
from torch import nn

from zoo.checkpoints.reading import read_checkpoint
from zoo.checkpoints.published import audiocraft_file, dac_file, read_audiocraft, read_dac
from zoo.checkpoints.weights import load_weights
from zoo.config.base import Config
from zoo.config.load import load_config
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderPretransformConfig,
    DiffusionAutoencoderConfig,
)
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.errors import ConfigError
from zoo.factory import create_model_from_config
from zoo.interop import build_upstream
from zoo.models.autoencoder import AudioAutoencoder

Engine = Literal["zoo", "stable-audio-tools"]
ModelT = TypeVar("ModelT", bound=nn.Module)


@overload
def from_config(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    engine: Literal["zoo"] = "zoo",
) -> AudioAutoencoder: ...


@overload
def from_config(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    engine: Engine,
) -> Any: ...


def from_config(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = None,
    engine: Engine = "zoo",
) -> Any:
    """A model in eval mode, its config in `model.config`.

    Args:
        config: a name of `zoo.list_models()`, a path to a .json or .yaml file, a dict in the
            form of stable-audio-tools, or a config object.
        checkpoint: a file with the weights; without, they are random, but for those of a
            published codec in the pretransform, which are downloaded if need be.
        device: where the model is put; `"auto"` is a GPU if there is one.
        engine: `"stable-audio-tools"` builds that package's own class from the same config.

    Raises:
        ConfigError: with every problem of the config, before anything is allocated.
        CheckpointError: for a file that can't be read or does not fit.
    """
    model = built(config, engine)
    if checkpoint is not None:
        load_weights(model, read_checkpoint(checkpoint).weights, str(checkpoint))
    elif engine == "zoo":
        _fill_published(model, model.config.model)
    return placed(model, device)


def built(config: str | Path | Mapping[str, Any] | Config, engine: Engine = "zoo") -> Any:
    """As `from_config`, but all weights are random."""
    container = load_config(config)
    match engine:
        case "zoo":
            model: nn.Module = create_model_from_config(container)
        case "stable-audio-tools":
            model = build_upstream(container)
        case _:
            raise ConfigError(f"unknown engine '{engine}' (allowed: zoo, stable-audio-tools)")
    return model


@overload
def from_checkpoint(
    path: str | Path,
    *,
    device: str | torch.device | None = None,
    engine: Literal["zoo"] = "zoo",
) -> AudioAutoencoder: ...


@overload
def from_checkpoint(
    path: str | Path, *, device: str | torch.device | None = None, engine: Engine
) -> Any: ...


def from_checkpoint(
    path: str | Path, *, device: str | torch.device | None = None, engine: Engine = "zoo"
) -> Any:
    """The model of a checkpoint that `zoo train` wrote, in eval mode, with averaged weights.

    Args:
        path: a .ckpt file or a run folder, whose best checkpoint is taken.

    Raises:
        CheckpointError: for a file that can't be read, or that holds no config.
    """
    checkpoint = read_checkpoint(path)
    model = built(checkpoint.require_config(), engine)
    load_weights(model, checkpoint.weights, str(checkpoint.path))
    return placed(model, device)


def _fill_published(model: Any, config: AutoencoderConfig | DiffusionAutoencoderConfig) -> None:
    """Loads the weights of a published codec in the pretransform, if there is one."""
    match config.pretransform:
        case DACPretrainedPretransformConfig(config=options):
            path = dac_file(options.model_type, options.model_bitrate)
            found = read_dac(path)
        case AudiocraftPretrainedPretransformConfig(config=options):
            path = audiocraft_file(options.model_type)
            found = read_audiocraft(path)
        case AutoencoderPretransformConfig(config=inner):
            return _fill_published(model.pretransform.model, inner)
        case _:
            return None
    load_weights(model.pretransform.model, found.weights, str(path))
    return None


def placed(model: ModelT, device: str | torch.device | None) -> ModelT:
    """`model` on `device`; `"auto"` is a GPU if there is one."""
    if device is None:
        return model
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device)
