"""What a layer or a network gives offline, computed from blocks of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Stream:
    """Takes the blocks of one signal in turn and gives all that they determine, as they do.

    The results, joined, are what the layer gives for the joined blocks. Nothing (None) stands for
    a block or a result of no length, whose channels nobody needs to know.
    """

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        """The next results.

        Args:
            x: the next block; those of a signal differ in length alone.
            last: the signal ends behind this block; all that is left is given.
        """
        raise NotImplementedError

    def needs(self, output: int) -> int:
        """Last input that must be there before the outputs up to this one are given."""
        raise NotImplementedError


class Pointwise(Stream):
    """A function that makes each output of the input at the same place."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        return None if x is None else self.function(x)

    def needs(self, output: int) -> int:
        return output


class Chain(Stream):
    """One stream behind the other."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        # Flat: a chain within a chain would keep its input alive for as long as it runs.
        self.streams = [
            part
            for stream in streams
            for part in (stream.streams if isinstance(stream, Chain) else [stream])
        ]

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        for stream in self.streams:
            if x is None and not last:
                return None
            x = stream.advance(x, last)
        return x

    def needs(self, output: int) -> int:
        for stream in reversed(self.streams):
            output = stream.needs(output)
        return output


class Sum(Stream):
    """The sum of paths from one input; those with less delay wait for the others."""

    def __init__(self, paths: Sequence[Stream]) -> None:
        self.paths = paths
        self._waiting: list[Tensor | None] = [None] * len(paths)

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        results = [path.advance(x, last) for path in self.paths]
        self._waiting = [joined(a, b) for a, b in zip(self._waiting, results, strict=True)]
        waiting = [part for part in self._waiting if part is not None]
        if len(waiting) < len(self.paths):
            return None
        ready = min(part.shape[-1] for part in waiting)
        self._waiting = [rest(part, ready) for part in waiting]
        first, *others = (part[..., :ready] for part in waiting)
        return sum(others, first)

    def needs(self, output: int) -> int:
        return max(path.needs(output) for path in self.paths)


class PadEnd(Stream):
    """The signal, with zeros behind it up to a multiple of `unit`. (batch, channels, samples)."""

    def __init__(self, unit: int) -> None:
        self.unit, self._seen = unit, 0
        self._like: Tensor | None = None

    def advance(self, x: Tensor | None, last: bool = False) -> Tensor | None:
        if x is not None:
            self._seen += x.shape[-1]
            self._like = x[..., :1]
        missing = -self._seen % self.unit
        if not last or missing == 0 or self._like is None:
            return x
        return joined(x, self._like.new_zeros(*self._like.shape[:-1], missing))

    def needs(self, output: int) -> int:
        return output


def joined(first: Tensor | None, second: Tensor | None, axis: int = -1) -> Tensor | None:
    """One signal behind the other; either may be missing."""
    if first is None or second is None:
        return second if first is None else first
    return torch.cat((first, second), dim=axis)


def rest(x: Tensor, first: int, axis: int = -1) -> Tensor | None:
    """What `x` holds from `first` on: a copy, so that the rest of `x` can be freed."""
    length = x.shape[axis] - first
    return x.narrow(axis, first, length).clone() if length else None


def in_blocks(stream: Stream, x: Tensor, block: int) -> Tensor:
    """What a new stream gives for all of `x` (batch, channels, length), taken in blocks."""
    length = x.shape[-1]
    pieces = [
        stream.advance(x[..., start : start + block], last=start + block >= length)
        for start in range(0, length, block)
    ]
    return torch.cat([piece for piece in pieces if piece is not None], dim=-1)
