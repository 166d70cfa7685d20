"""The multi-scale sub-band constant-Q discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nets.constant_q import ConstantQ
from zoo.nets.conv2d import Pair, WNConv2d
from zoo.nets.discriminators.dac import normalise
from zoo.nets.discriminators.judgement import Judgement

_KERNEL: Pair = (3, 9)
_SQUARE: Pair = (3, 3)


def _padding(kernel: Pair, dilation: int = 1) -> Pair:
    return ((kernel[0] - 1) * dilation // 2, (kernel[1] - 1) // 2)


class SubBandCQTDiscriminator(nn.Module):
    """Judges the constant-Q spectrum of one scale; each octave first has a convolution of its own.

    Args: as `MultiScaleSubBandCQTDiscriminator`, for one scale.

    Source: Gu et al., arXiv 2311.14957; BigVGAN `discriminators.py` `DiscriminatorCQT`.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_length: int,
        n_octaves: int,
        bins_per_octave: int,
        *,
        in_channels: int = 1,
        out_channels: int = 1,
        filters: int = 32,
        max_filters: int = 1024,
        filters_scale: int = 1,
        dilations: Sequence[int] = (1, 2, 4),
        fmin: float = 32.7,
        normalize_volume: bool = False,
    ) -> None:
        super().__init__()
        self.bins_per_octave = bins_per_octave
        self.normalize_volume = normalize_volume
        self.cqt = ConstantQ(
            sample_rate, hop_length, n_octaves, bins_per_octave, low_hz=fmin, oversampling=2
        )
        parts = 2 * in_channels
        self.conv_pres = nn.ModuleList(
            nn.Conv2d(parts, parts, _KERNEL, padding=_padding(_KERNEL)) for _ in range(n_octaves)
        )
        # The published code expects filters × filters_scale channels of a convolution that gives
        # `filters`, so that only filters_scale = 1 runs there.
        widths = [filters]
        widths += [
            min(filters_scale ** (i + 1) * filters, max_filters) for i in range(len(dilations) + 1)
        ]
        convs: list[nn.Module] = [nn.Conv2d(parts, filters, _KERNEL, padding=_padding(_KERNEL))]
        for width_in, width_out, dilation in zip(widths, widths[1:], dilations, strict=False):
            convs.append(
                WNConv2d(
                    width_in,
                    width_out,
                    _KERNEL,
                    stride=(1, 2),
                    padding=_padding(_KERNEL, dilation),
                    dilation=(dilation, 1),
                )
            )
        convs.append(WNConv2d(widths[-2], widths[-1], _SQUARE, padding=_padding(_SQUARE)))
        self.convs = nn.ModuleList(convs)
        self.conv_post = WNConv2d(widths[-1], out_channels, _SQUARE, padding=_padding(_SQUARE))
        self.activation = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(batch, channels, samples) → logits (batch, out_channels, frames, bins), and features."""
        if self.normalize_volume:
            x = normalise(x)
        spectrum = self.cqt(x)
        # Spectra are float32, whatever the network is.
        z = torch.cat([spectrum.real, spectrum.imag], dim=1).transpose(2, 3).to(x.dtype)
        z = z.contiguous(memory_format=torch.channels_last)
        octaves = z.split(self.bins_per_octave, dim=-1)
        z = torch.cat(
            [conv(octave) for conv, octave in zip(self.conv_pres, octaves, strict=True)], dim=-1
        )
        features = []
        for conv in self.convs:
            z = self.activation(conv(z))
            features.append(z)
        return self.conv_post(z), features


class MultiScaleSubBandCQTDiscriminator(nn.Module):
    """One `SubBandCQTDiscriminator` per scale.

    Args:
        sample_rate: Hz.
        hop_lengths: Samples between frames, at twice `sample_rate`; one for each scale.
        n_octaves: Octaves from `fmin`.
        bins_per_octaves: Bins in each octave.
        scale: What all scales share: `in_channels` of the audio, `out_channels` of the logits,
            `filters` after the first convolution, `filters_scale` (growth from one layer to the
            next) up to `max_filters`, `dilations` (over frames, one layer each), `fmin` in Hz,
            `normalize_volume` (remove the mean and set the peak to 0.8).

    Source: Gu et al., arXiv 2311.14957; upstream `models/discriminators.py`.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_lengths: Sequence[int] = (512, 256, 256),
        n_octaves: Sequence[int] = (9, 9, 9),
        bins_per_octaves: Sequence[int] = (24, 36, 48),
        **scale: Any,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            SubBandCQTDiscriminator(sample_rate, hop, octaves, bins, **scale)
            for hop, octaves, bins in zip(hop_lengths, n_octaves, bins_per_octaves, strict=True)
        )

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry per scale."""
        judged = [discriminator(x) for discriminator in self.discriminators]
        return Judgement([logits for logits, _ in judged], [features for _, features in judged])
