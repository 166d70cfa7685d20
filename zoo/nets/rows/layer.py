"""A layer of a network over rows of channels.

It runs tile by tile, so that its intermediate results stay in the cache, with the tiles on all
cores, and takes in what is pointwise before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from zoo.nets.activations import Snake1d, SnakeBeta
from zoo.nets.rows.filter import RowFilter
from zoo.nets.rows.scratch import Scratch, scratch
from zoo.nets.rows.threads import on_threads
from zoo.nets.rows.window import Window

# Values of a tile, about, and its fewest rows: each tile reads all weights once.
_TILE_VALUES, _FEWEST_ROWS = 1 << 20, 864


class RowLayer:
    """(batch, rows, in_channels) → (batch, rows · step_out / step_in, out_channels).

    Attributes:
        step_in, step_out: so many rows become so many, in one step.
        reach: rows that a step sees beyond its own `step_in`.
        left, right: rows of zeros before and behind a signal.
        cut: rows of the result that are cut off at the start.
        granule: steps that are best made together.
        filters: those that it runs.
    """

    step_in = step_out = granule = 1
    reach = left = right = cut = 0
    filters: Sequence[RowFilter] = ()

    def __init__(self, channels: tuple[int, int], activation: nn.Module | None = None) -> None:
        self.in_channels, self.out_channels = channels
        self.activation = None if activation is None else Activation(activation)

    def length(self, rows: int) -> int:
        """How many rows the result of a signal has."""
        return -(-rows // self.step_in) * self.step_out

    def run(self, window: Window, steps: int, results: Scratch) -> Tensor:
        """The first `steps` steps: (batch, steps · step_out, out_channels), within `results`."""
        y = results.take("rows", window.batch, steps * self.step_out, self.out_channels)
        size = self._tile(steps, window.batch)
        for each in self.filters:
            each.prepare(min(size, steps))
        tiles = [
            (item, first, min(size, steps - first))
            for item in range(window.batch)
            for first in range(0, steps, size)
        ]
        on_threads(partial(self._run_tile, window, y, *tile) for tile in tiles)
        return y

    def _run_tile(self, window: Window, y: Tensor, item: int, first: int, steps: int) -> None:
        begin, end = first * self.step_in, (first + steps) * self.step_in + self.reach
        into = y[item, first * self.step_out : (first + steps) * self.step_out]
        self.tile(window.rows(item, begin, end), into)

    def _tile(self, steps: int, batch: int) -> int:
        """Steps of a tile: of a good size, the same work for all threads, whole granules."""
        widest = max(self.in_channels * self.step_in, self.out_channels * self.step_out)
        rows = max(_TILE_VALUES // widest, _FEWEST_ROWS // self.step_in)
        threads = torch.get_num_threads()
        tiles = -(-steps // rows) * batch
        tiles = max(1, -(-tiles // threads) * threads // batch)
        return -(-steps // (tiles * self.granule)) * self.granule

    def tile(self, x: list[Tensor], y: Tensor) -> None:
        """Writes the steps into `y`: (steps · step_out, out_channels).

        Args:
            x: in parts, (steps · step_in + reach, in_channels) in all.
        """
        raise NotImplementedError

    def activated(self, x: list[Tensor], rows: int) -> Tensor:
        """The parts in one, activated, with zeros behind them: (rows, in_channels)."""
        y = scratch("activated", rows, self.in_channels)
        start = 0
        for part in x:
            end = start + len(part)
            if self.activation is None:
                y[start:end].copy_(part)
            else:
                self.activation(part, y[start:end])
            start = end
        y[start:].zero_()
        return y


class Activation:
    """A pointwise layer over rows."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer: Callable[[Tensor], Tensor] = layer
        self._snake: tuple[Tensor, Tensor] | None = None
        if isinstance(layer, SnakeBeta | Snake1d):
            frequency, height = layer.frequency_and_height()
            self._snake = frequency.detach().flatten(), height.detach().flatten()

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Writes the activation of x (rows, channels) into y, which may be x."""
        if self._snake is None:
            y.copy_(self._layer(x))
            return
        frequency, height = self._snake
        wave = torch.mul(x, frequency, out=scratch("wave", *x.shape)).sin_().square_()
        torch.addcmul(x, wave, height, out=y)
