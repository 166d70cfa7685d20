"""A long signal or a large batch in pieces, with the same result as in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from zoo.nets.streams.stream import Stream, in_blocks

T = TypeVar("T")


def in_chunks(
    whole: Callable[[Tensor], Tensor],
    build: Callable[[], Stream],
    x: Tensor,
    *,
    unit: int,
    chunk_size: int,
) -> Tensor:
    """`whole(x)`, computed from `chunk_size` units of `x` at a time where that can be done.

    Args:
        whole: a network, (batch, channels, length) → (batch, channels, other length).
        build: gives a new stream of it; raises NotImplementedError where there is none.
        unit: input positions in one unit (a latent frame).

    Raises:
        ValueError: for a chunk of no units.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}, but must be at least 1")
    stream = finite(build) if x.shape[-1] > chunk_size * unit else None
    return whole(x) if stream is None else in_blocks(stream, x, chunk_size * unit)


def one_by_one(function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """`function` of each item of a batch, joined: less memory."""
    return torch.cat([function(item) for item in batch.split(1)])


def finite(compute: Callable[[], T]) -> T | None:
    """What `compute` gives; None for a network that can only see everything at once."""
    try:
        return compute()
    except NotImplementedError:
        return None
