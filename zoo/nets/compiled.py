"""Networks compiled for a few shapes, whatever the length of a signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.nets.prepared import FoldedNetwork
from zoo.nets.span import input_span

# More than torch's own limit of 8: each length, batch size and precision is one.
_VERSIONS = 256
# Lengths of windows, in frames: each is compiled once.
WINDOWS = tuple(size for power in range(4, 11) for size in (2**power, 3 * 2 ** (power - 1)))


class CompiledNetwork(FoldedNetwork):
    """A network compiled by `torch.compile`, with weight norm folded.

    A signal is covered by windows of one of a few lengths, so that a new file compiles nothing new.
    Windows overlap by what the network sees; those at the ends of a signal begin and end with it,
    as its padding does. A signal shorter than the shortest window runs uncompiled, as does a
    network that sees all of a signal.

    Args:
        network: in eval mode.
        unit_in, unit_out: inputs and outputs in a frame.
        compiler: takes a module and gives what runs in its place.
    """

    def __init__(
        self,
        network: nn.Module,
        unit_in: int,
        unit_out: int,
        compiler: Callable[[nn.Module], Any] | None = None,
    ) -> None:
        super().__init__(network)
        self.unit_in, self.unit_out = unit_in, unit_out
        self._compiler = compiler or _compile
        try:
            first, last = input_span(network, 0, unit_out - 1)
        except NotImplementedError:
            self.context: tuple[int, int] | None = None
        else:
            self.context = max(0, -(first // unit_in)), max(0, last // unit_in)

    def _make(self) -> None:
        super()._make()
        self._compiled = cast(Callable[[Tensor], Tensor], self._compiler(self._folded[0]))

    def _run(self, x: Tensor) -> Tensor:
        frames, rest = divmod(x.shape[-1], self.unit_in)
        context = self.context
        size = None if rest or context is None else window_size(frames, context)
        if size is None or context is None:
            return self._folded[0](x)
        pieces: list[Tensor] = []
        made = 0
        for start in window_starts(frames, size, context):
            stop = start + size
            end = stop if stop == frames else stop - context[1]
            y = self._compiled(x[..., start * self.unit_in : stop * self.unit_in].contiguous())
            own = y[..., (made - start) * self.unit_out : (end - start) * self.unit_out]
            # A copy: compiled code may use its memory again.
            pieces.append(own.clone())
            made = end
        return torch.cat(pieces, dim=-1)


def _compile(module: nn.Module) -> Callable[[Tensor], Tensor]:
    compiled = torch.compile(module, dynamic=False)

    def run(x: Tensor) -> Tensor:
        with torch._dynamo.config.patch(recompile_limit=_VERSIONS):
            return compiled(x)

    return run


def window_size(frames: int, context: tuple[int, int]) -> int | None:
    """The length that covers a signal with the least to compute; None for a signal too short."""
    fitting = [size for size in WINDOWS if sum(context) < size <= frames]
    return min(
        fitting,
        key=lambda size: (len(window_starts(frames, size, context)) * size, -size),
        default=None,
    )


def window_starts(frames: int, size: int, context: tuple[int, int]) -> list[int]:
    """First frames of windows whose results without their context join; the last one ends there."""
    step = size - sum(context)
    return [*range(0, frames - size, step), frames - size]
