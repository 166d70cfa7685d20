"""The STFT that a U-Net may work on instead of samples.

Source: stable_audio_tools/models/adp.py (the two forms of a spectrum and state-dict keys).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nets.precision import Float32Buffers, widened


class STFT(Float32Buffers):
    """Samples to frames of real numbers and back, through a Hann window.

    Args:
        num_fft: samples per transform; a channel of samples makes 2 · (num_fft // 2 + 1).
        hop_length: samples from one frame to the next.
        window_length: samples of the window; `num_fft` if `None`.
        use_complex: real and imaginary part instead of magnitude and phase.
        multiple: `encode` gives a number of frames divisible by this.
    """

    window: Tensor

    def __init__(
        self,
        num_fft: int,
        hop_length: int = 256,
        window_length: int | None = None,
        *,
        use_complex: bool = False,
        multiple: int = 1,
    ) -> None:
        super().__init__()
        self.num_fft, self.hop_length = num_fft, hop_length
        self.window_length = window_length or num_fft
        self.use_complex, self.multiple = use_complex, multiple
        self.bins = num_fft // 2 + 1
        self.register_buffer("window", torch.hann_window(self.window_length))

    def encode(self, wave: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, 2 · channels · bins, frames), in its precision.

        All magnitudes (or real parts) are followed by all phases (or imaginary parts). Behind
        those of the signal, frames of zeros fill the last `multiple`.
        """
        exact = widened(wave)
        # upstream: fails for signals too short for their ends to be mirrored.
        exact = F.pad(exact, (0, max(0, self.bins - wave.shape[-1])))
        spectrum = torch.stft(
            exact.flatten(0, 1),
            self.num_fft,
            self.hop_length,
            self.window_length,
            self.window.to(exact),
            normalized=True,
            return_complex=True,
        )
        if self.use_complex:
            halves = spectrum.real, spectrum.imag
        else:
            halves = spectrum.abs(), spectrum.angle()
        x = torch.cat([half.unflatten(0, wave.shape[:2]).flatten(1, 2) for half in halves], dim=1)
        return F.pad(x, (0, -x.shape[-1] % self.multiple)).to(wave.dtype)

    def decode(self, x: Tensor, samples: int) -> Tensor:
        """(batch, 2 · channels · bins, frames) → (batch, channels, samples)."""
        halves = widened(x)[..., : self.frames(samples)].chunk(2, dim=1)
        a, b = (half.unflatten(1, (-1, self.bins)).flatten(0, 1) for half in halves)
        real, imaginary = (a, b) if self.use_complex else (a * b.cos(), a * b.sin())
        # upstream: gives the inverse a real tensor, which it refuses, and asks for the power of
        # two nearest to frames · hop instead of the length.
        wave = torch.istft(
            torch.complex(real, imaginary),
            self.num_fft,
            self.hop_length,
            self.window_length,
            self.window.to(real),
            normalized=True,
            length=samples,
        )
        return wave.unflatten(0, (x.shape[0], -1)).to(x.dtype)

    def frames(self, samples: int) -> int:
        """Frames of so many samples, without those that fill the last `multiple`."""
        mirrored = max(samples, self.bins) + self.num_fft // 2 * 2
        return 1 + (mirrored - self.num_fft) // self.hop_length
