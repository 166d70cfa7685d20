"""Writes taae.safetensors: outputs of stable-audio-tools' transformer autoencoder.

    git clone https://github.com/Stability-AI/stable-audio-tools && cd <this checkout>
    .venv/bin/python -m tests.golden.make_taae path/to/stable-audio-tools

Made from its commit 50049e379e2fe8e35bffc99e57f23ade1c3471b7; release 0.0.19 can't build these
networks. The weights come from one stored table of numbers, by `fill`, so that wide networks take
no space.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.oracle import import_upstream

FILE = Path(__file__).with_name("taae.safetensors")
FRAMES = 24

_SHARED: dict[str, Any] = {"latent_dim": 5, "sliding_window": [400, 400]}
CASES: dict[str, dict[str, Any]] = {
    "plain": {"channels": 8, "c_mults": [1, 2], "strides": [2, 4], "transformer_depths": [1, 2]},
    "zero_init": {
        "channels": 6,
        "c_mults": [1, 3],
        "strides": [4, 2],
        "transformer_depths": [2, 1],
        "layer_scale": False,
    },
    "snake_dilated": {
        "channels": 10,
        "c_mults": [2, 2],
        "strides": [2, 2],
        "transformer_depths": [1, 1],
        "use_snake": True,
        "use_dilated_conv": True,
    },
    "conformer": {
        "channels": 12,
        "c_mults": [2, 1],
        "strides": [2, 2],
        "transformer_depths": [1, 2],
        "conformer": True,
    },
    "dilated": {
        "channels": 7,
        "c_mults": [1, 2],
        "strides": [2, 2],
        "transformer_depths": [0, 1],
        "use_dilated_conv": True,
        "conformer": True,
        "layer_scale": False,
    },
    "two_heads": {
        "channels": 128,
        "c_mults": [2],
        "strides": [4],
        "transformer_depths": [1],
        "conformer": True,
    },
    "stride_1": {
        "channels": 9,
        "c_mults": [1, 1, 2],
        "strides": [1, 1, 2],
        "transformer_depths": [1, 1, 1],
    },
}


def arguments(name: str, side: str) -> dict[str, Any]:
    """The constructor's arguments of a case; `side` is "encoder" or "decoder"."""
    channels = {"in_channels": 2} if side == "encoder" else {"out_channels": 2}
    return {**channels, **_SHARED, **CASES[name]}


@torch.no_grad()
def fill(network: nn.Module, table: Tensor) -> None:
    """Every weight and buffer out of `table`, but for the frequencies of the rotary embedding."""
    start = 0
    for key, weight in sorted(network.state_dict().items()):
        if key.endswith("inv_freq"):
            continue
        place = torch.arange(start, start + weight.numel()) % table.numel()
        noise = table[place].reshape(weight.shape)
        start += weight.numel()
        if key.endswith(("gamma", "weight_g", "scale", "_norm.weight")):
            weight.copy_(1 + 0.3 * noise)
        elif weight.ndim > 1:
            weight.copy_(noise / math.sqrt(weight[0].numel()))
        else:
            weight.copy_(0.3 * noise)


@torch.no_grad()
def main(checkout: str) -> None:
    sys.path.insert(0, checkout)
    upstream = import_upstream("stable_audio_tools.models.autoencoders")
    assert str(Path(checkout).resolve()) in str(upstream.__file__)
    torch.manual_seed(0)
    # A prime number of them, so that no two rows of a matrix are equal.
    tensors = {"table": torch.randn(8209)}
    shapes: dict[str, dict[str, list[int]]] = {}
    for name, case in CASES.items():
        samples = FRAMES * math.prod(case["strides"])
        inputs = {"encoder": torch.randn(2, 2, samples), "decoder": torch.randn(2, 5, FRAMES)}
        for side, network in (("encoder", upstream.TAAEEncoder), ("decoder", upstream.TAAEDecoder)):
            with contextlib.redirect_stdout(io.StringIO()):
                built = network(**arguments(name, side)).eval()
                fill(built, tensors["table"])
                tensors[f"{name}.{side}.input"] = inputs[side]
                tensors[f"{name}.{side}.output"] = built(inputs[side])
            state = built.state_dict()
            shapes[f"{name}.{side}"] = {key: list(value.shape) for key, value in state.items()}
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    save_file(tensors, FILE, metadata={"shapes": json.dumps(shapes)})


if __name__ == "__main__":
    main(sys.argv[1])
