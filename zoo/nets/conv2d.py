"""A weight-normalised 2-D convolution with plain parameters."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pair = tuple[int, int]


class WNConv2d(nn.Module):
    """2-D convolution whose weight is `weight_g` · `weight_v` / ‖`weight_v`‖.

    The norms are over all axes but the first.     Parameters, keys and initial values are those of
    `weight_norm(nn.Conv2d(…))`; without hooks, so that it can be deep-copied and compiled.

    Source: Salimans & Kingma, arXiv 1602.07868.
    """

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
        self.weight_v = nn.Parameter(torch.empty(out_channels, in_channels, *kernel_size))
        nn.init.kaiming_uniform_(self.weight_v, a=math.sqrt(5))
        bound = 1 / math.sqrt(self.weight_v[0].numel())
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))
        self.weight_g = nn.Parameter(self._norm().detach())

    def _norm(self) -> Tensor:
        return torch.linalg.vector_norm(self.weight_v, dim=(1, 2, 3), keepdim=True)

    def weight(self) -> Tensor:
        """The kernel itself: (out_channels, in_channels, height, width)."""
        return self.weight_g * self.weight_v / self._norm()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) → (batch, out_channels, height', width')."""
        return F.conv2d(x, self.weight(), self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        out_channels, in_channels, *kernel = self.weight_v.shape
        return (
            f"{in_channels}, {out_channels}, kernel_size={tuple(kernel)}, dilation={self.dilation}"
        )
