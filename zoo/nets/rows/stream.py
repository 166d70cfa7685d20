"""Layers over rows as streams: (batch, rows, channels) in blocks."""

from __future__ import annotations

from torch import Tensor

from zoo.nets.rows.layer import RowLayer
from zoo.nets.rows.scratch import Scratch
from zoo.nets.rows.window import Window
from zoo.nets.streams.stream import Stream


class RowStream(Stream):
    """Runs a layer over one signal; it computes nothing twice."""

    def __init__(self, layer: RowLayer, results: Scratch) -> None:
        """Args: results, memory for what it gives, valid until `advance` is called again."""
        self.layer, self.results = layer, results
        self._kept: Tensor | None = None
        self._seen = self._made = 0

    def needs(self, output: int) -> int:
        layer = self.layer
        step = (output + layer.cut) // layer.step_out
        return (step + 1) * layer.step_in + layer.reach - 1 - layer.left

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        layer, like = self.layer, self._kept if x is None else x
        if like is None:
            return None
        pieces = [] if self._kept is None else [self._kept]
        if self._seen == 0 and layer.left:
            pieces.append(_zeros(like, layer.left))
        if x is not None:
            pieces.append(x)
            self._seen += x.shape[1]
        if last and layer.right:
            pieces.append(_zeros(like, layer.right))
        window = Window(pieces)
        steps = (window.length - layer.reach) // layer.step_in
        if steps < 1:
            self._kept = window.rest(0)
            return None
        y = layer.run(window, steps, self.results)
        self._kept = window.rest(steps * layer.step_in)
        # Counted from the start of the signal, what is cut off included.
        first, self._made = self._made, self._made + y.shape[1]
        begin = max(0, layer.cut - first)
        end = layer.cut + layer.length(self._seen) - first if last else y.shape[1]
        y = y[:, begin : max(begin, end)]
        return y if y.shape[1] else None


def _zeros(like: Tensor, rows: int) -> Tensor:
    return like.new_zeros(like.shape[0], rows, like.shape[2])
