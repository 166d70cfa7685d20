"""Latents limited by tanh."""

from __future__ import annotations

from torch import Tensor

from zoo.nets.bottlenecks.base import Bottleneck, Info


class TanhBottleneck(Bottleneck):
    """scale · tanh(x / scale). Source: stable_audio_tools/models/bottleneck.py."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def encode_with_info(self, x: Tensor, return_info: bool) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out."""
        return (x / self.scale).tanh() * self.scale, {}
