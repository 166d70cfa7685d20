"""How a model is had: from a config, a weight file, a folder or the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import torch
from torch import nn

from zoo.checkpoints.files import find_checkpoint
from zoo.checkpoints.layouts import Which
from zoo.checkpoints.published import audiocraft_file, dac_file, read_audiocraft, read_dac
from zoo.checkpoints.reading import Checkpoint, read_checkpoint
from zoo.checkpoints.sources import Source, find_source, published_source
from zoo.checkpoints.weights import give_weights, load_weights
from zoo.config.base import Config
from zoo.config.load import load_config
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderPretransformConfig,
    DiffusionAutoencoderConfig,
    ModelContainer,
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
    pretrained: bool = False,
    revision: str | None = None,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Literal["zoo"] = "zoo",
) -> AudioAutoencoder: ...


@overload
def from_config(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    checkpoint: str | Path | None = None,
    pretrained: bool = False,
    revision: str | None = None,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Engine,
) -> Any: ...


def from_config(
    config: str | Path | Mapping[str, Any] | Config,
    *,
    checkpoint: str | Path | None = None,
    pretrained: bool = False,
    revision: str | None = None,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Engine = "zoo",
) -> Any:
    """A model in eval mode, its config in `model.config`.

    Args:
        config: a name of `zoo.list_models()`, a path to a .json or .yaml file, a dict in the
            form of stable-audio-tools, or a config object.
        checkpoint: what `from_pretrained` takes, of which the weights alone are used; without,
            they are random, but for those of a published codec in the pretransform, which are
            downloaded if need be.
        pretrained: load the published weights that the config names.
        revision: of a repository: commit, tag or branch.
        weights: `"averaged"` prefers averaged weights, `"online"` those that were trained.
        partial: load what fits, and leave the rest random; `model.loaded` says what.
        device: where the model is put; `"auto"` is a GPU if there is one.
        engine: `"stable-audio-tools"` builds that package's own class from the same config.

    Raises:
        ConfigError: with every problem of the config, before anything is allocated.
        CheckpointError: for a file that can't be read or does not fit.
    """
    container = load_config(config)
    if pretrained:
        if checkpoint is not None:
            raise ConfigError("checkpoint= and pretrained=True: give one of them")
        named = config if isinstance(config, str | Path) else None
        return _opened(
            published_source(container, named, revision), weights, partial, device, engine
        )
    if checkpoint is not None:
        # What the config says of its published weights is not of these.
        container = container.model_copy(update={"published": None})
        source = replace(find_source(checkpoint, revision), config=container)
        return _opened(source, weights, partial, device, engine)
    model = built(container, engine)
    if engine == "zoo":
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
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Literal["zoo"] = "zoo",
) -> AudioAutoencoder: ...


@overload
def from_checkpoint(
    path: str | Path,
    *,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Engine,
) -> Any: ...


def from_checkpoint(
    path: str | Path,
    *,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Engine = "zoo",
) -> Any:
    """The model of a weight file that comes with its config, in eval mode.

    Args:
        path: a file, or a folder with one: a run folder, whose best checkpoint is taken, or a
            folder in the layout of another package.
        weights, partial, device, engine: as of `from_config`.

    Raises:
        CheckpointError: for a file that can't be read, that does not fit, or without a config.
    """
    return _opened(Source(find_checkpoint(path)), weights, partial, device, engine)


@overload
def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Literal["zoo"] = "zoo",
) -> AudioAutoencoder: ...


@overload
def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Engine,
) -> Any: ...


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    weights: Which = "averaged",
    partial: bool = False,
    device: str | torch.device | None = None,
    engine: Engine = "zoo",
) -> Any:
    """A trained model, in eval mode; `model.loaded` is the report for its keys.

    Args:
        source: a file or folder, as `from_checkpoint` takes it; a name of
            `zoo.list_models(pretrained=True)`; or a repository of the Hugging Face hub,
            owner/name, perhaps with a folder or file in it behind.
        revision: commit, tag or branch of the repository.
        weights, partial, device, engine: as of `from_config`.

    Raises:
        CheckpointError: where it can't be had or read, or does not fit; with what to do.
    """
    return _opened(find_source(source, revision), weights, partial, device, engine)


def _opened(
    source: Source,
    weights: Which,
    partial: bool,
    device: str | torch.device | None,
    engine: Engine,
) -> Any:
    """A model with the weights of a file, of the config that came with either."""
    checkpoint = read_checkpoint(source.path, weights, source.part)
    container = load_config(source.config or checkpoint.require_config())
    model = None
    if engine == "zoo" and not partial:
        model = _filled(container, checkpoint)
    if model is None:
        model = built(container, engine)
        model.loaded = load_weights(
            model,
            checkpoint.weights,
            str(checkpoint.path),
            partial=partial,
            layout=checkpoint.layout,
        )
    return placed(model, device)


def _filled(container: ModelContainer, checkpoint: Checkpoint) -> AudioAutoencoder | None:
    """The model with its weights, without any others before.

    None where it has to be built in full, since it holds more than weights: tables that no file
    has, say.
    """
    try:
        with torch.device("meta"):
            model = create_model_from_config(container)
    except (RuntimeError, NotImplementedError):
        # It computes with values while it is built.
        return None
    if any(
        isinstance(value, torch.Tensor) for part in model.modules() for value in vars(part).values()
    ):
        return None
    tables = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    if tables:
        return None
    model.loaded = give_weights(
        model,
        checkpoint.weights,
        str(checkpoint.path),
        layout=checkpoint.layout,
    )
    return model


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
