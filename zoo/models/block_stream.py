"""A network that takes a signal in blocks, as a user meets it."""

from __future__ import annotations

from bisect import bisect_left

import torch
from torch import Tensor

from zoo.nets.streams.stream import Stream

# So far from the start that nothing depends on it.
_LATER = 2**20


class BlockStream:
    """Takes blocks (batch, channels, any length); joined, the results are the offline result.

    No gradients are kept.

    Args:
        stream: a new one.
        channels: of its results.
        delay: in audio samples; see `encoding_delay` and `decoding_delay`.
    """

    def __init__(self, stream: Stream, channels: int, delay: int) -> None:
        self._stream, self._channels = stream, channels
        self._like: Tensor | None = None
        self._ended = False
        self.delay = delay

    def push(self, x: Tensor) -> Tensor:
        """All that the blocks up to this one determine; of length 0 where that is nothing new.

        Raises: ValueError after `flush`, or for another batch or other channels than before.
        """
        self._check_open()
        if x.ndim != 3 or (self._like is not None and x.shape[:2] != self._like.shape[:2]):
            before = "any" if self._like is None else tuple(self._like.shape[:2])
            raise ValueError(
                f"the block has the shape {tuple(x.shape)}, but must have "
                f"(batch, channels, length), the first two as before: {before}"
            )
        self._like = x[..., :0]
        return self._advance(x, last=False)

    def flush(self) -> Tensor:
        """What was still waiting for later input; then the stream is over.

        Raises: ValueError if it is over already, or nothing was pushed.
        """
        self._check_open()
        if self._like is None:
            raise ValueError("nothing was pushed: there is nothing to flush")
        self._ended = True
        return self._advance(self._like, last=True)

    @torch.no_grad()
    def _advance(self, x: Tensor, last: bool) -> Tensor:
        y = self._stream.advance(x if x.shape[-1] else None, last)
        return x.new_zeros(len(x), self._channels, 0) if y is None else y

    def _check_open(self) -> None:
        if self._ended:
            raise ValueError("the stream was flushed: make a new one for the next signal")


def encoding_delay(stream: Stream, ratio: int) -> int:
    """How many samples a latent frame waits for behind the last of its own `ratio` samples."""
    waits = (stream.needs(frame) + 1 - (frame + 1) * ratio for frame in (0, _LATER))
    return max(0, *waits)


def decoding_delay(stream: Stream, ratio: int) -> int:
    """How many samples of n frames, that is of n · `ratio`, are missing at most behind them."""
    samples = range((_LATER + 1) * ratio)
    first = bisect_left(samples, _LATER, key=stream.needs)
    return max(0, _LATER * ratio - first, stream.needs(0) * ratio)
