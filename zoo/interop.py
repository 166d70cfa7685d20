"""The bridge to stable-audio-tools ("upstream"), and the only import of it.

`to_stable_audio_tools` and `from_stable_audio_tools` turn models into each other.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.checkpoints.weights import load_weights
from zoo.config.adp import ADP1DConfig
from zoo.config.base import Config
from zoo.config.bottlenecks import FSQBottleneckConfig, SoftNormBottleneckConfig
from zoo.config.dau import DAU1DConfig
from zoo.config.dit import DiTConfig
from zoo.config.load import load_config
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderPretransformConfig,
    DiffusionAutoencoderConfig,
    DiffusionAutoencoderConfigContainer,
    ModelContainer,
)
from zoo.config.pretransforms import PQMFPretransformConfig
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.config.samplers import Sampler
from zoo.errors import ConfigError, Problem, ZooError
from zoo.factory import create_model_from_config
from zoo.models.autoencoder import AudioAutoencoder

_SAMPLERS = "k_diffusion"
_INSTALL = (
    "stable-audio-tools is not installed. Its own requirements clash with a current environment; "
    "this works, from a checkout of zoo:\n"
    "  pip install --no-deps stable-audio-tools==0.0.19 && pip install -e '.[stable-audio-tools]'"
)


def to_stable_audio_tools(model: AudioAutoencoder) -> nn.Module:
    """An instance of upstream's own class with the weights, precision, device and mode of `model`.

    Its weights are copies. A VAE of upstream draws its latents in eval mode too; mean, scale and
    decoding are the same.

    Raises:
        ZooError: where upstream is not installed; the message says how to install it.
        ConfigError: for types that upstream can't build and options that it doesn't have.
    """
    container: ModelContainer | None = model.config
    if container is None:
        raise ConfigError("the model knows no config: build it with zoo.from_config")
    return _filled(build_upstream(container), model)


def from_stable_audio_tools(
    model: nn.Module, config: str | Path | Mapping[str, Any] | Config | None = None
) -> AudioAutoencoder:
    """Our model with copies of the weights of one of upstream, its precision, device and mode.

    Args:
        config: what upstream built it from: the content of its model_config.json, or a path to it.
            Not needed for what `to_stable_audio_tools` or `engine="stable-audio-tools"` made.

    Raises:
        ConfigError: where no config is known.
        CheckpointError: where the weights don't fit it.
    """
    config = config or getattr(model, "config", None)
    if config is None:
        raise ConfigError(
            "a model of stable-audio-tools doesn't know its config: give the content of its "
            "model_config.json, from_stable_audio_tools(model, config)"
        )
    return _filled(create_model_from_config(load_config(config)), model)


def _filled(target: Any, source: nn.Module) -> Any:
    """`target` with the weights, precision, device and mode of `source`."""
    like = next(source.parameters(), torch.empty(0))
    target.to(device=like.device, dtype=like.dtype)
    load_weights(target, source.state_dict(), f"the {type(source).__name__} given")
    learning = {name: weight.requires_grad for name, weight in source.named_parameters()}
    for name, weight in target.named_parameters():
        weight.requires_grad_(learning[name])
    return target.train(source.training)


def build_upstream(container: ModelContainer) -> nn.Module:
    """Upstream's own `AudioAutoencoder` or `DiffusionAutoencoder`, in eval mode.

    Raises:
        ZooError: where upstream is not installed; the message says how to install it.
        ConfigError: for types that upstream can't build and options that it doesn't have.
    """
    config = upstream_config(container)
    with quiet():
        from stable_audio_tools.models import autoencoders

        if isinstance(container, DiffusionAutoencoderConfigContainer):
            model = autoencoders.create_diffAE_from_config(config)
            # upstream: with a pretransform, these are the channels inside of it.
            model.in_channels = container.model.input_side[1]
            model.out_channels = container.model.output_side[1]
        else:
            model = autoencoders.create_autoencoder_from_config(config)
    setattr(model, "config", container)  # noqa: B010 – nn.Module's type knows no such attribute
    return model.eval()


def upstream_config(container: ModelContainer) -> dict[str, Any]:
    """The content of a `model_config.json` that upstream builds this network from.

    Raises: ConfigError for types that upstream can't build and options that it doesn't have.
    """
    problems = list(_unknown_there(container.model, "model"))
    if problems:
        raise ConfigError(problems)
    if isinstance(container, DiffusionAutoencoderConfigContainer):
        return upstream_form(container)
    return container.to_dict()


def upstream_form(container: DiffusionAutoencoderConfigContainer) -> dict[str, Any]:
    """A diffusion autoencoder's file as upstream runs it.

    With a pretransform, upstream states ratio and channels of the signal inside of it.
    """
    model = container.model
    written = container.to_dict()
    if model.pretransform:
        written["model"]["downsampling_ratio"] //= model.pretransform.ratio
        written["model"]["io_channels"] = model.inner_channels
    return written


def _unknown_there(
    model: AutoencoderConfig | DiffusionAutoencoderConfig, path: str
) -> Iterator[Problem]:
    """What upstream can't build, also in the autoencoders inside."""
    if isinstance(model, DiffusionAutoencoderConfig):
        yield from _diffusion_unknown_there(model, path)
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        if part is None:
            continue
        if part.type in ("taae", "local_attn"):
            yield Problem(f"{path}.{name}.type", f"upstream can't build a '{part.type}' {name}")
        elif getattr(part.config, "antialias_activation", False) == "all":
            yield Problem(
                f"{path}.{name}.config.antialias_activation", "'all' does not exist upstream"
            )
    match model.bottleneck:
        case SoftNormBottleneckConfig():
            yield Problem(f"{path}.bottleneck.type", "no config reaches 'softnorm' upstream")
        case FSQBottleneckConfig(config=fsq):
            if fsq.num_codebooks == 1 and not fsq.keep_num_codebooks_dim:
                yield Problem(
                    f"{path}.bottleneck.config.keep_num_codebooks_dim",
                    "must be true: upstream can't encode with a single codebook",
                )
        case _:
            pass
    match model.pretransform:
        case PQMFPretransformConfig():
            yield Problem(
                f"{path}.pretransform.type", "'pqmf' fails upstream with any current scipy"
            )
        case AutoencoderPretransformConfig(config=inner):
            yield from _unknown_there(inner, f"{path}.pretransform.config")
        case DACPretrainedPretransformConfig() | AudiocraftPretrainedPretransformConfig():
            yield Problem(
                f"{path}.pretransform.type",
                f"'{model.pretransform.type}' needs another package upstream, with its own weights",
            )
        case _:
            pass


