"""A recurrent layer that goes on where it stopped."""

from __future__ import annotations

from torch import Tensor

from zoo.nets.seanet import ResidualLSTM
from zoo.nets.streams.stream import Stream


class LSTMStream(Stream):
    """Carries the state of a `ResidualLSTM` from block to block."""

    def __init__(self, layer: ResidualLSTM) -> None:
        self.layer = layer
        self._state: tuple[Tensor, Tensor] | None = None

    def needs(self, output: int) -> int:
        return output

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        if x is None:
            return None
        x = x.permute(2, 0, 1)
        y, self._state = self.layer.lstm(x, self._state)
        return (y + x).permute(1, 2, 0)
