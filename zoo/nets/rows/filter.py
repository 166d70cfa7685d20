"""A filter over rows of channels, as matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.nets.rows.fast_filter import FastFilter
from zoo.nets.rows.toom_cook import EIGHT_TAPS, TWO_TAPS, ShortFilter

# What the fast way costs for each value that goes in or out, in multiply-adds, as measured.
_MOVED = 40
# So few channels, over all taps, are rather put side by side.
_NARROW = 64


class RowFilter:
    """y_t = bias + Σ_k x_{t + k · dilation} W_k for rows x of channels.

    Args:
        weight: W, (taps, in_channels, out_channels).
        bias: (out_channels) or None.
        dilation: rows between taps.

    Attributes:
        reach: rows that an output sees behind the one at its own place.
        granule: rows of output that are best made together.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> None:
        self.weight = weight.detach().contiguous()
        self.bias = None if bias is None else bias.detach()
        self.dilation = dilation
        self.taps, self.in_channels, self.out_channels = weight.shape
        self.reach = (self.taps - 1) * dilation
        narrow = min(self.in_channels, self.out_channels) * self.taps <= _NARROW
        self._short = None if narrow else _short_filter(self.taps)
        self._fast: FastFilter | None = None
        self.granule = 1 if self._short is None else self._short.outputs * dilation

    def prepare(self, rows: int) -> None:
        """Makes the weights of the fast way, before it is first taken and in one thread."""
        if self._fast is None and self._is_fast(rows):
            assert self._short is not None
            self._fast = FastFilter(self._short, self.weight, self.dilation)

    def rows_read(self, rows: int) -> int:
        """How many rows `into` wants for `rows` of output.

        Those after the first `rows + reach` must be there and finite, and have no effect.
        """
        if self._fast is not None and self._is_fast(rows):
            return self._fast.rows_read(rows)
        return rows + self.reach

    def into(self, y: Tensor, x: Tensor, plus: Tensor | None = None) -> None:
        """Writes the outputs into all rows of `y`, (rows, out_channels).

        Args:
            x: (rows_read(rows), in_channels), contiguous.
            plus: added to the outputs, of their shape.
        """
        rows = len(y)
        if self._fast is not None and self._is_fast(rows):
            _sum_into(y, [self._fast.filtered(x, rows), self.bias, plus])
            return
        _sum_into(y, [self.bias, plus])
        taps = [x[k * self.dilation :][:rows] for k in range(self.taps)]
        if self.taps * self.in_channels <= _NARROW:
            y.addmm_(torch.cat(taps, dim=1), self.weight.flatten(0, 1))
        elif self.taps * self.out_channels <= _NARROW:
            by_tap = (x @ self.weight.transpose(0, 1).flatten(1)).split(self.out_channels, dim=1)
            for k, part in enumerate(by_tap):
                y.add_(part[k * self.dilation :][:rows])
        else:
            for tap, weight in zip(taps, self.weight, strict=True):
                y.addmm_(tap, weight)

    def _is_fast(self, rows: int) -> bool:
        """Whether the short filter is the faster way for so many rows."""
        short = self._short
        if short is None:
            return False
        wide = self.in_channels * self.out_channels
        moved = short.inputs * self.in_channels + short.outputs * self.out_channels
        block = (short.products * wide + _MOVED * moved) * self.dilation
        return -(-rows // self.granule) * block < rows * self.taps * wide


def _sum_into(y: Tensor, parts: list[Tensor | None]) -> None:
    first, *others = [part for part in parts if part is not None] or [y.new_zeros(1)]
    if others:
        torch.add(first, others.pop(0), out=y)
    else:
        y.copy_(first)
    for part in others:
        y.add_(part)


def _short_filter(taps: int) -> ShortFilter | None:
    if taps == 2:
        return TWO_TAPS
    return EIGHT_TAPS if 6 <= taps <= 8 else None