def _diffusion_unknown_there(model: DiffusionAutoencoderConfig, path: str) -> Iterator[Problem]:
    if model.decoder:
        yield Problem(f"{path}.decoder", "upstream can't decode with one: it calls itself for ever")
    if model.diffusion.objective != "v":
        yield Problem(
            f"{path}.diffusion.config.diffusion_objective",
            f"'{model.diffusion.objective}', but upstream trains and decodes 'v' alone",
        )
    if model.sampling and model.sampling.sampler not in (None, Sampler.DDIM):
        yield Problem(
            f"{path}.sampling.sampler",
            f"'{model.sampling.sampler}', but upstream decodes with 'ddim' alone",
        )
    if not model.diffusion.requires_grad:
        yield Problem(f"{path}.diffusion.requires_grad", "no such key upstream; use freeze")
    match model.diffusion:
        case DAU1DConfig():
            yield Problem(f"{path}.diffusion.type", "upstream can't build a 'DAU1d'")
        case ADP1DConfig(config=parameters):
            if parameters.diffusion_objective:
                yield Problem(
                    f"{path}.diffusion.config.diffusion_objective",
                    "no such key upstream, which has 'v' alone: leave it out",
                )
            if parameters.use_stft:
                yield Problem(f"{path}.diffusion.config.use_stft", "fails upstream")
        case DiTConfig(config=parameters):
            if parameters.sliding_window:
                yield Problem(
                    f"{path}.diffusion.config.sliding_window",
                    "upstream ignores it without flash-attn, and attends to all frames",
                )
            if parameters.timestep_cond_type == "input_concat":
                yield Problem(
                    f"{path}.diffusion.config.timestep_cond_type", "'input_concat' fails upstream"
                )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Upstream prints and warns of itself, and imports samplers that no autoencoder needs."""
    # An empty module is enough: k-diffusion serves upstream's text-to-audio samplers alone.
    stubbed = _SAMPLERS not in sys.modules and importlib.util.find_spec(_SAMPLERS) is None
    if stubbed:
        sys.modules[_SAMPLERS] = types.ModuleType(_SAMPLERS)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        missing = error.name or ""
        if missing.split(".")[0] == "stable_audio_tools":
            raise ZooError(_INSTALL) from None
        raise ZooError(f"{_INSTALL}\n(now missing: {missing or error})") from None
    finally:
        if stubbed:
            del sys.modules[_SAMPLERS]
