"""What a network costs: operations and memory, counted without computing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

_FLOAT_BYTES = 4
# Weight, gradient and Adam's two moments.
_COPIES = 4


@dataclass(frozen=True)
class Cost:
    """Operations are multiplications and additions of convolutions and matrix products.

    Attributes:
        encode_gflop: 10⁹ operations to encode one second of audio.
        decode_gflop: 10⁹ operations to decode it.
    """

    encode_gflop: float
    decode_gflop: float


def cost(model: Any) -> Cost:
    """Of one second of audio through `model`, which lies on the meta device."""
    audio, frames = _second(model)
    seconds = audio.shape[-1] / model.sample_rate
    latents = torch.empty(1, model.latent_dim, frames, device="meta")
    with torch.no_grad():
        encode = _operations(lambda: model.encode(audio, skip_bottleneck=True))
        decode = _operations(lambda: model.decode(latents))
    return Cost(encode / seconds / 1e9, decode / seconds / 1e9)


def training_bytes(model: Any, batch: int, samples: int) -> int:
    """An estimate of the memory of one float32 step of the autoencoder alone, with Adam.

    Weights with gradient and moments, and what the forward pass keeps for the backward pass;
    the discriminator, the losses and the workspace of the kernels come on top.

    Args:
        model: on the meta device.
        batch: clips in a batch.
        samples: length of a clip.
    """
    kept: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage()._cdata] = x.numel() * x.element_size()
        alive.append(x)
        return x

    alive: list[Tensor] = []
    model.train()
    audio = torch.empty(batch, model.in_channels, samples, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        model.decode(model.encode(audio))
    model.eval()
    weights = sum(weight.numel() for weight in model.parameters())
    return weights * _COPIES * _FLOAT_BYTES + sum(kept.values())


def _second(model: Any) -> tuple[Tensor, int]:
    frames = max(1, round(model.sample_rate / model.downsampling_ratio))
    samples = frames * model.downsampling_ratio
    return torch.empty(1, model.in_channels, samples, device="meta"), frames


def _operations(run: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
