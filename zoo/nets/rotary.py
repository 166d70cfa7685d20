"""Positions as rotations: attention then sees the distance between two frames alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RotaryEmbedding(nn.Module):
    """Rotates the first `rotated` channels of each head. (…, frames, width), same shape out.

    Source: Su et al. 2021, arXiv:2104.09864; stable_audio_tools/models/transformer.py (the
    state-dict key, and which channels make a pair).

    Args:
        channels: channels to rotate; an odd number rotates one more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        powers = torch.arange(0, channels, 2).float() / max(channels, 1)
        self.register_buffer("inv_freq", 1 / 10000**powers)
        self.inv_freq: Tensor

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """`x` with its frames at the positions `first`, `first + 1`, …"""
        half = self.inv_freq.numel()
        # Half precision can't tell late positions apart.
        kind = torch.promote_types(self.inv_freq.dtype, torch.float32)
        positions = torch.arange(first, first + x.shape[-2], device=x.device, dtype=kind)
        angles = positions[:, None] * self.inv_freq.to(kind)
        cos, sin = angles.cos(), angles.sin()
        a, b, rest = x.split([half, half, x.shape[-1] - 2 * half], dim=-1)
        turned = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
        return torch.cat((turned.to(x.dtype), rest), dim=-1)
