"""The bridge to stable-audio-tools ("upstream"), and the only import of it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import types
import warnings
from collections.abc import Iterator

from torch import nn

from zoo.config.bottlenecks import FSQBottleneckConfig, SoftNormBottleneckConfig
from zoo.config.model import (
    AutoencoderConfig,
    AutoencoderContainer,
    AutoencoderPretransformConfig,
)
from zoo.config.pretransforms import PQMFPretransformConfig
from zoo.config.published import (
    AudiocraftPretrainedPretransformConfig,
    DACPretrainedPretransformConfig,
)
from zoo.errors import ConfigError, Problem, ZooError

_SAMPLERS = "k_diffusion"
_INSTALL = (
    "stable-audio-tools is not installed. Its own requirements clash with a current environment; "
    "this works, from a checkout of zoo:\n"
    "  pip install --no-deps stable-audio-tools==0.0.19 && pip install -e '.[stable-audio-tools]'"
)


def build_upstream(container: AutoencoderContainer) -> nn.Module:
    """Upstream's own `AudioAutoencoder` for a config of ours, in eval mode.

    Raises:
        ZooError: where upstream is not installed; the message says how to install it.
        ConfigError: for types that upstream can't build and options that it doesn't have.
    """
    problems = list(_unknown_there(container.model, "model"))
    if problems:
        raise ConfigError(problems)
    with quiet():
        from stable_audio_tools.models.autoencoders import create_autoencoder_from_config

        model = create_autoencoder_from_config(container.to_dict())
    setattr(model, "config", container)  # noqa: B010 – nn.Module's type knows no such attribute
    return model.eval()


def _unknown_there(model: AutoencoderConfig, path: str) -> Iterator[Problem]:
    """What upstream can't build, also in the autoencoders inside."""
    for name, part in (("encoder", model.encoder), ("decoder", model.decoder)):
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
