"""The constant-Q transform: a spectrogram whose bins are a fixed musical interval apart."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nets.precision import Float32Buffers, without_autocast

# An octave is computed at a rate at least this many times its end: the sidelobes of a Hann window
# fall with the cube of the distance, so that what is cut off is below 1e-6 of the peak.
_RATE_PER_END = 8
# Samples decimated by a window's end still ring for a while.
_RINGING = 8
# Signals are filled with zeros to a multiple of this, so that no FFT meets a large prime.
_BLOCK = 4096


def window_of(rate: float, hz: float, bins_per_octave: int) -> tuple[int, Tensor]:
    """The window whose correlation with a signal makes a bin: first sample, complex128 values.

    It is a periodic Hann window of sum 1 × the root of its length × exp(2πi · hz · n / rate), of Q
    = 1 / (2^(1 / bins_per_octave) - 1) periods. Sample n = 0 is the frame's centre.
    """
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    length = math.ceil(quality * rate / hz)
    first = -math.ceil(length / 2)
    window = torch.hann_window(length, dtype=torch.float64)
    n = torch.arange(first, first + length, dtype=torch.float64)
    tone = torch.exp(2j * math.pi * hz / rate * n)
    return first, window / window.sum() * math.sqrt(length) * tone


class ConstantQ(nn.Module):
    """Bins evenly spaced in pitch, each with a window of the same number of periods.

    Bin k, at `low_hz` · 2^(k / bins_per_octave), is the correlation with `window_of` it, about
    every `hop_samples`-th sample; zeros lie around the signal. Each octave is computed from the
    signal at the lowest rate that holds it.

    Args:
        sample_rate: Hz.
        hop_samples: Samples between frames, at `oversampling` × `sample_rate`; best a multiple of a
            high power of two.
        octaves: Number of octaves.
        bins_per_octave: Number of bins in each.
        low_hz: Frequency of the lowest bin.
        oversampling: Windows and hop are those of a signal interpolated to this many times its
            rate, so that an octave may lie above the signal's Nyquist frequency, and be empty.

    Source: Brown, Calculation of a constant Q spectral transform (1991); Schörkhuber & Klapuri,
    Constant-Q transform toolbox (2010); the normalisation of librosa and nnAudio.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_samples: int,
        octaves: int,
        bins_per_octave: int,
        *,
        low_hz: float = 32.7,
        oversampling: int = 1,
    ) -> None:
        super().__init__()
        self.hop_samples = hop_samples
        self.oversampling = oversampling
        rate = oversampling * sample_rate
        self.octaves = nn.ModuleList(
            _Octave(low_hz * 2**octave, bins_per_octave, rate, hop_samples)
            for octave in range(octaves)
        )
        # The window about the first sample and that about the last may share their zeros.
        self.zeros = -(-max(octave.span for octave in self.octaves) // oversampling)  # type: ignore

    def forward(self, x: Tensor) -> Tensor:
        """(…, samples) → complex (…, bins, frames), where frame n is about sample n × hop.

        Frames = samples · oversampling // hop + 1.
        """
        samples = x.shape[-1]
        frames = samples * self.oversampling // self.hop_samples + 1
        size = -(-(samples + self.zeros) // _BLOCK) * _BLOCK
        with without_autocast(x):
            spectrum = torch.fft.rfft(x.float().reshape(-1, samples), n=size)
            if self.oversampling > 1:
                # At a higher rate the Nyquist frequency is an ordinary one, and counts twice.
                spectrum[:, -1] /= 2
            octaves = [octave(spectrum, size, self.oversampling, frames) for octave in self.octaves]
        bins = torch.cat(octaves, dim=1)
        return bins.reshape(*x.shape[:-1], *bins.shape[1:])


class _Octave(Float32Buffers):
    """The bins of one octave, from the spectrum of the whole signal.

    Args:
        low_hz: Frequency of the first bin.
        bins: Number of bins.
        rate: Hz at which windows and hop are defined.
        hop_samples: Samples between frames at that rate.
    """

    kernels: Tensor

    def __init__(self, low_hz: float, bins: int, rate: int, hop_samples: int) -> None:
        super().__init__()
        spare = max(1.0, rate / (_RATE_PER_END * 2 * low_hz))
        self.divisor = math.gcd(hop_samples, _BLOCK, 2 ** int(math.log2(spare)))
        self.hop = hop_samples // self.divisor
        windows = [window_of(rate, low_hz * 2 ** (b / bins), bins) for b in range(bins)]
        # The lowest bin has the longest window.
        self.middle = -(windows[0][0] // self.divisor) + _RINGING
        self.span = self.middle * self.divisor
        kernels = torch.stack([self._at_lower_rate(*window) for window in windows])
        stacked = torch.cat([kernels.real, -kernels.imag])[:, None]
        self.register_buffer("kernels", stacked.float(), persistent=False)

    def _at_lower_rate(self, first: int, window: Tensor) -> Tensor:
        """The window about the middle of 2 × `middle` samples."""
        centred = torch.zeros(2 * self.span, dtype=torch.complex128)
        centred[self.span + first : self.span + first + len(window)] = window
        if self.divisor == 1:
            return centred
        spectrum = torch.fft.fft(centred)
        kept = torch.cat([spectrum[: self.middle], spectrum[-self.middle :]])
        # A sum over fewer samples is as large as over all if each counts `divisor` times, which
        # is just what a shorter inverse makes of them.
        return torch.fft.ifft(kept)

    def forward(self, spectrum: Tensor, size: int, oversampling: int, frames: int) -> Tensor:
        """Half spectrum of `size` samples (rows, …) → complex (rows, bins, frames)."""
        samples = size * oversampling // self.divisor
        # irfft cuts the spectrum, an ideal low-pass filter, or extends it with zeros.
        x = torch.fft.irfft(spectrum, n=samples) * (samples / size)
        # What rings before the first sample is at the end.
        x = torch.cat([x[:, -self.middle :], x], dim=1)[:, None]
        parts = F.conv1d(x, self.kernels, stride=self.hop)[..., :frames]
        return torch.complex(*parts.chunk(2, dim=1))
