"""Multi-resolution STFT losses, plain and for stereo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nets.precision import Float32Buffers, widened, without_autocast
from zoo.nets.spectrogram import STFT, magnitude, mel_filterbank, mid_and_side
from zoo.nets.weighting import AWeighting


class MelScale(Float32Buffers):
    """Magnitudes (…, bins, frames) → (…, n_mels, frames)."""

    filters: Tensor

    def __init__(self, sample_rate: int, fft_size: int, n_mels: int) -> None:
        super().__init__()
        filters = mel_filterbank(sample_rate, fft_size, n_mels)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # upstream: an empty filter makes the logarithm of zero, and the loss NaN.
        return (self.filters.to(x.dtype) @ x).clamp(min=torch.finfo(torch.float32).tiny)


class MultiResolutionSTFTLoss(nn.Module):
    """Distance of magnitude spectra, averaged over resolutions, channels and batch.

    In float32 at least.

    Per resolution: `w_sc` × spectral convergence (‖difference‖ / ‖spectrum‖ of every signal) +
    `w_log_mag` × distance of log magnitudes + `w_lin_mag` × distance of magnitudes + `w_phs` ×
    distance of complex values, each relative to its size. Equal to upstream's copy of auraloss as
    upstream calls it. Against auraloss 0.4:

    - Spectral convergence is a ratio per channel of each item; auraloss divides the norms of whole
      batches.
    - The spectrum that divides is the *decoded* one, as upstream swaps the arguments;
      `convergence_by="reals"` is what auraloss documents.
    - `w_phs` compares complex values, not angles.
    - `log_eps` and `log_fac` exist: the logarithm is of `log_fac` × magnitude + `log_eps`.

    Signals shorter than half an FFT are padded with zeros, where auraloss fails.

    Args:
        fft_sizes: Samples per transform, one for each resolution.
        hop_sizes: Samples between frames.
        win_lengths: Samples per (Hann) window.
        w_sc: Weight of the spectral convergence.
        w_log_mag: Weight of the log magnitudes.
        w_lin_mag: Weight of the magnitudes.
        w_phs: Weight of the complex values.
        sample_rate: Hz; needed by `perceptual_weighting` and the mel scale.
        scale: "mel", or `None` for linear frequency.
        n_bins: Mel bands, one number for each resolution.
        perceptual_weighting: Whether to filter both signals by A-weighting first.
        eps: Smallest power of a bin.
        log_eps: Added to magnitudes before the logarithm.
        log_fac: Factor on magnitudes before the logarithm.
        mag_distance: "L1" or "L2", for both kinds of magnitude.
        convergence_by: Whose norm divides in the spectral convergence.

    Source: Yamamoto et al., arXiv 1910.11480; upstream `training/losses/auraloss.py`.
    """

    def __init__(
        self,
        fft_sizes: Sequence[int] = (1024, 2048, 512),
        hop_sizes: Sequence[int] = (120, 240, 50),
        win_lengths: Sequence[int] = (600, 1200, 240),
        *,
        w_sc: float = 1.0,
        w_log_mag: float = 1.0,
        w_lin_mag: float = 0.0,
        w_phs: float = 0.0,
        sample_rate: int | None = None,
        scale: Literal["mel"] | None = None,
        n_bins: Sequence[int] | None = None,
        perceptual_weighting: bool = False,
        eps: float = 1e-8,
        log_eps: float = 0.0,
        log_fac: float = 1.0,
        mag_distance: Literal["L1", "L2"] = "L1",
        convergence_by: Literal["decoded", "reals"] = "decoded",
    ) -> None:
        super().__init__()
        self.w_sc = w_sc
        self.w_log_mag = w_log_mag
        self.w_lin_mag = w_lin_mag
        self.w_phs = w_phs
        self.eps = eps
        self.log_eps = log_eps
        self.log_fac = log_fac
        self.distance = {"L1": F.l1_loss, "L2": F.mse_loss}[mag_distance]
        self.convergence_by = convergence_by
        self.weighting: nn.Module = nn.Identity()
        if perceptual_weighting:
            assert sample_rate is not None, "A-weighting needs a sample rate"
            self.weighting = AWeighting(sample_rate)
        sizes = zip(fft_sizes, hop_sizes, win_lengths, strict=True)
        self.transforms = nn.ModuleList(STFT(fft, hop, window) for fft, hop, window in sizes)
        self.scales = nn.ModuleList(nn.Identity() for _ in fft_sizes)
        if scale == "mel":
            assert sample_rate is not None, "the mel scale needs a sample rate"
            assert n_bins is not None, "the mel scale needs numbers of bands"
            self.scales = nn.ModuleList(
                MelScale(sample_rate, fft, bands)
                for fft, bands in zip(fft_sizes, n_bins, strict=True)
            )

    def forward(self, decoded: Tensor, reals: Tensor) -> Tensor:
        """Two signals (batch, channels, samples) → a scalar."""
        assert decoded.shape == reals.shape, (decoded.shape, reals.shape)
        with without_autocast(decoded):
            decoded, reals = self.weighting(widened(decoded)), self.weighting(widened(reals))
            losses = [
                self._compare(scale, self._signals(stft(decoded)), self._signals(stft(reals)))
                for stft, scale in zip(self.transforms, self.scales, strict=True)
            ]
            return torch.stack(losses).mean()

    def _signals(self, spectrum: Tensor) -> Tensor:
        """What is compared, made from the channels' spectra (batch, channels, bins, frames)."""
        return spectrum

    def _compare(self, scale: nn.Module, decoded: Tensor, reals: Tensor) -> Tensor:
        loss = torch.zeros((), device=decoded.device)
        if self.w_phs:
            size = 0.5 * (decoded.abs() + reals.abs()) + 1e-7
            loss = loss + self.w_phs * ((decoded - reals).abs() / size).mean()
        decoded = scale(magnitude(decoded, self.eps))
        reals = scale(magnitude(reals, self.eps))
        if self.w_sc:
            by = decoded if self.convergence_by == "decoded" else reals
            difference = torch.linalg.vector_norm(decoded - reals, dim=(-2, -1))
            convergence = difference / torch.linalg.vector_norm(by, dim=(-2, -1))
            loss = loss + self.w_sc * convergence.mean()
        if self.w_log_mag:
            loss = loss + self.w_log_mag * self.distance(self._log(decoded), self._log(reals))
        if self.w_lin_mag:
            loss = loss + self.w_lin_mag * self.distance(decoded, reals)
        return loss

    def _log(self, x: Tensor) -> Tensor:
        if self.log_fac != 1.0:
            x = self.log_fac * x
        if self.log_eps != 0.0:
            x = x + self.log_eps
        return x.log()


