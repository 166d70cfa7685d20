"""One prediction of a long signal from overlapping windows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """Cores that tile a signal, each with context around it. All numbers count frames.

    Attributes:
        core: length of a core.
        context: what a window has before and after its core.
        exact: the context is all that a core's output depends on, so windows are cut at their
            cores; otherwise they fade into each other over their contexts.
    """

    core: int
    context: tuple[int, int]
    exact: bool

    @classmethod
    def planned(
        cls, chunk: int, overlap: int | None, reach: tuple[int, int] | None, unit: int
    ) -> Self:
        """Windows in multiples of `unit`.

        Args:
            chunk: at least so many frames in a core.
            overlap: at least so many frames shared by neighbouring windows; None is what the reach
                needs, or half a chunk.
            reach: frames before and after a core that its output depends on; None for all.
            unit: what the network takes.

        Raises:
            ValueError: for an empty chunk.
        """
        if chunk < 1:
            raise ValueError(f"chunk_size is {chunk}, but must be at least 1")
        if overlap is None:
            overlap = 0 if reach else chunk // 2
        before, after = (_whole(max(side, -(-overlap // 2)), unit) for side in reach or (0, 0))
        return cls(_whole(chunk, unit), (before, after), exact=reach is not None)

    def predict(self, predict: Callable[[int, int], Tensor], frames: int, length: int) -> Tensor:
        """The prediction of a whole signal.

        Args:
            predict: (first, last) → prediction of the frames first … last - 1,
                (batch, channels, (last - first) · length).
            frames: of the signal.
            length: samples in a frame.

        Returns:
            (batch, channels, frames · length).
        """
        total: Tensor | None = None
        weights: Tensor | None = None
        for start in range(0, frames, self.core):
            stop = min(start + self.core, frames)
            first, last = max(0, start - self.context[0]), min(frames, stop + self.context[1])
            part = predict(first, last)
            if total is None or weights is None:
                total = part.new_zeros(*part.shape[:2], frames * length)
                weights = part.new_zeros(frames * length)
            ends = (first == 0, last == frames)
            weight = self._weight((start - first) * length, (stop - first) * length, part, ends)
            total[..., first * length : last * length] += part * weight
            weights[first * length : last * length] += weight
        assert total is not None and weights is not None
        return total / weights

    def _weight(self, start: int, stop: int, part: Tensor, ends: tuple[bool, bool]) -> Tensor:
        """Of each sample of a window whose core is start … stop - 1.

        It falls to nothing at the window's edges, but not at the ends of the signal.
        """
        position = torch.arange(part.shape[-1], device=part.device) + 0.5
        if self.exact:
            return ((position > start) & (position < stop)).to(part)
        weight = torch.ones_like(position)
        if not ends[0]:
            weight = (position / (2 * start)).clamp(max=1)
        if not ends[1]:
            after = part.shape[-1] - stop
            weight = weight.minimum((part.shape[-1] - position) / (2 * after))
        return weight.to(part)


def _whole(frames: int, unit: int) -> int:
    return frames + -frames % unit
