"""Weight-normalised convolutions over time, with plain parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class WeightNorm(nn.Module):
    """Holds `weight_g`, `weight_v` and `bias` under the names of `torch.nn.utils.weight_norm`.

    As plain parameters they can be deep-copied and compiled, which the hooks of torch's old
    implementation can't, and state dicts of that implementation load as they are.

    Source: Salimans & Kingma 2016, arXiv:1602.07868.
    """

    bias: Tensor | None
    weight_g: Tensor | None
    weight_v: Tensor
    channels: tuple[int, int]

    def _create(self, shape: tuple[int, ...], out_channels: int, fan_in: int, bias: bool):
        bound = 1 / math.sqrt(fan_in)
        v = torch.empty(shape).uniform_(-bound, bound)
        self.weight_v = nn.Parameter(v)
        # On the meta device, where there is nothing to compute, torch takes long for the norm.
        others = tuple(range(1, v.ndim))
        self.weight_g = nn.Parameter(
            v.new_empty(len(v), *(1 for _ in others))
            if v.is_meta
            else torch.linalg.vector_norm(v, dim=others, keepdim=True)
        )
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))
        else:
            self.register_parameter("bias", None)

    @property
    def weight(self) -> Tensor:
        """The kernel: `weight_g * weight_v / |weight_v|`, the norm over all axes but the first."""
        if self.weight_g is None:
            return self.weight_v
        return torch._weight_norm(self.weight_v, self.weight_g, 0)  # pyright: ignore

    @torch.no_grad()
    def fold(self) -> None:
        """For inference: the kernel itself becomes `weight_v`, and `weight_g` nothing."""
        self.weight_v = nn.Parameter(self.weight, requires_grad=False)
        self.weight_g = None


class WNConv1d(WeightNorm):
    """Convolution. (batch, in_channels, samples) → (batch, out_channels, frames).

    Args:
        padding: zeros on the left and on the right, in samples.
        groups: channels are split into this many, each with its own kernels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation
        self.padding = padding
        self.groups = groups
        self.channels = (in_channels, out_channels)
        shape = (out_channels, in_channels // groups, kernel_size)
        self._create(shape, out_channels, in_channels // groups * kernel_size, bias)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.padding
        if left != right:
            x, left = F.pad(x, (left, right)), 0
        return F.conv1d(x, self.weight, self.bias, self.stride, left, self.dilation, self.groups)

    def extra_repr(self) -> str:
        into, out = self.channels
        return f"{into}, {out}, kernel_size={self.kernel_size}, stride={self.stride}"


class DownConv1d(WNConv1d):
    """Divides the length by `stride`: (batch, channels, samples) → (…, samples / stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        side = math.ceil(stride / 2)
        super().__init__(in_channels, out_channels, 2 * stride, stride=stride, padding=(side, side))

    def forward(self, x: Tensor) -> Tensor:
        frames = -(-x.shape[-1] // self.stride)
        # upstream: stride 1 gives one frame too many.
        return super().forward(x)[..., :frames]


class WNConvTranspose1d(WeightNorm):
    """Transposed convolution, uncut: (batch, channels, n) → (…, (n - 1) · stride + kernel_size)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.channels = (in_channels, out_channels)
        shape = (in_channels, out_channels, kernel_size)
        self._create(shape, out_channels, out_channels * kernel_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose1d(x, self.weight, self.bias, stride=self.stride)

    def extra_repr(self) -> str:
        into, out = self.channels
        return f"{into}, {out}, kernel_size={self.kernel_size}, stride={self.stride}"


class UpConv1d(WeightNorm):
    """Multiplies the length by `stride`, transposed: (batch, channels, frames) → (…, · stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = 2 * stride, stride
        self.cut = math.ceil(stride / 2)
        self.channels = (in_channels, out_channels)
        shape = (in_channels, out_channels, self.kernel_size)
        self._create(shape, out_channels, out_channels * self.kernel_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        stride, cut = self.stride, self.cut
        if stride == 1:
            return F.conv_transpose1d(x, self.weight, self.bias)[..., cut:]
        # upstream: an odd stride loses a sample at the right; output_padding computes it.
        return F.conv_transpose1d(
            x,
            self.weight,
            self.bias,
            stride=stride,
            padding=cut,
            output_padding=2 * cut - stride,
        )

    def extra_repr(self) -> str:
        into, out = self.channels
        return f"{into}, {out}, kernel_size={self.kernel_size}, stride={self.stride}"
