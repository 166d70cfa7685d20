"""A layer run over what its next outputs depend on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from torch import Tensor

from zoo.nets.span import Span
from zoo.nets.streams.stream import Stream, joined, rest


class Window(Stream):
    """Serves any layer with a finite span, whatever it puts beyond the ends of a signal.

    It keeps the input that later outputs depend on and runs the layer over it. What the layer
    makes up beyond the ends of this window is cut off, except at the ends of the signal.

    Args:
        function: the layer; n · `step_in` inputs become n · `step_out` outputs.
        span: (first, last) → first and last input that these outputs depend on.
        step_in, step_out: how many inputs the layer takes for how many outputs, in lowest terms.
        mirrored: how far from an end of the signal, where the layer is different, the inputs
            lie that it sees there.
        axis: of time, in the layer's input and output.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        span: Callable[[int, int], Span],
        *,
        step_in: int = 1,
        step_out: int = 1,
        mirrored: int = 0,
        axis: int = -1,
    ) -> None:
        self.function, self.span = function, span
        self.step_in, self.step_out = step_in, step_out
        self.mirrored, self.axis = mirrored, axis
        self._kept: Tensor | None = None
        self._start = self._given = 0

    def needs(self, output: int) -> int:
        return max(self.mirrored, self.span(output, output)[1])

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        self._kept = window = joined(self._kept, x, self.axis)
        if window is None:
            return None
        seen = self._start + window.shape[self.axis]
        # So many there would be if the signal ended here.
        possible = range(-(-seen * self.step_out // self.step_in))
        ready = bisect_right(possible, seen - 1, lo=self._given, key=self.needs)
        if ready == self._given and not last:
            return None
        y = self.function(window)
        before = self._start // self.step_in * self.step_out
        ready = before + y.shape[self.axis] if last else ready
        y = y.narrow(self.axis, self._given - before, ready - self._given)
        self._given = ready
        self._forget(window, seen)
        return y if y.shape[self.axis] else None

    def _forget(self, window: Tensor, seen: int) -> None:
        first = min(self.span(self._given, self._given)[0], seen - 1 - self.mirrored)
        start = max(self._start, first // self.step_in * self.step_in)
        self._kept = rest(window, start - self._start, self.axis)
        self._start = start
