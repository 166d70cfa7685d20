"""Blocks of the attention U-Net of Dance Diffusion.

Source: stable_audio_tools/models/blocks.py (architecture and state-dict keys); Harmonai 2022,
Dance Diffusion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.activations import SnakeBeta
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.diffusion.group_norm import GroupNorm
from zoo.nets.padded_conv import padded

_HEAD = 32


class ResConvBlock(Checkpointed):
    """Two convolutions beside a skip. (batch, in_channels, frames) → (batch, out_channels, frames).

    Args:
        kernel_size: odd.
        is_last: no norm and no activation after the second convolution.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        conv_bias: bool,
        use_snake: bool,
        is_last: bool = False,
    ) -> None:
        super().__init__()
        assert kernel_size % 2, "an even kernel changes the length"
        side = kernel_size // 2
        same = in_channels == out_channels
        skip = nn.Identity() if same else nn.Conv1d(in_channels, out_channels, 1, bias=False)
        self.main = nn.Sequential(
            nn.Conv1d(in_channels, mid_channels, kernel_size, padding=side, bias=conv_bias),
            GroupNorm(1, mid_channels),
            _activation(mid_channels, use_snake),
            nn.Conv1d(mid_channels, out_channels, kernel_size, padding=side, bias=conv_bias),
            nn.Identity() if is_last else GroupNorm(1, out_channels),
            nn.Identity() if is_last else _activation(out_channels, use_snake),
        )
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        return self.recomputed(self.main, x) + self.skip(x)


def _activation(channels: int, use_snake: bool) -> nn.Module:
    return SnakeBeta(channels) if use_snake else nn.GELU()


class SelfAttention1d(nn.Module):
    """x + attention of every frame to every other. (batch, channels, frames), same shape out.

    Args:
        channels: at least 32; there are as many heads of that width as fit.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // _HEAD
        assert self.heads and channels % self.heads == 0, "heads of equal width"
        self.norm = GroupNorm(1, channels)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.out_proj = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv_proj(self.norm(x)).unflatten(1, (3, self.heads, -1))
        q, k, v = (part.transpose(-1, -2) for part in parts.unbind(1))
        # upstream: on a GPU, reads frames as channels here for want of the second transpose.
        y = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2)
        return x + self.out_proj(y.flatten(1, 2))


class SkipBlock(nn.Module):
    """(batch, channels, frames) → (batch, 2 · channels, frames): layers, and their input."""

    def __init__(self, *main: nn.Module) -> None:
        super().__init__()
        self.main = nn.Sequential(*main)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.main(x), x], dim=1)


class CubicDownsample(nn.Module):
    """Half the rate, each channel by itself. (batch, channels, frames) → (…, frames / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", cubic_kernel())
        self.kernel: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        # upstream: its reflection fails on fewer than 4 frames, and below on fewer than 3.
        x = padded(x, 3, 3, "reflect")
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1)
        return F.conv1d(x, kernel, stride=2, groups=channels)


class CubicUpsample(nn.Module):
    """Twice the rate, each channel by itself. (batch, channels, frames) → (…, 2 · frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", 2 * cubic_kernel())
        self.kernel: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        x = padded(x, 2, 2, "reflect")
        kernel = self.kernel.to(x.dtype).expand(channels, 1, -1)
        return F.conv_transpose1d(x, kernel, stride=2, padding=7, groups=channels)


def cubic_kernel() -> Tensor:
    """Keys' cubic (a = -1/2) at half the rate, sum 1. (8,).

    Source: Keys 1981, doi:10.1109/TASSP.1981.1163711.
    """
    x = torch.tensor([0.25, 0.75, 1.25, 1.75])
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    half = torch.where(x < 1, near, far) / 2
    return torch.cat([half.flip(0), half])


def downsample(channels: int, stride: int, learned: bool) -> nn.Module:
    """(batch, channels, frames) → (…, frames / stride); `stride` is 2 unless `learned`."""
    if not learned:
        return CubicDownsample()
    return nn.Conv1d(channels, channels, 2 * stride + 1, stride=stride, padding=stride)


def upsample(channels: int, stride: int, learned: bool) -> nn.Module:
    """(batch, channels, frames) → (…, frames · stride); `stride` is 2 unless `learned`."""
    if not learned:
        return CubicUpsample()
    if stride == 1:
        return nn.Conv1d(channels, channels, 3, padding=1)
    odd = stride % 2
    return nn.ConvTranspose1d(
        channels,
        channels,
        2 * stride,
        stride=stride,
        padding=stride // 2 + odd,
        output_padding=odd,
    )
