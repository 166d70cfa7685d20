"""The SEANet encoder and decoder, as EnCodec has them.

Source: Tagliasacchi et al. 2020, arXiv:2009.02095; Défossez et al. 2022, arXiv:2210.13438;
encodec `encodec/modules/seanet.py` and `lstm.py` (architecture and state-dict keys).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.nets.activations import pointwise
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.padded_conv import CutConvTranspose1d, Norm, NormName, PaddedConv1d, PadMode


class ResidualLSTM(nn.Module):
    """x + LSTM(x), forwards in time. (batch, channels, frames), same shape out."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(2, 0, 1)
        return (self.lstm(x)[0] + x).permute(1, 2, 0)


@dataclass(frozen=True)
class _Style:
    """What all layers of a network share."""

    activation: Callable[[], nn.Module]
    norm: Norm
    causal: bool
    pad_mode: PadMode

    def conv(
        self, into: int, out: int, kernel_size: int, *, stride: int = 1, dilation: int = 1
    ) -> PaddedConv1d:
        return PaddedConv1d(
            into,
            out,
            kernel_size,
            norm=self.norm,
            stride=stride,
            dilation=dilation,
            causal=self.causal,
            pad_mode=self.pad_mode,
        )


class ResidualBlock(Checkpointed):
    """shortcut(x) + f(x), `compress` times narrower inside. (batch, channels, samples)."""

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilation: int,
        *,
        compress: int,
        true_skip: bool,
        style: _Style,
    ) -> None:
        super().__init__()
        narrow = channels // compress
        self.block = nn.Sequential(
            style.activation(),
            style.conv(channels, narrow, kernel_size, dilation=dilation),
            style.activation(),
            style.conv(narrow, channels, 1),
        )
        self.shortcut = nn.Identity() if true_skip else style.conv(channels, channels, 1)

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.block)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.recomputed(self.block, x)


class SeanetEncoder(nn.Module):
    """(batch, channels, samples) → (batch, dimension, ⌈samples / product of ratios⌉).

    Args:
        channels: of the audio.
        n_filters: width of the first layer, doubled by each block.
        ratios: strides from audio to latents. Theirs is the order of stable-audio-tools' configs;
            encodec's own class takes them reversed.
        activation: a class of `zoo.nets.activations.POINTWISE`.
        dilation_base: the j-th residual block of a width has the dilation `dilation_base`^j.
        lstm: its layers; 0 is none.
    """

    def __init__(
        self,
        channels: int = 1,
        dimension: int = 128,
        n_filters: int = 32,
        n_residual_layers: int = 1,
        ratios: Sequence[int] = (8, 5, 4, 2),
        activation: str = "ELU",
        activation_params: Mapping[str, float] | None = None,
        norm: NormName = "weight_norm",
        norm_params: Mapping[str, Any] | None = None,
        kernel_size: int = 7,
        last_kernel_size: int = 7,
        residual_kernel_size: int = 3,
        dilation_base: int = 2,
        causal: bool = False,
        pad_mode: PadMode = "reflect",
        true_skip: bool = False,
        compress: int = 2,
        lstm: int = 2,
    ) -> None:
        super().__init__()
        style = _Style(
            activation=lambda: pointwise(activation, activation_params or {}),
            norm=Norm(norm, norm_params or {}),
            causal=causal,
            pad_mode=pad_mode,
        )
        layers: list[nn.Module] = [style.conv(channels, n_filters, kernel_size)]
        width = n_filters
        for ratio in ratios:
            layers += [
                ResidualBlock(
                    width,
                    residual_kernel_size,
                    dilation_base**j,
                    compress=compress,
                    true_skip=true_skip,
                    style=style,
                )
                for j in range(n_residual_layers)
            ]
            layers += [
                style.activation(),
                style.conv(width, 2 * width, 2 * ratio, stride=ratio),
            ]
            width *= 2
        if lstm:
            layers.append(ResidualLSTM(width, lstm))
        layers += [style.activation(), style.conv(width, dimension, last_kernel_size)]
        self.model = nn.Sequential(*layers)

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.model)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class SeanetDecoder(nn.Module):
    """(batch, dimension, frames) → (batch, channels, frames · product of ratios).

    Args: as `SeanetEncoder`, and
        n_filters: width of the last layer.
        ratios: strides from latents to audio.
        final_activation: a class of `zoo.nets.activations.POINTWISE`.
        trim_right_ratio: share of a transposed convolution's surplus that is cut at the right, if
            `causal`; below 1 the network sees that much of what comes later.
    """

    def __init__(
        self,
        channels: int = 1,
        dimension: int = 128,
        n_filters: int = 32,
        n_residual_layers: int = 1,
        ratios: Sequence[int] = (8, 5, 4, 2),
        activation: str = "ELU",
        activation_params: Mapping[str, float] | None = None,
        final_activation: str | None = None,
        final_activation_params: Mapping[str, float] | None = None,
        norm: NormName = "weight_norm",
        norm_params: Mapping[str, Any] | None = None,
        kernel_size: int = 7,
        last_kernel_size: int = 7,
        residual_kernel_size: int = 3,
        dilation_base: int = 2,
        causal: bool = False,
        pad_mode: PadMode = "reflect",
        true_skip: bool = False,
        compress: int = 2,
        lstm: int = 2,
        trim_right_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        style = _Style(
            activation=lambda: pointwise(activation, activation_params or {}),
            norm=Norm(norm, norm_params or {}),
            causal=causal,
            pad_mode=pad_mode,
        )
        width = n_filters * 2 ** len(ratios)
        layers: list[nn.Module] = [style.conv(dimension, width, kernel_size)]
        if lstm:
            layers.append(ResidualLSTM(width, lstm))
        for ratio in ratios:
            layers += [
                style.activation(),
                CutConvTranspose1d(
                    width,
                    width // 2,
                    ratio,
                    norm=style.norm,
                    causal=causal,
                    trim_right_ratio=trim_right_ratio,
                ),
            ]
            width //= 2
            layers += [
                ResidualBlock(
                    width,
                    residual_kernel_size,
                    dilation_base**j,
                    compress=compress,
                    true_skip=true_skip,
                    style=style,
                )
                for j in range(n_residual_layers)
            ]
        layers += [style.activation(), style.conv(n_filters, channels, last_kernel_size)]
        if final_activation is not None:
            layers.append(pointwise(final_activation, final_activation_params or {}))
        self.model = nn.Sequential(*layers)

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.model)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
