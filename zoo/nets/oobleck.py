"""The Oobleck encoder and decoder: strided convolutions between dilated residual units.

Source: stable_audio_tools/models/autoencoders.py (architecture and state-dict keys); Evans et
al. 2024, arXiv:2404.10301; residual units as in the Descript Audio Codec, Kumar et al. 2023,
arXiv:2306.06546.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from zoo.nets.activations import activation
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.conv import DownConv1d, UpConv1d, WNConv1d

Antialias = bool | Literal["all"]


class ResidualUnit(Checkpointed):
    """x + f(x) with two convolutions. (batch, channels, samples), same shape out."""

    def __init__(self, channels: int, dilation: int, *, use_snake: bool, antialias: bool) -> None:
        super().__init__()
        side = 3 * dilation
        self.layers = nn.Sequential(
            activation(channels, use_snake=use_snake, antialias=antialias),
            WNConv1d(channels, channels, 7, padding=(side, side), dilation=dilation),
            activation(channels, use_snake=use_snake, antialias=antialias),
            WNConv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.recomputed(self.layers, x)


def residual_units(channels: int, use_snake: bool, antialias: bool) -> list[ResidualUnit]:
    """Three units of dilation 1, 3 and 9."""
    return [
        ResidualUnit(channels, dilation, use_snake=use_snake, antialias=antialias)
        for dilation in (1, 3, 9)
    ]


class EncoderBlock(nn.Module):
    """(batch, in_channels, samples) → (batch, out_channels, samples / stride)."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, *, use_snake: bool, antialias: bool
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *residual_units(in_channels, use_snake, antialias),
            activation(in_channels, use_snake=use_snake, antialias=antialias),
            DownConv1d(in_channels, out_channels, stride),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class DecoderBlock(nn.Module):
    """(batch, in_channels, frames) → (batch, out_channels, frames · stride)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        use_snake: bool,
        antialias: Antialias,
        use_nearest_upsample: bool,
    ) -> None:
        super().__init__()
        if use_nearest_upsample:
            around = (stride - 1, stride)
            upsample = nn.Sequential(
                nn.Upsample(scale_factor=stride, mode="nearest"),
                WNConv1d(in_channels, out_channels, 2 * stride, padding=around, bias=False),
            )
        else:
            upsample = UpConv1d(in_channels, out_channels, stride)
        self.layers = nn.Sequential(
            activation(in_channels, use_snake=use_snake, antialias=bool(antialias)),
            upsample,
            *residual_units(out_channels, use_snake, antialias == "all"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class OobleckEncoder(nn.Module):
    """(batch, in_channels, samples) → (batch, latent_dim, samples / product of strides).

    Args:
        antialias_activation: `True` is upstream's placement (the last activation alone), `"all"`
            every activation.
    """

    def __init__(
        self,
        in_channels: int = 2,
        channels: int = 128,
        latent_dim: int = 32,
        c_mults: Sequence[int] = (1, 2, 4, 8),
        strides: Sequence[int] = (2, 4, 8, 8),
        use_snake: bool = False,
        antialias_activation: Antialias = False,
    ) -> None:
        super().__init__()
        everywhere = antialias_activation == "all"
        widths = [channels, *(channels * mult for mult in c_mults)]
        blocks = [
            EncoderBlock(narrow, wide, stride, use_snake=use_snake, antialias=everywhere)
            for narrow, wide, stride in zip(widths, widths[1:], strides, strict=False)
        ]
        self.layers = nn.Sequential(
            WNConv1d(in_channels, channels, 7, padding=(3, 3)),
            *blocks,
            activation(widths[-1], use_snake=use_snake, antialias=bool(antialias_activation)),
            WNConv1d(widths[-1], latent_dim, 3, padding=(1, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class OobleckDecoder(nn.Module):
    """(batch, latent_dim, frames) → (batch, out_channels, frames · product of strides).

    Args:
        antialias_activation: `True` is upstream's placement (before each upsampling and before
            the last layer), `"all"` every activation.
    """

    def __init__(
        self,
        out_channels: int = 2,
        channels: int = 128,
        latent_dim: int = 32,
        c_mults: Sequence[int] = (1, 2, 4, 8),
        strides: Sequence[int] = (2, 4, 8, 8),
        use_snake: bool = False,
        antialias_activation: Antialias = False,
        use_nearest_upsample: bool = False,
        final_tanh: bool = True,
    ) -> None:
        super().__init__()
        widths = [channels, *(channels * mult for mult in c_mults)]
        blocks = [
            DecoderBlock(
                wide,
                narrow,
                stride,
                use_snake=use_snake,
                antialias=antialias_activation,
                use_nearest_upsample=use_nearest_upsample,
            )
            for narrow, wide, stride in zip(widths, widths[1:], strides, strict=False)
        ]
        self.layers = nn.Sequential(
            WNConv1d(latent_dim, widths[-1], 7, padding=(3, 3)),
            *reversed(blocks),
            activation(channels, use_snake=use_snake, antialias=bool(antialias_activation)),
            WNConv1d(channels, out_channels, 7, padding=(3, 3), bias=False),
            nn.Tanh() if final_tanh else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
