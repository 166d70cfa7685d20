"""Weights of EnCodec, of its own package and of transformers, under upstream's keys.

Source: encodec, model.py; transformers, models/encodec (names and parameters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.checkpoints.published import codebook
from zoo.config.encodec import ENCODEC_SIZES, transformers_sizes
from zoo.config.published import audiocraft_autoencoder
from zoo.errors import CheckpointError

_CONV = re.compile(
    r"(?P<side>encoder|decoder)\.layers\.(?P<layer>\d+)"
    r"(?P<inner>\.block\.\d+|\.shortcut)?\.(?P<kind>conv|norm)\.(?P<rest>.+)"
)
_LSTM = re.compile(r"(?P<side>encoder|decoder)\.layers\.(?P<layer>\d+)\.lstm\.(?P<rest>.+)")
_CODES = re.compile(r"quantizer\.layers\.(?P<layer>\d+)\.codebook\.(?P<rest>.+)")


def is_encodec(weights: Mapping[str, Any]) -> bool:
    """Whether the keys are those of the package `encodec`."""
    return any(key.startswith("quantizer.vq.layers.0._codebook.") for key in weights)


def is_transformers(weights: Mapping[str, Any]) -> bool:
    """Whether the keys are those of transformers' `EncodecModel`."""
    return any(key.startswith("quantizer.layers.0.codebook.") for key in weights)


def from_encodec(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`weights` under upstream's keys: the networks have them, the codes do not."""
    renamed: dict[str, Tensor] = {}
    for key, value in weights.items():
        if key.startswith("quantizer.vq."):
            key, value = codebook(key, value)
        renamed[key] = value
    return renamed


def from_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`weights` under upstream's keys; a key of no known form stays."""
    matches = {key: _CONV.fullmatch(key) for key in weights}
    ends = [int(m["layer"]) for m in matches.values() if m and m["side"] == "decoder"]
    last = max(ends, default=0)
    renamed: dict[str, Tensor] = {}
    for key, match in matches.items():
        if match:
            # In the decoder, whatever stands between the first and the last layer is transposed.
            up = match["side"] == "decoder" and not match["inner"]
            up = up and int(match["layer"]) not in (0, last)
            word = "convtr" if up else "conv"
            inner = "norm" if match["kind"] == "norm" else word
            layer = f"{match['side']}.model.{match['layer']}{match['inner'] or ''}"
            key_there = f"{layer}.{word}.{inner}.{match['rest']}"
        elif lstm := _LSTM.fullmatch(key):
            key_there = f"{lstm['side']}.model.{lstm['layer']}.lstm.{lstm['rest']}"
        elif codes := _CODES.fullmatch(key):
            key_there = f"quantizer.vq.layers.{codes['layer']}._codebook.{codes['rest']}"
        else:
            key_there = key
        renamed[key_there] = weights[key]
    return from_encodec(renamed)


def of_transformers(config: Mapping[str, Any] | None, path: Path) -> dict[str, Any] | None:
    """The config of transformers in the form of stable-audio-tools; None where there is none.

    Raises: CheckpointError for that of another model.
    """
    if config is None or "model_type" not in config or "model" in config:
        return None
    file = path.with_name("config.json")
    if config["model_type"] != "encodec":
        raise CheckpointError(f"{file}: of a '{config['model_type']}', not of an EnCodec")
    try:
        return audiocraft_autoencoder(transformers_sizes(config))
    except (TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{file}: not a readable config: {error}") from None


def guessed(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The published EnCodec that has these weights; its files say nothing but the weights."""
    layers = sum(key.endswith("._codebook.embed") for key in weights)
    first = [
        tuple(value.shape)
        for key, value in weights.items()
        if key.startswith("encoder.model.0.conv.conv.weight") and value.numel() > value.shape[0]
    ]
    for sizes in ENCODEC_SIZES.values():
        seanet = sizes["seanet"]
        wanted = (seanet["n_filters"], seanet["channels"], 7)
        if first == [wanted] and layers == sizes["rvq"]["n_q"]:
            return audiocraft_autoencoder(sizes)
    return None
