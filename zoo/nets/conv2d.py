"""A weight-normalised 2-D convolution with plain parameters."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from zoo.nets.conv import WeightNorm

Pair = tuple[int, int]


class WNConv2d(WeightNorm):
    """2-D convolution with a bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = (1, 1),
        padding: Pair = (0, 0),
        dilation: Pair = (1, 1),
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        fan_in = in_channels * kernel_size[0] * kernel_size[1]
        self._create((out_channels, in_channels, *kernel_size), out_channels, fan_in, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) → (batch, out_channels, height', width')."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        out_channels, in_channels, *kernel = self.weight_v.shape
        return (
            f"{in_channels}, {out_channels}, kernel_size={tuple(kernel)}, dilation={self.dilation}"
        )
