"""A short filter over rows of channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.nets.rows.scratch import scratch
from zoo.nets.rows.toom_cook import TWO_TAPS, ShortFilter

# Weights that are made in float64 at once.
_COLUMNS = 1 << 16


class FastFilter:
    """y_t = Σ_k x_{t + k · dilation} W_k with fewer products than taps.

    Rows that are equal modulo the dilation are one signal; those of all signals at the same place
    lie side by side, as one wide row.

    Args:
        short: a filter of at least as many taps.
        weight: W, (taps, in_channels, out_channels).
    """

    def __init__(self, short: ShortFilter, weight: Tensor, dilation: int) -> None:
        taps, self.in_channels, self.out_channels = weight.shape
        self.short, self.dilation = short, dilation
        self.weight = _weighted(short.weigh[:, :taps], weight)
        self.spread, self.combine = short.spread.to(weight.dtype), short.combine.to(weight.dtype)

    def rows_read(self, rows: int) -> int:
        """How many rows `filtered` takes for `rows` of output."""
        short = self.short
        return (self._blocks(rows) * short.outputs + short.inputs - short.outputs) * self.dilation

    def filtered(self, x: Tensor, rows: int) -> Tensor:
        """(rows_read(rows), in_channels) → (rows, out_channels), valid until the next call."""
        points = self._points(x, self._blocks(rows))
        count = points[0].numel() // self.in_channels
        products = scratch("products", self.short.products, count, self.out_channels)
        torch.bmm(points.view(-1, count, self.in_channels), self.weight, out=products)
        return self._outputs(products).view(-1, self.out_channels)[:rows]

    def _points(self, x: Tensor, blocks: int) -> Tensor:
        """(products, blocks, dilation · in_channels)."""
        short, width = self.short, self.dilation * self.in_channels
        inputs = x.as_strided((blocks, short.inputs, width), (short.outputs * width, width, 1))
        if short is TWO_TAPS:
            points = scratch("points", short.products, blocks, width)
            _sums(short.spread, inputs.unbind(1), points.unbind(0))
            return points
        spread = self.spread.expand(blocks, -1, -1)
        if self.dilation == 1:
            # Faster where blocks are small, but only here are the products' operands matrices.
            points = scratch("points", blocks, short.products, width)
            return torch.bmm(spread, inputs, out=points).transpose(0, 1)
        points = scratch("points", short.products, blocks, width)
        torch.bmm(spread, inputs, out=points.transpose(0, 1))
        return points

    def _outputs(self, products: Tensor) -> Tensor:
        """(blocks, outputs, dilation · out_channels)."""
        short, width = self.short, self.dilation * self.out_channels
        by_block = products.view(short.products, -1, width).transpose(0, 1)
        blocks = len(by_block)
        y = scratch("outputs", blocks, short.outputs, width)
        if short is TWO_TAPS:
            _sums(short.combine, by_block.unbind(1), y.unbind(1))
        else:
            torch.bmm(self.combine.expand(blocks, -1, -1), by_block, out=y)
        return y

    def _blocks(self, rows: int) -> int:
        return -(-rows // (self.short.outputs * self.dilation))


def _sums(matrix: Tensor, given: Sequence[Tensor], results: Sequence[Tensor]) -> None:
    """results_i = Σ_j matrix_ij given_j, for a matrix of few and mostly 1."""
    for row, result in zip(matrix.tolist(), results, strict=True):
        terms = [(factor, one) for factor, one in zip(row, given, strict=True) if factor]
        (factor, total), *others = sorted(terms, key=lambda term: term[0] != 1)
        if factor != 1 or not others:
            total = torch.mul(total, factor, out=result)
        for factor, one in others:
            total = torch.add(total, one, alpha=factor, out=result)


def _weighted(weigh: Tensor, weight: Tensor) -> Tensor:
    """(products, in_channels, out_channels), computed in float64."""
    taps = weight.flatten(1)
    made = taps.new_empty(len(weigh), taps.shape[1])
    for part, into in zip(taps.split(_COLUMNS, 1), made.split(_COLUMNS, 1), strict=True):
        into.copy_(weigh @ part.double())
    return made.view(-1, *weight.shape[1:])
