"""Latents drawn towards a unit Gaussian by a maximum mean discrepancy."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.nets.bottlenecks.base import Bottleneck, Info, noise_like
from zoo.nets.precision import widened


class WassersteinBottleneck(Bottleneck):
    """Passes latents on; its loss compares them with Gaussian noise.

    Source: Tolstikhin et al. 2018 (Wasserstein autoencoders), arXiv:1711.01558;
    stable_audio_tools/models/bottleneck.py.
    """

    def __init__(
        self,
        noise_augment_dim: int = 0,
        bypass_mmd: bool = False,
        use_tanh: bool = False,
        tanh_scale: float = 5.0,
    ) -> None:
        super().__init__()
        self.noise_augment_dim = noise_augment_dim
        self.bypass_mmd = bypass_mmd
        self.use_tanh = use_tanh
        self.tanh_scale = tanh_scale

    def encode_with_info(self, x: Tensor, return_info: bool) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out. In training, the info holds `mmd`."""
        info: Info = {}
        if self.training and return_info:
            info["mmd"] = x.new_zeros(()) if self.bypass_mmd else mmd(x)
        if self.use_tanh:
            x = (x / self.tanh_scale).tanh() * self.tanh_scale
        return x, info

    def decode(
        self, latents: Tensor, generator: torch.Generator | None = None, **kwargs: Any
    ) -> Tensor:
        """(batch, latent, frames) → (batch, latent + noise_augment_dim, frames)."""
        if self.noise_augment_dim == 0:
            return latents
        batch, _, frames = latents.shape
        like = latents.new_empty(batch, self.noise_augment_dim, frames)
        return torch.cat([latents, noise_like(like, generator)], dim=1)


def mmd(latents: Tensor) -> Tensor:
    """Maximum mean discrepancy between frames of `latents` (batch, latent, frames) and noise.

    The kernel is exp(-|a - b|² / latent²). Memory grows with the square of batch · frames.
    """
    points = widened(latents).permute(0, 2, 1).flatten(0, 1)
    noise = torch.randn_like(points)
    own, other = _mean_kernel(points, points), _mean_kernel(noise, noise)
    return own + other - 2 * _mean_kernel(points, noise)


def _mean_kernel(a: Tensor, b: Tensor) -> Tensor:
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    return torch.exp(-squares.clamp(min=0) / a.shape[1] ** 2).mean()
