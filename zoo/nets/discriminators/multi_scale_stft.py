"""The multi-scale STFT discriminator of EnCodec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nets.conv2d import Pair, WNConv2d
from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.spectrogram import STFT

_LEAKY: Mapping[str, Any] = {"negative_slope": 0.2}


class _NormConv2d(nn.Module):
    """Puts `conv` into the keys of the state dict."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair, dilation: int
    ) -> None:
        super().__init__()
        padding = ((kernel_size[0] - 1) * dilation // 2, (kernel_size[1] - 1) // 2)
        self.conv = WNConv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=(dilation, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class STFTDiscriminator(nn.Module):
    """Judges the complex spectrogram of one resolution with 2-D convolutions over (frames, bins).

    Args: as `MultiScaleSTFTDiscriminator`, for one scale.

    Source: Défossez et al., arXiv 2210.13438; upstream `models/encodec.py` `DiscriminatorSTFT`.
    """

    def __init__(
        self,
        filters: int,
        in_channels: int = 1,
        out_channels: int = 1,
        *,
        n_fft: int = 1024,
        hop_length: int = 256,
        win_length: int = 1024,
        max_filters: int = 1024,
        filters_scale: int = 1,
        kernel_size: Pair = (3, 9),
        dilations: Sequence[int] = (1, 2, 4),
        stride: Pair = (1, 1),
        normalized: bool = True,
        activation: str = "LeakyReLU",
        activation_params: Mapping[str, Any] = _LEAKY,
        spec_scale_pow: float = 0.0,
    ) -> None:
        super().__init__()
        self.spec_scale_pow = spec_scale_pow
        self.activation: nn.Module = getattr(nn, activation)(**activation_params)
        if isinstance(self.activation, nn.LeakyReLU):
            # Nothing needs what it is given: half of the memory for activations.
            self.activation.inplace = True
        # Persistent, since upstream's checkpoints hold it.
        self.spec_transform = STFT(
            n_fft, hop_length, win_length, center=False, unit_energy=normalized, persistent=True
        )
        # upstream: the second convolution expects filters × filters_scale channels, though the
        # first gives `filters`, so that only filters_scale = 1 runs there.
        widths = [filters]
        widths += [
            min(filters_scale ** (i + 1) * filters, max_filters) for i in range(len(dilations) + 1)
        ]
        square = (kernel_size[0], kernel_size[0])
        convs = [_NormConv2d(2 * in_channels, filters, kernel_size, (1, 1), 1)]
        for width_in, width_out, dilation in zip(widths, widths[1:], dilations, strict=False):
            convs.append(_NormConv2d(width_in, width_out, kernel_size, stride, dilation))
        convs.append(_NormConv2d(widths[-2], widths[-1], square, (1, 1), 1))
        self.convs = nn.ModuleList(convs)
        self.conv_post = _NormConv2d(widths[-1], out_channels, square, (1, 1), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(batch, channels, samples) → logits (batch, out_channels, frames, bins), and features."""
        spectrum = self.spec_transform(x)
        if self.spec_scale_pow:
            spectrum = spectrum * (spectrum.abs() + 1e-6) ** self.spec_scale_pow
        # Spectra are float32, whatever the network is.
        z = torch.cat([spectrum.real, spectrum.imag], dim=1).transpose(2, 3).to(x.dtype)
        # On a CPU this makes a step on these convolutions 1.3 times as fast.
        z = z.contiguous(memory_format=torch.channels_last)
        features = []
        for conv in self.convs:
            z = self.activation(conv(z))
            features.append(z)
        return self.conv_post(z), features


class MultiScaleSTFTDiscriminator(nn.Module):
    """One `STFTDiscriminator` per resolution.

    A signal shorter than a window is padded to it with zeros.

    Args:
        filters: Channels after the first convolution.
        in_channels: Audio channels.
        out_channels: Channels of the logits.
        n_ffts: Samples per transform, one for each scale.
        hop_lengths: Samples between frames.
        win_lengths: Samples per window.
        scale: What all scales share: `max_filters`, `filters_scale` (growth from one layer to the
            next), `kernel_size` and `stride` (frames, bins), `dilations` (over frames, one layer
            each), `normalized` (spectra of unit-energy windows), `activation` (a class of
            `torch.nn`), `activation_params`, `spec_scale_pow` (exponent that emphasises loud bins).

    Source: Défossez et al., arXiv 2210.13438; upstream `models/encodec.py`.
    """

    def __init__(
        self,
        filters: int,
        in_channels: int = 1,
        out_channels: int = 1,
        n_ffts: Sequence[int] = (1024, 2048, 512),
        hop_lengths: Sequence[int] = (256, 512, 128),
        win_lengths: Sequence[int] = (1024, 2048, 512),
        **scale: Any,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            STFTDiscriminator(
                filters,
                in_channels,
                out_channels,
                n_fft=n_fft,
                hop_length=hop,
                win_length=window,
                **scale,
            )
            for n_fft, hop, window in zip(n_ffts, hop_lengths, win_lengths, strict=True)
        )

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry per scale."""
        judged = [discriminator(x) for discriminator in self.discriminators]
        return Judgement([logits for logits, _ in judged], [features for _, features in judged])


class EncodecDiscriminator(nn.Module):
    """`MultiScaleSTFTDiscriminator` under the state-dict keys of upstream's class of this name.

    Its losses are in `zoo.training.losses.adversarial`.
    """

    def __init__(self, filters: int, in_channels: int = 1, **scales: Any) -> None:
        super().__init__()
        self.discriminators = MultiScaleSTFTDiscriminator(filters, in_channels, **scales)

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry per scale."""
        return self.discriminators(x)
