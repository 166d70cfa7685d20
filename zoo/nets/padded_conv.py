"""Convolutions that keep the length, or divide or multiply it exactly, with a choice of norms.

Source: Défossez et al. 2022, arXiv:2210.13438; encodec `encodec/modules/conv.py` and `norm.py`
(paddings and state-dict keys).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.conv import WNConv1d, WNConvTranspose1d
from zoo.nets.spectral_norm import SNConv1d, SNConvTranspose1d

PadMode = Literal["reflect", "constant", "replicate", "circular"]
NormName = Literal[
    "none", "weight_norm", "spectral_norm", "time_layer_norm", "layer_norm", "time_group_norm"
]


@dataclass(frozen=True)
class Norm:
    """What is normalised: weights by one of two, or the output by one of two, or nothing.

    `time_layer_norm` is a name of EnCodec without effect.
    """

    name: NormName = "weight_norm"
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def conv(self, into: int, out: int, kernel_size: int, stride: int, dilation: int) -> nn.Module:
        match self.name:
            case "weight_norm":
                return WNConv1d(into, out, kernel_size, stride=stride, dilation=dilation)
            case "spectral_norm":
                return SNConv1d(into, out, kernel_size, stride=stride, dilation=dilation)
            case _:
                return nn.Conv1d(into, out, kernel_size, stride=stride, dilation=dilation)

    def transposed(self, into: int, out: int, kernel_size: int, stride: int) -> nn.Module:
        match self.name:
            case "weight_norm":
                return WNConvTranspose1d(into, out, kernel_size, stride=stride)
            case "spectral_norm":
                return SNConvTranspose1d(into, out, kernel_size, stride=stride)
            case _:
                return nn.ConvTranspose1d(into, out, kernel_size, stride=stride)

    def output(self, channels: int) -> nn.Module:
        match self.name:
            case "layer_norm":
                return ChannelNorm(channels, **self.parameters)
            case "time_group_norm":
                return nn.GroupNorm(1, channels, **self.parameters)
            case _:
                return nn.Identity()


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each sample. (batch, channels, samples), same shape out."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name is nn.LayerNorm's
        # upstream: encodec's layer returns None.
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class _Normed(nn.Module):
    """A convolution under the key that EnCodec gives it, and the norm of its output."""

    def __init__(self, key: Literal["conv", "convtr"], conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.key = key
        self.add_module(key, conv)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(getattr(self, self.key)(x))


class PaddedConv1d(nn.Module):
    """Convolution. (batch, in_channels, samples) → (batch, out_channels, ⌈samples / stride⌉).

    Args:
        causal: all of the padding is on the left.
        pad_mode: what lies beyond the ends.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        norm: Norm,
        stride: int = 1,
        dilation: int = 1,
        causal: bool = False,
        pad_mode: PadMode = "reflect",
    ) -> None:
        super().__init__()
        self.stride = stride
        self.pad_mode: PadMode = pad_mode
        self.reach = (kernel_size - 1) * dilation
        surplus = self.reach - (stride - 1)
        self.left = surplus if causal else math.ceil(surplus / 2)
        self.right = surplus - self.left
        self.conv = _Normed(
            "conv",
            norm.conv(in_channels, out_channels, kernel_size, stride, dilation),
            norm.output(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        whole = -x.shape[-1] % self.stride
        return self.conv(padded(x, self.left, self.right + whole, self.pad_mode))


class CutConvTranspose1d(nn.Module):
    """Transposed convolution. (batch, in_channels, n) → (batch, out_channels, n · stride).

    Args:
        causal: cut `trim_right_ratio` of the surplus at the right, else half of it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        norm: Norm,
        causal: bool = False,
        trim_right_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        self.stride, self.kernel_size = stride, 2 * stride
        right = math.ceil(stride * trim_right_ratio) if causal else stride // 2
        self.cut = stride - right
        self.convtr = _Normed(
            "convtr",
            norm.transposed(in_channels, out_channels, self.kernel_size, stride),
            norm.output(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        # Cut behind the norm: that of EnCodec is over the uncut signal.
        return self.convtr(x)[..., self.cut : self.cut + x.shape[-1] * self.stride]


def padded(x: Tensor, left: int, right: int, mode: PadMode) -> Tensor:
    """(batch, channels, samples) → (…, left + samples + right), for any number of samples.

    A reflection that is longer than the signal goes on into zeros behind it.
    """
    samples = x.shape[-1]
    if not left and not right:
        return x
    match mode:
        case "reflect":
            lacking = max(0, max(left, right) + 1 - samples)
            whole = F.pad(F.pad(x, (0, lacking)), (left, right), mode="reflect")
            return whole[..., : left + samples + right]
        case "circular":
            # upstream: fails where the padding is longer than the signal.
            index = torch.arange(-left, samples + right, device=x.device) % samples
            return x.index_select(-1, index)
        case "constant" | "replicate":
            return F.pad(x, (left, right), mode=mode)
