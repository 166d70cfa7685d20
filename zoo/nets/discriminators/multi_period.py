"""The period discriminator of HiFi-GAN, in the form of descript-audio-codec."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nets.conv2d import WNConv2d

_WIDTHS = (32, 128, 512, 1024, 1024)


class PeriodDiscriminator(nn.Module):
    """Judges samples that are a period apart.

    Args:
        period: Samples in a row of the picture that the signal is folded into.
        channels: Audio channels.

    Source: Kong et al., arXiv 2010.05646; Kumar et al., arXiv 2306.06546; upstream
    `models/discriminators.py` `MPD`.
    """

    def __init__(self, period: int, channels: int = 1) -> None:
        super().__init__()
        self.period = period
        convs: list[nn.Module] = []
        widths = (channels, *_WIDTHS)
        for width_in, width_out in pairwise(widths):
            stride = 1 if width_in == _WIDTHS[-1] else 3
            conv = WNConv2d(width_in, width_out, (5, 1), stride=(stride, 1), padding=(2, 0))
            convs.append(nn.Sequential(conv, nn.LeakyReLU(0.1, inplace=True)))
        self.convs = nn.ModuleList(convs)
        self.conv_post = WNConv2d(widths[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(batch, channels, samples) → logits (batch, 1, rows, period), and features.

        Needs more samples than `period`.
        """
        # A signal of whole rows gets another one: weights are trained with it.
        x = F.pad(x, (0, self.period - x.shape[-1] % self.period), mode="reflect")
        # Not channels-last: for kernels of one column that is slower by a quarter.
        z = x.unflatten(-1, (-1, self.period))
        features = []
        for conv in self.convs:
            z = conv(z)
            features.append(z)
        return self.conv_post(z), features
