"""Activations over time: Snake in two forms, those of torch, and any at twice the rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TAPS = 12
_EPSILON = 1e-9

# Those that a config may name; each gives a sample from the same sample alone.
POINTWISE = (
    nn.ELU,
    nn.GELU,
    nn.Identity,
    nn.LeakyReLU,
    nn.Mish,
    nn.PReLU,
    nn.ReLU,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Tanh,
)


class _Snake(torch.autograd.Function):
    """x + height · sin²(frequency · x), which keeps nothing but its inputs for the backward pass.

    The same numbers as the formula under autograd, which keeps three more tensors of the size of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, frequency: Tensor, height: Tensor) -> Tensor:
        ctx.save_for_backward(x, frequency, height)
        return (x * frequency).sin_().square_().mul_(height).add_(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (gradient,) = gradients
        x, frequency, height = ctx.saved_tensors
        angle = x * frequency
        by_height = angle.sin().square_().mul_(gradient).sum_to_size(height.shape)
        # The derivative of sin²(u) is sin(2u).
        slope = angle.mul_(2).sin_().mul_(gradient)
        by_frequency = (slope * x).sum_to_size(frequency.shape) * height
        return slope.mul_(frequency * height).add_(gradient), by_frequency, by_height


class SnakeBeta(nn.Module):
    """x + sin²(eᵅ x) / eᵝ with one α and β a channel. (batch, channels, samples), same shape out.

    Source: Ziyin et al. 2020, arXiv:2006.08195; Lee et al. 2023 (BigVGAN), arXiv:2206.04658.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Snake.apply(x, *self.frequency_and_height()))

    def frequency_and_height(self) -> tuple[Tensor, Tensor]:
        """Of the squared sine, each (channels, 1)."""
        return self.alpha.exp()[:, None], 1 / (self.beta.exp()[:, None] + _EPSILON)


class Snake1d(nn.Module):
    """x + sin²(α x) / α with one α a channel. (batch, channels, samples), same shape out.

    Source: Ziyin et al. 2020, arXiv:2006.08195; the form of the Descript Audio Codec.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Snake.apply(x, *self.frequency_and_height()))

    def frequency_and_height(self) -> tuple[Tensor, Tensor]:
        """Of the squared sine, each (1, channels, 1)."""
        return self.alpha, 1 / (self.alpha + _EPSILON)


class _Upsample(nn.Module):
    """Twice the rate, each channel by itself. (batch, channels, samples) → (…, 2 · samples)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", half_band_filter())
        self.filter: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        x = F.pad(x, (5, 5), mode="replicate")
        kernel = self.filter.expand(channels, -1, -1)
        return 2 * F.conv_transpose1d(x, kernel, stride=2, groups=channels)[..., 15:-15]


class _LowPass(nn.Module):
    """Half the rate after a low pass. (batch, channels, samples) → (…, samples / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", half_band_filter())
        self.filter: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        x = F.pad(x, (5, 6), mode="replicate")
        return F.conv1d(x, self.filter.expand(channels, -1, -1), stride=2, groups=channels)


class _Downsample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lowpass = _LowPass()

    def forward(self, x: Tensor) -> Tensor:
        return self.lowpass(x)


class Antialiased(nn.Module):
    """An activation between up- and downsampling by 2. Same shape out.

    Source: Karras et al. 2021 (alias-free GAN), arXiv:2106.12423; state-dict keys of the
    package alias-free-torch.
    """

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act
        self.upsample = _Upsample()
        self.downsample = _Downsample()

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(self.act(self.upsample(x)))


def half_band_filter() -> Tensor:
    """Kaiser-windowed sinc of 12 taps, cutoff at a quarter of the rate, sum 1. (1, 1, taps)."""
    # Kaiser's estimates for a transition of 1.2 times half the rate: 51 dB.
    attenuation = 2.285 * (_TAPS // 2 - 1) * 1.2 * math.pi + 7.95
    beta = 0.1102 * (attenuation - 8.7)
    window = torch.kaiser_window(_TAPS, periodic=False, beta=beta)
    time = torch.arange(_TAPS) - (_TAPS - 1) / 2
    taps = window * torch.sinc(time / 2)
    return (taps / taps.sum()).view(1, 1, _TAPS)


def activation(channels: int, *, use_snake: bool, antialias: bool = False) -> nn.Module:
    """Snake or ELU for `channels` channels, at twice the rate if `antialias`."""
    act = SnakeBeta(channels) if use_snake else nn.ELU()
    return Antialiased(act) if antialias else act


def pointwise(name: str, parameters: Mapping[str, float]) -> nn.Module:
    """The class of `POINTWISE` with this name."""
    kinds: dict[str, Callable[..., nn.Module]] = {kind.__name__: kind for kind in POINTWISE}
    return kinds[name](**parameters)
