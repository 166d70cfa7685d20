"""A-weighting: the ear's sensitivity as a short linear-phase filter."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zoo.nets.precision import Float32Buffers, widened, without_autocast

# The curve's corner frequencies in Hz and its gain at 1 kHz in dB.
_F1, _F2, _F3, _F4 = 20.598997, 107.65265, 737.86223, 12194.217
_A1000 = 1.9997
_GRID = 512


def a_weighting_response(frequencies: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Gain of the digital A-weighting filter at `frequencies` (Hz, below half the sample rate).

    The bilinear transform is a substitution, so the digital filter's response is the analogue one
    at the warped frequency, and no filter coefficients are needed.

    Source: IEC/CD 1672.
    """
    s = 2j * sample_rate * np.tan(np.pi * frequencies / sample_rate)
    w1, w2, w3, w4 = (2 * math.pi * f for f in (_F1, _F2, _F3, _F4))
    gain = w4**2 * 10 ** (_A1000 / 20)
    return np.abs(gain * s**4 / ((s + w4) ** 2 * (s + w1) ** 2 * (s + w3) * (s + w2)))


def a_weighting_taps(sample_rate: int, taps: int = 101) -> NDArray[np.float64]:
    """Symmetric FIR filter whose response is nearest to A-weighting in the least-squares sense.

    The target is linear between the points 2n and 2n + 1 of a grid of 512 frequencies, and free
    between 2n + 1 and 2n + 2. This is what `scipy.signal.firls` makes of auraloss's call, and has
    to be kept.

    Args:
        sample_rate: Hz.
        taps: Length of the filter, odd.

    Source: auraloss `FIRFilter("aw")`; Wright & Välimäki, arXiv 1911.08922.
    """
    assert taps % 2 == 1, taps
    grid = np.arange(_GRID) / _GRID
    gains = a_weighting_response(grid * sample_rate / 2, sample_rate)
    # Four Gauss points per band integrate the squared error to rounding precision.
    nodes, weights = np.polynomial.legendre.leggauss(4)
    position = (nodes + 1) / 2
    low, high = grid[::2, None], grid[1::2, None]
    points = (low + (high - low) * position).ravel()
    target = (gains[::2, None] * (1 - position) + gains[1::2, None] * position).ravel()
    scale = np.sqrt(np.tile(weights, _GRID // 2))
    cosines = np.cos(np.pi * points[:, None] * np.arange(taps // 2 + 1))
    amplitudes = np.linalg.lstsq(cosines * scale[:, None], target * scale, rcond=None)[0]
    side = amplitudes[1:] / 2
    return np.concatenate((side[::-1], amplitudes[:1], side)).astype(np.float64)


class AWeighting(Float32Buffers):
    """Filters every channel by A-weighting, with as many samples out as in, in float32 at least.

    Args:
        sample_rate: Hz.
        taps: Length of the filter, odd.
    """

    taps: Tensor

    def __init__(self, sample_rate: int, taps: int = 101) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        kernel = torch.from_numpy(a_weighting_taps(sample_rate, taps)).float()
        self.register_buffer("taps", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, samples) → the same shape."""
        with without_autocast(x):
            signals = widened(x).reshape(-1, 1, x.shape[-1])
            taps = self.taps.to(signals.dtype)[None, None]
            filtered = F.conv1d(signals, taps, padding=len(self.taps) // 2)
        return filtered.reshape(x.shape)

    def extra_repr(self) -> str:
        return f"sample_rate={self.sample_rate}, taps={len(self.taps)}"
