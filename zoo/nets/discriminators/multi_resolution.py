"""The multi-band discriminator of complex spectra of descript-audio-codec."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nets.conv2d import WNConv2d
from zoo.nets.spectrogram import STFT

BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
_WIDTH = 32


def _band_convs() -> nn.ModuleList:
    convs = [
        WNConv2d(2, _WIDTH, (3, 9), padding=(1, 4)),
        *(WNConv2d(_WIDTH, _WIDTH, (3, 9), stride=(1, 2), padding=(1, 4)) for _ in range(3)),
        WNConv2d(_WIDTH, _WIDTH, (3, 3), padding=(1, 1)),
    ]
    return nn.ModuleList(nn.Sequential(conv, nn.LeakyReLU(0.1, inplace=True)) for conv in convs)


class ResolutionDiscriminator(nn.Module):
    """Judges the spectrogram of one resolution, with convolutions of its own for each band.

    The channels of a signal are judged one by one.

    Args:
        window_length: Samples per (Hann) window and transform, a multiple of 4; the hop is a
            quarter of it.
        bands: Begin and end of each band, as fractions of the Nyquist frequency.

    Source: Kumar et al., arXiv 2306.06546; upstream `models/discriminators.py` `MRD`.
    """

    def __init__(self, window_length: int, bands: Sequence[tuple[float, float]] = BANDS) -> None:
        super().__init__()
        assert window_length % 4 == 0, window_length
        self.hop_samples = window_length // 4
        bins = window_length // 2 + 1
        self.bands = [(int(low * bins), int(high * bins)) for low, high in bands]
        self.spectrum = STFT(window_length, self.hop_samples, window_length, center=False)
        self.band_convs = nn.ModuleList(_band_convs() for _ in bands)
        self.conv_post = WNConv2d(_WIDTH, 1, (3, 3), padding=(1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(batch, channels, samples) → logits (batch × channels, 1, frames, bins), and features.

        Frames = ceil(samples / hop). Needs more samples than 5/8 of a window.
        """
        hop = self.hop_samples
        side = 3 * hop // 2
        x = F.pad(x, (side, side + -x.shape[-1] % hop), mode="reflect")
        spectrum = torch.view_as_real(self.spectrum(x.flatten(0, 1)))
        # Spectra are float32, whatever the network is.
        spectrum = spectrum.permute(0, 3, 2, 1).to(x.dtype)
        judged, features = [], []
        for (low, high), convs in zip(self.bands, self.band_convs, strict=True):
            z = spectrum[..., low:high].contiguous(memory_format=torch.channels_last)
            for conv in convs:  # type: ignore[attr-defined]
                z = conv(z)
                features.append(z)
            judged.append(z)
        return self.conv_post(torch.cat(judged, dim=-1)), features
