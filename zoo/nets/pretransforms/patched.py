"""Samples folded into channels."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span


class PatchedPretransform(Pretransform):
    """Every `patch_size` samples become one frame with that many channels for each channel."""

    def __init__(self, channels: int, patch_size: int) -> None:
        super().__init__(io_channels=channels)
        self.patch_size = patch_size
        self.downsampling_ratio = patch_size
        self.encoded_channels = channels * patch_size

    def encode(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, channels · patch_size, ⌈samples / patch_size⌉)."""
        x = F.pad(x, (0, -x.shape[-1] % self.patch_size))
        return rearrange(x, "b c (l h) -> b (c h) l", h=self.patch_size)

    def decode(self, z: Tensor) -> Tensor:
        """(batch, channels · patch_size, frames) → (batch, channels, frames · patch_size)."""
        return rearrange(z, "b (c h) l -> b c (l h)", h=self.patch_size)

    def encode_span(self, first: int, last: int) -> Span:
        return first * self.patch_size, (last + 1) * self.patch_size - 1

    def decode_span(self, first: int, last: int) -> Span:
        return first // self.patch_size, last // self.patch_size
