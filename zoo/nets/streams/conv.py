"""A convolution whose padding lies at the ends of the signal alone."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from zoo.nets.conv import WNConv1d
from zoo.nets.streams.stream import Stream, joined, rest


class ConvStream(Stream):
    """A zero-padded convolution; it computes nothing that it does not give."""

    def __init__(self, conv: WNConv1d, frames: bool = False) -> None:
        """Args: frames, whether the output is cut to ⌈samples / stride⌉."""
        assert conv.stride <= (conv.kernel_size - 1) * conv.dilation + 1
        self.conv, self.frames = conv, frames
        self._kept: Tensor | None = None
        self._started = False
        self._seen = self._given = 0

    def needs(self, output: int) -> int:
        conv = self.conv
        reach = (conv.kernel_size - 1) * conv.dilation
        return output * conv.stride - conv.padding[0] + reach

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        conv, (left, right) = self.conv, self.conv.padding
        if x is not None:
            self._seen += x.shape[-1]
            self._kept = joined(self._kept, x if self._started else F.pad(x, (left, 0)))
            self._started = True
        if self._kept is None:
            return None
        window = F.pad(self._kept, (0, right)) if last else self._kept
        outputs = (window.shape[-1] - (conv.kernel_size - 1) * conv.dilation - 1) // conv.stride + 1
        if outputs < 1:
            return None
        y = F.conv1d(window, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)
        if last and self.frames:
            y = y[..., : -(-self._seen // conv.stride) - self._given]
        self._given += y.shape[-1]
        self._kept = rest(window, outputs * conv.stride)
        return y if y.shape[-1] else None
