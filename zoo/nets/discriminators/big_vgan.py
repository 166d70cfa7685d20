"""The discriminator of BigVGAN 2: periods of the waveform and constant-Q spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from zoo.nets.discriminators.dac import DACDiscriminator
from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.discriminators.sub_band_cqt import MultiScaleSubBandCQTDiscriminator


class BigVGANDiscriminator(nn.Module):
    """Period discriminators, and one of constant-Q spectra for each scale.

    The state-dict keys are upstream's; those of its constant-Q part, which lacks a class, are
    BigVGAN's.

    Args:
        sample_rate: Hz.
        channels: Audio channels.
        periods: Periods in samples, one discriminator each.
        cqt: As of `MultiScaleSubBandCQTDiscriminator`.

    Source: Lee et al., arXiv 2206.04658; Gu et al., arXiv 2311.14957; upstream
    `models/discriminators.py`.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int = 1,
        *,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        **cqt: Any,
    ) -> None:
        super().__init__()
        self.mpd = DACDiscriminator(channels, periods=periods, fft_sizes=())
        # upstream: its constant-Q discriminator is of a class that doesn't exist.
        self.cqt = MultiScaleSubBandCQTDiscriminator(sample_rate, in_channels=channels, **cqt)

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry per period, then one per scale."""
        periods, scales = self.mpd(x), self.cqt(x)
        return Judgement(periods.logits + scales.logits, periods.features + scales.features)
