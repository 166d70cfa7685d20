"""Short-time Fourier transforms and mel filterbanks, in float32 at least."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.nets.precision import Float32Buffers, widened, without_autocast


class STFT(Float32Buffers):
    """The complex STFT of one resolution, with a Hann window.

    A signal too short for the transform is padded on the right with zeros: to one whole FFT, or,
    where `center` mirrors half an FFT at both ends, to the shortest length that can be mirrored.

    Args:
        fft_size: Samples per transform.
        hop_samples: Samples from one frame to the next.
        window_samples: Length of the window, at most `fft_size`; shorter ones lie in its middle.
        center: Whether frame n is centred on sample n × hop (mirrored ends) or begins there.
        unit_energy: Whether to divide by the root of the window's energy.
        persistent: Whether the window is part of the state dict.
    """

    window: Tensor

    def __init__(
        self,
        fft_size: int,
        hop_samples: int,
        window_samples: int,
        *,
        center: bool = True,
        unit_energy: bool = False,
        persistent: bool = False,
    ) -> None:
        super().__init__()
        assert 0 < window_samples <= fft_size, (window_samples, fft_size)
        assert hop_samples > 0, hop_samples
        self.fft_size = fft_size
        self.hop_samples = hop_samples
        self.window_samples = window_samples
        self.center = center
        self.unit_energy = unit_energy
        # Explicit, since a Trainer of another precision makes its own the default meanwhile.
        window = torch.hann_window(window_samples, dtype=torch.float32)
        self.register_buffer("window", window, persistent=persistent)

    def forward(self, x: Tensor) -> Tensor:
        """(..., samples) → complex (..., bins, frames)."""
        with without_autocast(x):
            flat = widened(x).reshape(-1, x.shape[-1])
            shortest = self.fft_size // 2 + 1 if self.center else self.fft_size
            flat = F.pad(flat, (0, max(0, shortest - flat.shape[-1])))
            window = self.window.to(flat.dtype)
            if self.unit_energy:
                window = window / window.square().sum().sqrt()
            spectrum = torch.stft(
                flat,
                self.fft_size,
                self.hop_samples,
                self.window_samples,
                window,
                center=self.center,
                return_complex=True,
            )
        return spectrum.reshape(*x.shape[:-1], *spectrum.shape[-2:])

    def extra_repr(self) -> str:
        return f"fft={self.fft_size}, hop={self.hop_samples}, window={self.window_samples}"


def magnitude(spectrum: Tensor, eps: float = 0.0) -> Tensor:
    """Root of the power, which is first raised to `eps`. Complex in, real out, same shape.

    With `eps` = 0 the gradient is infinite where the spectrum is zero.
    """
    # Three passes less than `abs`, whose gradient also has no floor.
    real, imaginary = torch.view_as_real(spectrum).unbind(-1)
    power = real.square() + imaginary.square()
    return power.clamp(min=eps).sqrt()


def mid_and_side(spectrum: Tensor) -> Tensor:
    """(batch, 2, …) of left and right → (batch, 2, …) of their sum and difference.

    The STFT is linear, so this costs no further transform.
    """
    assert spectrum.shape[1] == 2, spectrum.shape
    left, right = spectrum.unbind(1)
    return torch.stack((left + right, left - right), dim=1)


# Slaney's mel scale: linear below 1000 Hz, 27 logarithmic steps from 1000 to 6400 Hz.
_LINEAR_HZ_PER_MEL = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27


def hz_to_mel(hz: Tensor) -> Tensor:
    """Frequencies in Hz → Slaney's mels."""
    above = _KNEE_MEL + (hz.clamp(min=_KNEE_HZ) / _KNEE_HZ).log() / _LOG_STEP
    return torch.where(hz < _KNEE_HZ, hz / _LINEAR_HZ_PER_MEL, above)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Slaney's mels → frequencies in Hz."""
    above = _KNEE_HZ * ((mel - _KNEE_MEL) * _LOG_STEP).exp()
    return torch.where(mel < _KNEE_MEL, mel * _LINEAR_HZ_PER_MEL, above)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def mel_filterbank(
    sample_rate: int,
    fft_size: int,
    n_mels: int,
    low_hz: float = 0.0,
    high_hz: float | None = None,
) -> Tensor:
    """Triangular filters of equal area, evenly spaced in mels: (n_mels, bins), float32.

    The tensor is cached and shared: clone it before changing it. Where the FFT is too short for
    `n_mels`, the lowest filters are empty.

    Args:
        sample_rate: Hz.
        fft_size: Samples per transform; bins = `fft_size` // 2 + 1.
        n_mels: Number of filters.
        low_hz: Where the first filter begins.
        high_hz: Where the last one ends; half the sample rate if `None`.

    Source: Slaney, Auditory Toolbox (1998); the same numbers as `librosa.filters.mel`.
    """
    high_hz = sample_rate / 2 if high_hz is None else high_hz
    assert 0 <= low_hz < high_hz, (low_hz, high_hz)
    bins = torch.linspace(0, sample_rate / 2, fft_size // 2 + 1, dtype=torch.float64)
    first, last = hz_to_mel(torch.tensor([low_hz, high_hz], dtype=torch.float64))
    edges = mel_to_hz(torch.linspace(first, last, n_mels + 2, dtype=torch.float64))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    filters = torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)
    return filters.float()
