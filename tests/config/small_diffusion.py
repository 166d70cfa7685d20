"""A small diffusion autoencoder's config, and changes that leave it sound."""

from __future__ import annotations

import copy
from typing import Any

WAVELET = {"type": "wavelet", "config": {"channels": 2, "levels": 1, "wavelet": "bior2.2"}}
ENCODER = {"channels": 4, "c_mults": [1, 2], "strides": [2, 4], "latent_dim": 3}
DECODER = {"channels": 4, "c_mults": [1], "strides": [2], "latent_dim": 3, "out_channels": 5}
DIT = {"embed_dim": 64, "num_heads": 2, "depth": 1}
ADP: dict[str, Any] = {
    "channels": 4,
    "multipliers": [1, 1],
    "factors": [2],
    "num_blocks": [1],
    "attentions": [0],
    "resnet_groups": 1,
}
DAU = {"depth": 2, "n_attn_layers": 0, "channels": [4, 4], "strides": [2]}
SMALL = {"dit": DIT, "adp_1d": ADP, "DAU1d": DAU}


def config(kind: str = "dit", **diffusion: Any) -> dict[str, Any]:
    """A stereo encoder of ratio 8 with 3 latents in front of a small network."""
    return {
        "sample_rate": 16000,
        "model": {
            "encoder": {"type": "oobleck", "config": copy.deepcopy(ENCODER)},
            "diffusion": {"type": kind, "config": {**copy.deepcopy(SMALL[kind]), **diffusion}},
            "latent_dim": 3,
            "downsampling_ratio": 8,
            "io_channels": 2,
        },
    }


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of `base` with values at dotted paths replaced, or removed for `...`."""
    result = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split(".")
        holder = result
        for key in parents:
            holder = holder[key]
        if value is ...:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)
    return result


DECODING = {"model.decoder": {"type": "oobleck", "config": DECODER}}
AROUND = {
    "model.pretransform": WAVELET,
    "model.downsampling_ratio": 16,
    "model.encoder.config.in_channels": 4,
}
NO_ENCODER = {"model.encoder": ..., "model.latent_dim": 2, "model.downsampling_ratio": 1}
NO_ENCODER_AROUND = {
    "model.pretransform": WAVELET,
    "model.encoder": ...,
    "model.latent_dim": 4,
    "model.downsampling_ratio": 2,
}
