"""Multi-resolution distance of mel spectra."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nets.precision import without_autocast
from zoo.nets.spectrogram import STFT, magnitude
from zoo.training.losses.stft import MelScale

# Far below any audible magnitude; without it the gradient of silence is not a number.
_SMALLEST_POWER = 1e-20


class MultiResolutionMelLoss(nn.Module):
    """Mean |difference| of mel magnitudes and of their log10, summed over resolutions.

    In float32 at least.

    Args:
        sample_rate: Hz.
        n_mels: Bands, one number for each resolution.
        window_lengths: Samples per FFT and per (Hann) window; the hop is a quarter.
        clamp_eps: Smallest magnitude before the logarithm.
        mag_weight: Weight of the magnitudes.
        log_weight: Weight of the log magnitudes.
        power: Exponent of the magnitude in the logarithm.

    Source: Kumar et al., arXiv 2306.06546; descript-audio-codec `MelSpectrogramLoss`, which is
        upstream's "mrmel".
    """

    def __init__(
        self,
        sample_rate: int,
        n_mels: Sequence[int] = (5, 10, 20, 40, 80, 160, 320),
        window_lengths: Sequence[int] = (32, 64, 128, 256, 512, 1024, 2048),
        *,
        clamp_eps: float = 1e-5,
        mag_weight: float = 0.0,
        log_weight: float = 1.0,
        power: float = 1.0,
    ) -> None:
        super().__init__()
        self.clamp_eps = clamp_eps
        self.mag_weight = mag_weight
        self.log_weight = log_weight
        self.power = power
        self.transforms = nn.ModuleList(STFT(size, size // 4, size) for size in window_lengths)
        self.scales = nn.ModuleList(
            MelScale(sample_rate, size, bands)
            for size, bands in zip(window_lengths, n_mels, strict=True)
        )

    def forward(self, decoded: Tensor, reals: Tensor) -> Tensor:
        """Two signals (batch, channels, samples) → a scalar."""
        assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
        loss = torch.zeros((), device=decoded.device)
        with without_autocast(decoded):
            for stft, scale in zip(self.transforms, self.scales, strict=True):
                x, y = (scale(magnitude(stft(z), _SMALLEST_POWER)) for z in (decoded, reals))
                if self.log_weight:
                    loss = loss + self.log_weight * F.l1_loss(self._log(x), self._log(y))
                if self.mag_weight:
                    loss = loss + self.mag_weight * F.l1_loss(x, y)
        return loss

    def _log(self, magnitudes: Tensor) -> Tensor:
        return self.power * magnitudes.clamp(min=self.clamp_eps).log10()
