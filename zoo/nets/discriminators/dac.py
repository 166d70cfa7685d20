"""The discriminator of descript-audio-codec: periods, sample rates and resolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zoo.nets.discriminators.judgement import Judgement
from zoo.nets.discriminators.multi_period import PeriodDiscriminator
from zoo.nets.discriminators.multi_rate import RateDiscriminator
from zoo.nets.discriminators.multi_resolution import BANDS, ResolutionDiscriminator


class MultiDiscriminator(nn.Module):
    """Discriminators that hear the same signal, centred and with a peak of 0.8 per channel."""

    def __init__(self, discriminators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry per discriminator."""
        x = normalise(x)
        judged = [discriminator(x) for discriminator in self.discriminators]
        return Judgement([logits for logits, _ in judged], [features for _, features in judged])


class DACDiscriminator(nn.Module):
    """`MultiDiscriminator` under the state-dict keys of upstream's `DACGANLoss`.

    Args:
        channels: Audio channels.
        rates: Factors by which the sample rate is divided, one discriminator each.
        periods: Periods in samples, one discriminator each.
        fft_sizes: Samples per window, one discriminator each.
        bands: As of `ResolutionDiscriminator`.

    Source: Kumar et al., arXiv 2306.06546; upstream `models/discriminators.py`.
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        rates: Sequence[int] = (),
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        fft_sizes: Sequence[int] = (2048, 1024, 512),
        bands: Sequence[tuple[float, float]] = BANDS,
    ) -> None:
        super().__init__()
        self.discriminator = MultiDiscriminator(
            [
                *(PeriodDiscriminator(period, channels) for period in periods),
                *(RateDiscriminator(rate, channels) for rate in rates),
                *(ResolutionDiscriminator(size, bands) for size in fft_sizes),
            ]
        )

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry per discriminator."""
        return self.discriminator(x)


def normalise(x: Tensor) -> Tensor:
    """(…, samples), each row without its mean and with a peak of 0.8; silence stays silence."""
    x = x - x.mean(dim=-1, keepdim=True)
    return 0.8 * x / (x.abs().amax(dim=-1, keepdim=True) + 1e-9)
