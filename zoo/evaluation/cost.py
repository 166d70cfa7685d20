"""What a network costs: operations and memory, counted without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from zoo.config.rules.autoencoder import decoder_channels
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder

FLOAT_BYTES = 4
# Weight, gradient and Adam's two moments.
WEIGHT_COPIES = 4


@dataclass(frozen=True)
class Cost:
    """Operations are multiplications and additions of convolutions and matrix products.

    Attributes:
        encode_gflop: 10⁹ operations to encode one second of audio.
        decode_gflop: 10⁹ operations to decode it; of a diffusion autoencoder, in one step.
    """

    encode_gflop: float
    decode_gflop: float


def cost(model: Any) -> Cost:
    """Of one second of audio through `model`, which lies on the meta device."""
    audio, latents = _inputs(model, 1, model.sample_rate)
    seconds = audio.shape[-1] / model.sample_rate
    with torch.no_grad():
        encode = _operations(lambda: model.encode(audio, skip_bottleneck=True))
        decode = _operations(lambda: _decoded(model, latents))
    return Cost(encode / seconds / 1e9, decode / seconds / 1e9)


def training_bytes(model: Any, batch: int, samples: int) -> int:
    """An estimate of the memory of one float32 step of the autoencoder alone, with Adam.

    Weights with gradient and moments, and what the networks keep for the backward pass;
    bottleneck, discriminator, losses and the workspace of the kernels come on top.

    Args:
        model: on the meta device.
        batch: clips in a batch.
        samples: length of a clip.
    """
    model.train()
    audio, latents = _inputs(model, batch, samples)
    kept = kept_bytes(lambda: model.encode(audio, skip_bottleneck=True))
    kept += kept_bytes(lambda: _decoded(model, latents.requires_grad_()))
    model.eval()
    weights = sum(weight.numel() for weight in model.parameters())
    return weights * WEIGHT_COPIES * FLOAT_BYTES + kept


def kept_bytes(run: Callable[[], object]) -> int:
    """What the tensors take that `run` keeps for a backward pass, also on the meta device."""
    kept: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage()._cdata] = x.numel() * x.element_size()
        alive.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        run()
    return sum(kept.values())


def _decoded(model: Any, latents: Tensor) -> Tensor:
    """What a training step computes of the decoder's input."""
    if not isinstance(model, DiffusionAutoencoder):
        return model.decode(latents, skip_bottleneck=True)
    samples = latents.shape[-1] * model.inner_ratio
    noisy = latents.new_empty(len(latents), model.inner_channels, samples)
    return model.predict(noisy, latents.new_empty(len(latents)), model.decoder(latents))


def _inputs(model: Any, batch: int, samples: int) -> tuple[Tensor, Tensor]:
    """About `samples` samples of audio, and what the decoder gets for them."""
    length = max(1, round(samples / model.min_length)) * model.min_length
    audio = torch.empty(batch, model.in_channels, length, device="meta")
    width = decoder_channels(model.config.model)
    return audio, torch.empty(batch, width, length // model.downsampling_ratio, device="meta")


def _operations(run: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()
