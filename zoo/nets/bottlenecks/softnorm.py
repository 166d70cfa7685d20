"""Latents scaled and shifted per channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.nets.bottlenecks.base import Bottleneck, Info, noise_like
from zoo.nets.precision import widened


class SoftNormBottleneck(Bottleneck):
    """Its loss draws channels and frames towards zero mean and unit variance.

    Source: stable_audio_tools/models/bottleneck.py, where no config reaches it.
    """

    def __init__(
        self, dim: int = 32, noise_augment_dim: int = 0, noise_regularize: bool = False
    ) -> None:
        super().__init__()
        self.noise_augment_dim = noise_augment_dim
        self.noise_regularize = noise_regularize
        self.scaling_factor = nn.Parameter(torch.ones(1, dim, 1))
        self.bias = nn.Parameter(torch.zeros(1, dim, 1))
        self.noise_scaling_factor = nn.Parameter(torch.ones(1, noise_augment_dim, 1))

    def encode_with_info(self, x: Tensor, return_info: bool) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out. In training, the info holds `softnorm_loss`."""
        x = x * self.scaling_factor + self.bias
        info: Info = {}
        if self.training and return_info:
            info["softnorm_loss"] = _divergence(x, -1) + 0.4 * _divergence(x, -2)
        return x, info

    def decode(
        self, latents: Tensor, generator: torch.Generator | None = None, **kwargs: Any
    ) -> Tensor:
        """(batch, latent, frames) → (batch, latent + noise_augment_dim, frames)."""
        if self.noise_regularize and self.training:
            deviation = _variance(latents, -1).clamp(min=1e-12).sqrt().unsqueeze(-1)
            latents = latents + 0.01 * deviation.to(latents.dtype) * noise_like(latents, generator)
        if self.noise_augment_dim == 0:
            return latents
        like = latents.new_empty(latents.shape[0], self.noise_augment_dim, latents.shape[-1])
        noise = self.noise_scaling_factor * noise_like(like, generator)
        return torch.cat([latents, noise], dim=1)


def _divergence(x: Tensor, dim: int) -> Tensor:
    """Twice the divergence of a Gaussian with the moments of `x` along `dim` from the unit one."""
    variance = _variance(x, dim).clamp(min=1e-4)
    return (widened(x).mean(dim).square() + variance - variance.log() - 1).mean()


def _variance(x: Tensor, dim: int) -> Tensor:
    # upstream: not a number for a single value, as for a clip of one frame.
    return widened(x).var(dim, correction=min(1, x.shape[dim] - 1))
