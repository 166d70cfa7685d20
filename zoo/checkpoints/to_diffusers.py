"""A model as diffusers' `AutoencoderOobleck` has it, where the two are the same network.

Source: diffusers, models/autoencoders/autoencoder_oobleck.py (names and parameters).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.diffusers import CLASS
from zoo.config.bottlenecks import VAEBottleneckConfig
from zoo.config.decoders import OobleckDecoderConfig
from zoo.config.encoders import OobleckEncoderConfig
from zoo.config.model import ModelContainer, StandardAutoencoderConfigContainer
from zoo.errors import ConfigError, Problem

_KEY = re.compile(
    r"(?P<side>encoder|decoder)\.layers\.(?P<place>\d+)"
    r"(?:\.layers\.(?P<part>\d+)(?:\.layers\.(?P<layer>\d))?)?\.(?P<rest>\w+)"
)
_UNIT = ("snake1", "conv1", "snake2", "conv2")
# In a block: the first residual unit, and the names of the other layers.
_UNITS = {"encoder": 0, "decoder": 2}
_OTHERS = {"encoder": {3: "snake1", 4: "conv1"}, "decoder": {0: "snake1", 1: "conv_t1"}}


def diffusers_config(container: ModelContainer) -> dict[str, Any]:
    """The content of diffusers' config.json for this network.

    Raises: ConfigError with each reason why diffusers' class is another network.
    """
    problems = list(_differences(container))
    if problems:
        raise ConfigError(problems, "diffusers' AutoencoderOobleck is another network")
    encoder, decoder = container.model.encoder, container.model.decoder
    assert isinstance(encoder, OobleckEncoderConfig) and isinstance(decoder, OobleckDecoderConfig)
    return {
        "_class_name": CLASS,
        "_diffusers_version": "0.32.0",
        "encoder_hidden_size": encoder.config.channels,
        "downsampling_ratios": list(encoder.config.strides),
        "channel_multiples": list(encoder.config.c_mults),
        "decoder_channels": decoder.config.channels,
        "decoder_input_channels": container.model.latent_dim,
        "audio_channels": container.model.io_channels,
        "sampling_rate": container.sample_rate,
    }


def from_upstream(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`weights` under diffusers' keys and in its shapes."""
    matches = {key: _KEY.fullmatch(key) for key in weights}
    blocks = max((int(m["place"]) for m in matches.values() if m and m["part"]), default=0)
    renamed: dict[str, Tensor] = {}
    for key, match in matches.items():
        assert match is not None, key
        value = weights[key]
        snake = match["rest"] in ("alpha", "beta")
        renamed[_renamed(match, blocks)] = value.reshape(1, -1, 1) if snake else value
    return renamed


def _renamed(match: re.Match[str], blocks: int) -> str:
    side, place, rest = match["side"], int(match["place"]), match["rest"]
    if match["part"] is None:
        name = {0: "conv1", blocks + 1: "snake1", blocks + 2: "conv2"}[place]
        return f"{side}.{name}.{rest}"
    path, part = f"{side}.block.{place - 1}", int(match["part"])
    if match["layer"] is None:
        return f"{path}.{_OTHERS[side][part]}.{rest}"
    unit = part - _UNITS[side] + 1
    return f"{path}.res_unit{unit}.{_UNIT[int(match['layer'])]}.{rest}"


def _differences(container: ModelContainer) -> Iterator[Problem]:
    """Where diffusers' network differs."""
    if not isinstance(container, StandardAutoencoderConfigContainer):
        yield Problem("model_type", f"'{container.model_type}', but must be 'autoencoder'")
        return
    model = container.model
    if not isinstance(model.bottleneck, VAEBottleneckConfig):
        kind = model.bottleneck.type if model.bottleneck else None
        yield Problem("model.bottleneck.type", f"'{kind}', but must be 'vae'")
    if model.pretransform:
        yield Problem("model.pretransform", f"'{model.pretransform.type}', but there must be none")
    channels = {model.input_side[1], model.output_side[1], model.io_channels}
    if len(channels) > 1:
        yield Problem("model.io_channels", "input and output must have the same channels")
    encoder, decoder = model.encoder, model.decoder
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        if part.type != "oobleck":
            yield Problem(f"model.{name}.type", f"'{part.type}', but must be 'oobleck'")
    if decoder.soft_clip:
        yield Problem("model.decoder.soft_clip", "must be false")
    if isinstance(encoder, OobleckEncoderConfig):
        yield from _options(encoder, "model.encoder.config")
        if encoder.config.channels != encoder.config.latent_dim:
            yield Problem(
                "model.encoder.config.channels",
                f"{encoder.config.channels}, but must be the encoder's latent_dim, "
                f"{encoder.config.latent_dim}: diffusers has one number for both",
            )
    if isinstance(decoder, OobleckDecoderConfig):
        yield from _options(decoder, "model.decoder.config")
        for key in ("use_nearest_upsample", "final_tanh"):
            if getattr(decoder.config, key):
                yield Problem(f"model.decoder.config.{key}", "must be false")
    if isinstance(encoder, OobleckEncoderConfig) and isinstance(decoder, OobleckDecoderConfig):
        for key in ("c_mults", "strides"):
            one, other = getattr(encoder.config, key), getattr(decoder.config, key)
            if one != other:
                yield Problem(
                    f"model.decoder.config.{key}",
                    f"{list(other)}, but must be the encoder's, {list(one)}",
                )


def _options(part: OobleckEncoderConfig | OobleckDecoderConfig, path: str) -> Iterator[Problem]:
    if not part.config.use_snake:
        yield Problem(f"{path}.use_snake", "must be true")
    if part.config.antialias_activation:
        yield Problem(f"{path}.antialias_activation", "must be false")
    if any(stride % 2 for stride in part.config.strides):
        strides = list(part.config.strides)
        yield Problem(
            f"{path}.strides", f"{strides}, but must be even: else a sample is lost there"
        )