class StereoSTFTLoss(MultiResolutionSTFTLoss):
    """Distances of left, right, their sum and their difference, each at half weight.

    Other numbers of channels are compared as they are. This is all that upstream's trainer makes of
    its "mrstft" loss (`sdstft` + ½ left + ½ right); here the four share one transform. Arguments as
    the base class.

    Source: Steinmetz et al., arXiv 2010.10291; upstream `training/autoencoders.py`.
    """

    def forward(self, decoded: Tensor, reals: Tensor) -> Tensor:
        """Two signals (batch, channels, samples) → a scalar."""
        # Half of each of four, where the base class takes their mean.
        return super().forward(decoded, reals) * (2 if decoded.shape[1] == 2 else 1)

    def _signals(self, spectrum: Tensor) -> Tensor:
        if spectrum.shape[1] != 2:
            return spectrum
        return torch.cat([spectrum, mid_and_side(spectrum)], dim=1)


class MidSideSTFTLoss(MultiResolutionSTFTLoss):
    """Mean distance of sum and difference of two channels; other numbers are compared as they are.

    Arguments as the base class.

    Source: upstream `SumAndDifferenceSTFTLoss`.
    """

    def _signals(self, spectrum: Tensor) -> Tensor:
        return mid_and_side(spectrum) if spectrum.shape[1] == 2 else spectrum
