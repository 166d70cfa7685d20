"""A long signal or a large batch in pieces, with the same result as in one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_chunks(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    step_in: int,
    step_out: int,
    chunk: int,
    context: tuple[int, int],
    mirrored: int = 0,
) -> Tensor:
    """`function(x)` over windows of `chunk` units and their context, joined without seams.

    Args:
        function: (batch, channels, length) → (batch, channels, length · step_out / step_in).
        x: (batch, channels, length), the length a multiple of `step_in`.
        step_in: input positions in one unit (a latent frame).
        step_out: output positions in one unit.
        chunk: units in one window, at least 1.
        context: units that a window's first and last output see beyond its edges.
        mirrored: units that an output sees towards the middle of the signal, once it sees one of
            its ends.
    """
    if chunk < 1:
        raise ValueError(f"chunk_size is {chunk}, but must be at least 1")
    units = x.shape[-1] // step_in
    pieces: list[Tensor] = []
    for start in range(0, units, chunk):
        stop = min(start + chunk, units)
        left, right = max(0, start - context[0]), min(units, stop + context[1])
        if mirrored and left == 0:
            right = min(units, max(right, stop + mirrored))
        if mirrored and right == units:
            left = max(0, min(left, start - mirrored))
        window = function(x[..., left * step_in : right * step_in])
        pieces.append(window[..., (start - left) * step_out : (stop - left) * step_out])
    return torch.cat(pieces, dim=-1)


def one_by_one(function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """`function` of each item of a batch, joined: less memory."""
    return torch.cat([function(item) for item in batch.split(1)])


def finite(context: Callable[[], tuple[int, int]]) -> tuple[int, int] | None:
    """What a network sees before and after; None for one that sees everything."""
    try:
        return context()
    except NotImplementedError:
        return None
