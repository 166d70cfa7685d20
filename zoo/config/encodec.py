"""The sizes of EnCodec's published models, as `audiocraft_autoencoder` takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_SEANET: dict[str, Any] = {"dimension": 128, "n_filters": 32, "ratios": [8, 5, 4, 2]}
# Source: encodec, model.py.
ENCODEC_SIZES: Mapping[str, Mapping[str, Any]] = {
    "24khz": {
        "sample_rate": 24000,
        "seanet": {**_SEANET, "channels": 1, "causal": True},
        "rvq": {"n_q": 32, "bins": 1024},
    },
    "48khz": {
        "sample_rate": 48000,
        "seanet": {**_SEANET, "channels": 2, "norm": "time_group_norm"},
        "rvq": {"n_q": 16, "bins": 1024},
    },
}
# Parameters of transformers' EncodecConfig: their defaults, and their names here.
_DEFAULTS: Mapping[str, tuple[str, Any]] = {
    "audio_channels": ("channels", 1),
    "hidden_size": ("dimension", 128),
    "num_filters": ("n_filters", 32),
    "num_residual_layers": ("n_residual_layers", 1),
    "upsampling_ratios": ("ratios", [8, 5, 4, 2]),
    "norm_type": ("norm", "weight_norm"),
    "kernel_size": ("kernel_size", 7),
    "last_kernel_size": ("last_kernel_size", 7),
    "residual_kernel_size": ("residual_kernel_size", 3),
    "dilation_growth_rate": ("dilation_base", 2),
    "use_causal_conv": ("causal", True),
    "pad_mode": ("pad_mode", "reflect"),
    "compress": ("compress", 2),
    "num_lstm_layers": ("lstm", 2),
}
_BANDWIDTHS = (1.5, 3.0, 6.0, 12.0, 24.0)


def transformers_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """What transformers' config says of the networks. Source: its configuration_encodec.py."""
    seanet = {ours: config.get(name, default) for name, (ours, default) in _DEFAULTS.items()}
    seanet["true_skip"] = not config.get("use_conv_shortcut", True)
    if seanet["causal"]:
        seanet["decoder"] = {"trim_right_ratio": config.get("trim_right_ratio", 1.0)}
    rate = config.get("sampling_rate", 24000)
    bins = config.get("codebook_size", 1024)
    frames = math.ceil(rate / math.prod(seanet["ratios"]))
    # kbit/s of the largest; each quantizer has 10 bits there, whatever the size of its codebook.
    highest = (config.get("target_bandwidths") or _BANDWIDTHS)[-1]
    return {
        "sample_rate": rate,
        "seanet": seanet,
        "rvq": {"n_q": int(1000 * highest // (frames * 10)), "bins": bins},
    }
