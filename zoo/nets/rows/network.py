"""A network of convolutions over time, run over rows of channels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.nets import dac, oobleck
from zoo.nets.activations import POINTWISE, Snake1d, SnakeBeta
from zoo.nets.conv import DownConv1d, UpConv1d, WNConv1d
from zoo.nets.prepared import Prepared
from zoo.nets.rows.convs import RowConv, RowDown, RowResidual, RowUp
from zoo.nets.rows.layer import RowLayer
from zoo.nets.rows.scratch import Scratch
from zoo.nets.rows.stream import RowStream
from zoo.nets.streams.build import stream
from zoo.nets.streams.stream import Chain, Pointwise, Stream

_RESIDUAL_UNITS = (oobleck.ResidualUnit, dac.ResidualUnit)
# Each gives 0 for 0, so that zeros may be put before it instead of behind.
_ACTIVATIONS = (SnakeBeta, Snake1d, nn.ELU)


class RowNetwork(Prepared):
    """The same function as a network of convolutions, faster on a CPU, without gradients.

    Rows of channels instead of channels of samples make every convolution a few matrix products,
    fewer than it has taps (see `toom_cook`).

    Args:
        network: (batch, channels, samples) → (batch, channels, frames), in eval mode; it is run as
            it is where it is not in float32 on a CPU.
    """

    # Larger blocks than those of other networks: tiles, not blocks, have to fit the caches.
    block_bytes = 1 << 27

    def _run(self, x: Tensor) -> Tensor:
        if not self._serves():
            return self.network(x)
        y = self._stream().advance(x, last=True)
        assert y is not None
        return y

    def _stream(self) -> Stream:
        if not self._serves():
            return stream(self.network)
        # Each layer reads what the one before wrote, so two memories are enough.
        memory = Scratch(), Scratch()
        inner = [_stream(layer, memory[n % 2]) for n, layer in enumerate(self._rows)]
        return Chain([Pointwise(_swapped), *inner, Pointwise(_swapped)])

    def _serves(self) -> bool:
        weight = next(self.network.parameters())
        return weight.dtype == torch.float32 and weight.device.type == "cpu"

    def _make(self) -> None:
        self._rows = row_layers(self.network)


class _Swapped(Stream):
    """A stream over (batch, channels, samples), among streams over rows."""

    def __init__(self, inner: Stream) -> None:
        self.inner = inner

    def needs(self, output: int) -> int:
        return self.inner.needs(output)

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        y = self.inner.advance(None if x is None else _swapped(x), last)
        return None if y is None else _swapped(y)


def suits(network: nn.Module) -> bool:
    """Whether `network` has parts that are faster over rows."""
    return any(isinstance(part, _RESIDUAL_UNITS) for part in network.modules())


def row_layers(network: nn.Module) -> list[RowLayer | nn.Module]:
    """The layers of `network` in order, over rows where they are known here."""
    made: list[RowLayer | nn.Module] = []
    parts = list(_parts(network))
    for before, part in pairwise([None, *parts]):
        activation = before if isinstance(before, _ACTIVATIONS) else None
        layer = None if part is None else _row_layer(activation, part)
        if layer is not None and activation is not None and not isinstance(layer, RowResidual):
            made.pop()
        made.append(layer or cast(nn.Module, part))
    return made


def _row_layer(activation: nn.Module | None, layer: nn.Module) -> RowLayer | None:
    match layer:
        case oobleck.ResidualUnit() | dac.ResidualUnit():
            first, dilated, second, last = layer.layers
            if not isinstance(first, _ACTIVATIONS):
                return None
            assert isinstance(dilated, WNConv1d) and isinstance(last, WNConv1d)
            return RowResidual(first, dilated, second, last)
        case DownConv1d():
            return RowDown(activation, layer)
        case WNConv1d(stride=1, groups=1):
            return RowConv(activation, layer)
        case UpConv1d():
            return RowUp(activation, layer)
        case _:
            return None


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """Layers and residual units, in order."""
    match network:
        case nn.Identity():
            pass
        case oobleck.ResidualUnit() | dac.ResidualUnit() | WNConv1d() | UpConv1d():
            yield network
        case nn.Sequential() | nn.Module(layers=_):
            layers = network if isinstance(network, nn.Sequential) else cast(Any, network).layers
            for layer in layers:
                yield from _parts(layer)
        case _:
            yield network


def _stream(layer: RowLayer | nn.Module, memory: Scratch) -> Stream:
    if isinstance(layer, RowLayer):
        return RowStream(layer, memory)
    return Pointwise(layer) if isinstance(layer, POINTWISE) else _Swapped(stream(layer))


def _swapped(x: Tensor) -> Tensor:
    """(batch, channels, samples) to (batch, samples, channels), or back; always a copy."""
    return x.transpose(1, 2).clone(memory_format=torch.contiguous_format)
