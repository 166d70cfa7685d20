"""Latents of length one."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from zoo.nets.bottlenecks.base import Bottleneck, Info


class L2Bottleneck(Bottleneck):
    """Divides each frame by its length. Source: stable_audio_tools/models/bottleneck.py."""

    def encode_with_info(self, x: Tensor, return_info: bool) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out."""
        return F.normalize(x, dim=1), {}

    def decode(self, latents: Tensor, **kwargs: Any) -> Tensor:
        """Normalises again: latents that were edited or quantised come back to length one."""
        return F.normalize(latents, dim=1)
