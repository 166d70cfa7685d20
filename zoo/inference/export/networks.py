"""Encoder and decoder of a model as two functions of one tensor each, for tracing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.errors import CheckpointError
from zoo.models.autoencoder import AudioAutoencoder
from zoo.models.diffusion.autoencoder import DiffusionAutoencoder
from zoo.nets.conv import WeightNorm

TOLERANCE = 1e-4
# (batch, frames) of what is traced, and of what is compared besides.
_TRACED = (2, 5)
_COMPARED = ((1, 3), (3, 8))


class Encoder(nn.Module):
    """Audio (batch, in_channels, samples) → latents (batch, latent, ⌈samples / ratio⌉).

    Those of a VAE are its means.
    """

    def __init__(self, model: AudioAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, audio: Tensor) -> Tensor:
        return self.model.encode(audio)


class Decoder(nn.Module):
    """Latents (batch, latent, frames) → audio (batch, out_channels, frames · ratio)."""

    def __init__(self, model: AudioAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> Tensor:
        return self.model.decode(latents)


@dataclass(frozen=True)
class Side:
    """One of the two, and what it is traced and compared with.

    Args:
        name: "encoder" or "decoder".
        input_name, output_name: what goes in and comes out.
        example: input to trace it with.
        others: inputs of other sizes.
    """

    name: str
    network: nn.Module
    input_name: str
    output_name: str
    example: Tensor
    others: tuple[Tensor, ...]


def sides(model: AudioAutoencoder) -> tuple[Side, Side]:
    """Encoder and decoder of a copy of `model` on the CPU, in eval mode, its kernels folded.

    Raises: CheckpointError for a diffusion autoencoder, which decodes in steps.
    """
    if isinstance(model, DiffusionAutoencoder):
        raise CheckpointError(
            "a diffusion autoencoder decodes in steps, with noise, which is no single network: "
            "export it as zoo or stable-audio-tools"
        )
    model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    for part in model.modules():
        if isinstance(part, WeightNorm):
            part.fold()
    ratio = model.downsampling_ratio
    generator = torch.Generator().manual_seed(0)

    def noise(channels: int, batch: int, length: int) -> Tensor:
        return torch.randn(batch, channels, length, generator=generator)

    # Samples that are no multiple of the ratio: any number is allowed.
    audio = [noise(model.in_channels, b, n * ratio - ratio // 3) for b, n in (_TRACED, *_COMPARED)]
    latents = [noise(model.latent_dim, b, n) for b, n in (_TRACED, *_COMPARED)]
    return (
        Side("encoder", Encoder(model), "audio", "latents", audio[0], tuple(audio[1:])),
        Side("decoder", Decoder(model), "latents", "audio", latents[0], tuple(latents[1:])),
    )


@torch.no_grad()
def difference(side: Side, other: Callable[[Tensor], Tensor]) -> float:
    """The largest difference of `other` from the network, in parts of the peak where that is > 1.

    Raises: CheckpointError where it is above `TOLERANCE`.
    """
    worst = 0.0
    for given in (side.example, *side.others):
        expected = side.network(given)
        found = other(given)
        if found.shape != expected.shape:
            raise CheckpointError(
                f"{side.name}: gives {tuple(found.shape)} for {tuple(given.shape)}, but the model "
                f"{tuple(expected.shape)}; nothing is written"
            )
        peak = max(1.0, float(expected.abs().max()))
        share = float((found - expected).abs().max()) / peak
        # So that NaN is none.
        if not share <= TOLERANCE:
            raise CheckpointError(
                f"{side.name}: differs from the model by {share:.1e}, more than {TOLERANCE:.0e}; "
                "nothing is written"
            )
        worst = max(worst, share)
    return worst
