"""Convolutions whose kernel is divided by its largest singular value."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _SpectralNorm(nn.Module):
    """Holds `weight_orig`, `weight_u` and `weight_v` as `torch.nn.utils.spectral_norm` names them.

    Without its hooks, so that the layers can be deep-copied. In training mode each use makes one
    step of the power iteration; the singular value is that of the kernel as a matrix with a row
    for each output channel.

    Source: Miyato et al. 2018, arXiv:1802.05957.
    """

    weight: Tensor | None
    weight_u: Tensor
    weight_v: Tensor
    output_axis = 0

    def _create(self) -> None:
        assert self.weight is not None
        self.weight_orig = nn.Parameter(self.weight.detach())
        self.register_parameter("weight", None)
        for name, length in zip("uv", self._matrix().shape, strict=True):
            self.register_buffer(f"weight_{name}", F.normalize(torch.randn(length), dim=0))

    def _matrix(self) -> Tensor:
        return self.weight_orig.transpose(0, self.output_axis).flatten(1)

    def kernel(self) -> Tensor:
        matrix = self._matrix()
        if self.training:
            with torch.no_grad():
                self.weight_v.copy_(F.normalize(matrix.T @ self.weight_u, dim=0))
                self.weight_u.copy_(F.normalize(matrix @ self.weight_v, dim=0))
        # Copies, since the next use in training mode overwrites what the backward pass needs.
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight_orig / (u @ matrix @ v)


class SNConv1d(_SpectralNorm, nn.Conv1d):
    """Convolution. (batch, in_channels, samples) → (batch, out_channels, frames)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int, dilation: int
    ) -> None:
        nn.Conv1d.__init__(
            self, in_channels, out_channels, kernel_size, stride=stride, dilation=dilation
        )
        self._create()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name is nn.Conv1d's
        return self._conv_forward(input, self.kernel(), self.bias)


class SNConvTranspose1d(_SpectralNorm, nn.ConvTranspose1d):
    """Transposed: (batch, channels, n) → (…, (n - 1) · stride + kernel_size)."""

    output_axis = 1

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int
    ) -> None:
        nn.ConvTranspose1d.__init__(self, in_channels, out_channels, kernel_size, stride=stride)
        self._create()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name is nn.ConvTranspose1d's
        return F.conv_transpose1d(input, self.kernel(), self.bias, stride=self.stride)
