"""The discriminator of type oobleck: scales and periods of the waveform, added up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.nets.conv import WNConv1d
from zoo.nets.conv2d import WNConv2d
from zoo.nets.discriminators.judgement import Judgement

_KERNEL, _STRIDE, _LAYERS = 15, 4, 4


class _ConvNet(nn.Module):
    """Strided convolutions over time, or over the rows and columns of a folded signal."""

    def __init__(self, in_channels: int, capacity: int, folded: bool) -> None:
        super().__init__()
        net: list[nn.Module] = []
        widths = [in_channels, *(capacity * 2**layer for layer in range(_LAYERS))]
        side = _KERNEL // 2
        for width_in, width_out in pairwise(widths):
            conv: nn.Module = WNConv1d(
                width_in, width_out, _KERNEL, stride=_STRIDE, padding=(side, side)
            )
            if folded:
                kernel, stride = (_KERNEL, _KERNEL), (_STRIDE, _STRIDE)
                conv = WNConv2d(width_in, width_out, kernel, stride=stride, padding=(side, side))
            net += [conv, nn.SiLU()]
        net.append((nn.Conv2d if folded else nn.Conv1d)(widths[-1], 1, 1))
        self.net = nn.ModuleList(net)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for layer in self.net:
            x = layer(x)
            if not isinstance(layer, nn.SiLU):
                features.append(x)
        return x.flatten(1).mean(dim=1), features


class _Scales(nn.Module):
    def __init__(self, in_channels: int, scales: int, capacity: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _ConvNet(in_channels, capacity, folded=False) for _ in range(scales)
        )

    def forward(self, x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        judged = []
        for layer in self.layers:
            judged.append(layer(x))
            x = F.avg_pool1d(x, 2)
        return judged


class _Periods(nn.Module):
    def __init__(self, in_channels: int, periods: Sequence[int], capacity: int) -> None:
        super().__init__()
        self.periods = periods
        self.layers = nn.ModuleList(_ConvNet(in_channels, capacity, folded=True) for _ in periods)

    def forward(self, x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        judged = []
        for layer, period in zip(self.layers, self.periods, strict=True):
            judged.append(layer(F.pad(x, (0, -x.shape[-1] % period)).unflatten(-1, (-1, period))))
        return judged


class _Both(nn.Module):
    """Puts `discriminators` into the keys of the state dict."""

    def __init__(self, discriminators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)

    def forward(self, x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [one for part in self.discriminators for one in part(x)]


class OobleckDiscriminator(nn.Module):
    """Three halved sample rates and five periods of the waveform.

    Args:
        in_channels: Audio channels.
        capacity: Channels after the first convolution; upstream's is 32, which makes 50 million
            weights.

    Source: upstream `models/discriminators.py`.
    """

    def __init__(self, in_channels: int = 1, *, capacity: int = 32) -> None:
        super().__init__()
        self.multi_discriminator = _Both(
            [
                _Scales(in_channels, 3, capacity),
                _Periods(in_channels, (2, 3, 5, 7, 11), capacity),
            ]
        )

    def forward(self, x: Tensor) -> Judgement:
        """(batch, channels, samples) → one entry: the sum of all scores (batch,), all features.

        Needs 4 samples.
        """
        judged = self.multi_discriminator(x)
        score = torch.stack([score for score, _ in judged]).sum(dim=0)
        return Judgement([score], [[layer for _, features in judged for layer in features]])
