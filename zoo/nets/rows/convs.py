"""Convolutions over rows, with the activation before them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.nets.conv import DownConv1d, UpConv1d, WNConv1d
from zoo.nets.rows.filter import RowFilter
from zoo.nets.rows.layer import Activation, RowLayer
from zoo.nets.rows.scratch import scratch
from zoo.nets.rows.window import joined_rows


class RowConv(RowLayer):
    """A convolution without stride."""

    def __init__(self, activation: nn.Module | None, conv: WNConv1d) -> None:
        super().__init__(conv.channels, activation)
        self.filter = RowFilter(conv.weight.permute(2, 1, 0), conv.bias, conv.dilation)
        self.left, self.right = conv.padding
        self.filters, self.granule = [self.filter], self.filter.granule
        self.reach = self.filter.reach

    def length(self, rows: int) -> int:
        return rows + self.left + self.right - self.reach

    def tile(self, x: list[Tensor], y: Tensor) -> None:
        self.filter.into(y, self.activated(x, self.filter.rows_read(len(y))))


class RowDown(RowLayer):
    """A convolution of kernel 2 · stride: two taps on rows of `stride` rows side by side."""

    def __init__(self, activation: nn.Module | None, conv: DownConv1d) -> None:
        super().__init__(conv.channels, activation)
        weight = conv.weight.permute(2, 1, 0).reshape(2, -1, self.out_channels)
        self.filter = RowFilter(weight, conv.bias)
        self.step_in = self.reach = conv.stride
        self.left, self.right = conv.padding
        self.filters, self.granule = [self.filter], self.filter.granule

    def tile(self, x: list[Tensor], y: Tensor) -> None:
        read = self.filter.rows_read(len(y))
        self.filter.into(y, self.activated(x, read * self.step_in).view(read, -1))


class RowUp(RowLayer):
    """A transposed convolution of kernel 2 · stride: two taps that give `stride` rows at once."""

    left = right = reach = 1

    def __init__(self, activation: nn.Module | None, conv: UpConv1d) -> None:
        super().__init__(conv.channels, activation)
        self.step_out, self.cut = conv.stride, conv.cut
        # (in, out, 2 · stride): the later half meets the row before.
        own, before = conv.weight.permute(0, 2, 1).chunk(2, dim=1)
        bias = None if conv.bias is None else conv.bias.repeat(conv.stride)
        self.filter = RowFilter(torch.stack([before, own]).flatten(2), bias)
        self.filters, self.granule = [self.filter], self.filter.granule

    def length(self, rows: int) -> int:
        return rows * self.step_out

    def tile(self, x: list[Tensor], y: Tensor) -> None:
        wide = y.view(-1, self.step_out * self.out_channels)
        self.filter.into(wide, self.activated(x, self.filter.rows_read(len(wide))))


class RowResidual(RowLayer):
    """x + f(x): activation, dilated convolution, activation, convolution of kernel 1."""

    def __init__(
        self, first: nn.Module, dilated: WNConv1d, second: nn.Module, last: WNConv1d
    ) -> None:
        super().__init__(dilated.channels, first)
        self.between = Activation(second)
        self.filter = RowFilter(dilated.weight.permute(2, 1, 0), dilated.bias, dilated.dilation)
        self.last = RowFilter(last.weight.permute(2, 1, 0), last.bias)
        self.left, self.right = dilated.padding
        self.filters, self.granule = [self.filter, self.last], self.filter.granule
        self.reach = self.filter.reach

    def tile(self, x: list[Tensor], y: Tensor) -> None:
        inner = scratch("inner", len(y), self.in_channels)
        self.filter.into(inner, self.activated(x, self.filter.rows_read(len(y))))
        self.between(inner, inner)
        self.last.into(y, inner, joined_rows(x)[self.left : self.left + len(y)])
