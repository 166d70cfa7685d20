"""Samples folded into channels."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F
from torchaudio.transforms import Resample

from zoo.nets.pretransforms.base import Pretransform
from zoo.nets.span import Span


class PatchedPretransform(Pretransform):
    """Every `patch_size` samples become one frame with that many channels for each channel.

    Args:
        channels: audio channels.
        patch_size: samples, after oversampling, that make one frame.
        oversampling: how many times the audio's rate is raised before; it divides `patch_size`.

    Source: stable_audio_tools/models/pretransforms.py.
    """

    def __init__(self, channels: int, patch_size: int, oversampling: int = 1) -> None:
        super().__init__(io_channels=channels)
        assert patch_size % oversampling == 0
        self.patch_size, self.oversampling = patch_size, oversampling
        # upstream: leaves the oversampling out, so a frame is said to hold more than it does.
        self.downsampling_ratio = patch_size // oversampling
        self.encoded_channels = channels * patch_size
        if oversampling > 1:
            self.input_upsampler = _resampler(1, oversampling)
            self.output_downsampler = _resampler(oversampling, 1)

    def encode(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, channels · patch_size, ⌈samples / ratio⌉)."""
        if self.oversampling > 1:
            x = self.input_upsampler(x)
        x = F.pad(x, (0, -x.shape[-1] % self.patch_size))
        return rearrange(x, "b c (l h) -> b (c h) l", h=self.patch_size)

    def decode(self, z: Tensor) -> Tensor:
        """(batch, channels · patch_size, frames) → (batch, channels, frames · ratio)."""
        x = rearrange(z, "b (c h) l -> b c (l h)", h=self.patch_size)
        return self.output_downsampler(x) if self.oversampling > 1 else x

    def encode_span(self, first: int, last: int) -> Span:
        first, last = first * self.patch_size, (last + 1) * self.patch_size - 1
        if self.oversampling == 1:
            return first, last
        reach = self.input_upsampler.width
        return first // self.oversampling - reach, last // self.oversampling + reach

    def decode_span(self, first: int, last: int) -> Span:
        if self.oversampling > 1:
            reach = self.output_downsampler.width
            first = first * self.oversampling - reach
            last = (last + 1) * self.oversampling - 1 + reach
        return first // self.patch_size, last // self.patch_size


def _resampler(old: int, new: int) -> Resample:
    wanted = torch.get_default_device()
    # It can't compute its kernel on the meta device.
    with torch.device("cpu"):
        return Resample(old, new).to(wanted)
