"""Weights of diffusers' `AutoencoderOobleck` under upstream's keys.

Source: diffusers, models/autoencoders/autoencoder_oobleck.py (names and parameters).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.errors import CheckpointError

CLASS = "AutoencoderOobleck"
_KEY = re.compile(
    r"(?P<side>encoder|decoder)\.(?:block\.(?P<block>\d+)\.)?(?:res_unit(?P<unit>\d)\.)?"
    r"(?P<layer>snake1|snake2|conv1|conv2|conv_t1)\.(?P<rest>.+)"
)
# Layers of a residual unit, in order.
_UNIT = ("snake1", "conv1", "snake2", "conv2")
# Where the residual units, the activation and the strided convolution of a block are.
_BLOCK = {
    "encoder": {"units": 0, "snake1": 3, "conv1": 4},
    "decoder": {"units": 2, "snake1": 0, "conv_t1": 1},
}
_DEFAULTS: Mapping[str, Any] = {
    "encoder_hidden_size": 128,
    "downsampling_ratios": [2, 4, 4, 8, 8],
    "channel_multiples": [1, 2, 4, 8, 16],
    "decoder_channels": 128,
    "decoder_input_channels": 64,
    "audio_channels": 2,
    "sampling_rate": 44100,
}


def is_oobleck(weights: Mapping[str, Any]) -> bool:
    """Whether the keys are those of diffusers' class."""
    return any(key.startswith("encoder.block.0.res_unit1.") for key in weights)


def to_upstream(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`weights` under upstream's keys and in its shapes; a key of no known form stays."""
    parsed = {key: _KEY.fullmatch(key) for key in weights}
    blocks = 1 + max((int(m["block"]) for m in parsed.values() if m and m["block"]), default=-1)
    renamed: dict[str, Tensor] = {}
    for key, match in parsed.items():
        value = weights[key]
        if match and match["rest"] in ("alpha", "beta"):
            value = value.flatten()
        renamed[_renamed(match, blocks) if match else key] = value
    return renamed


def _renamed(match: re.Match[str], blocks: int) -> str:
    side, layer = match["side"], match["layer"]
    places = _BLOCK[side]
    if match["block"] is None:
        # The first convolution; after all blocks, the activation and the last convolution.
        place = {"conv1": 0, "snake1": blocks + 1, "conv2": blocks + 2}.get(layer, layer)
        return f"{side}.layers.{place}.{match['rest']}"
    path = f"{side}.layers.{int(match['block']) + 1}.layers"
    if match["unit"] is None:
        return f"{path}.{places.get(layer, layer)}.{match['rest']}"
    unit = places["units"] + int(match["unit"]) - 1
    inner = _UNIT.index(layer) if layer in _UNIT else layer
    return f"{path}.{unit}.layers.{inner}.{match['rest']}"


def container(config: Mapping[str, Any] | None, path: Path) -> dict[str, Any] | None:
    """The config of diffusers in the form of stable-audio-tools; None where there is none.

    Raises: CheckpointError for that of another class.
    """
    if config is None or ("_class_name" not in config and "encoder_hidden_size" not in config):
        return None
    name = config.get("_class_name", CLASS)
    if name != CLASS:
        raise CheckpointError(f"{path.with_name('config.json')}: of a {name}, not of {CLASS}")
    sizes = {**_DEFAULTS, **{key: config[key] for key in _DEFAULTS if key in config}}
    shared = {
        "c_mults": list(sizes["channel_multiples"]),
        "strides": list(sizes["downsampling_ratios"]),
        "use_snake": True,
    }
    latent, channels = sizes["decoder_input_channels"], sizes["audio_channels"]
    encoder = {
        **shared,
        "in_channels": channels,
        "channels": sizes["encoder_hidden_size"],
        # There, the width of the first layer is that of the last one too.
        "latent_dim": sizes["encoder_hidden_size"],
    }
    decoder = {
        **shared,
        "out_channels": channels,
        "channels": sizes["decoder_channels"],
        "latent_dim": latent,
        "final_tanh": False,
    }
    return {
        "model_type": "autoencoder",
        "sample_rate": sizes["sampling_rate"],
        "model": {
            "encoder": {"type": "oobleck", "config": encoder},
            "decoder": {"type": "oobleck", "config": decoder},
            "bottleneck": {"type": "vae"},
            "latent_dim": latent,
            "downsampling_ratio": math.prod(shared["strides"]),
            "io_channels": channels,
        },
    }
