"""Clips of similar length side by side, each with the result that it has alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def side_by_side(
    network: Callable[[Tensor], Tensor],
    clips: Sequence[Tensor],
    context: tuple[int, int],
    units: tuple[int, int],
) -> list[Tensor]:
    """`network` of each clip, computed in two batches.

    Zeros behind a short clip are not what the network makes up behind its end, layer by layer. So
    the last frames of all clips, which see the end, are computed once more by themselves.

    Args:
        network: (batch, channels, length) → (batch, other channels, other length).
        clips: (channels, length) of whole frames each, not fewer than both of `context` together.
        context: frames before and after a frame that the network sees for it.
        units: input and output positions in a frame.

    Returns:
        (other channels, other length) for each clip.
    """
    before, after = context
    unit_in, unit_out = units
    lengths = [clip.shape[-1] for clip in clips]
    whole = network(
        torch.stack([F.pad(clip, (0, max(lengths) - clip.shape[-1])) for clip in clips])
    )
    ends = [length // unit_in - after for length in lengths]
    bodies = [result[..., : end * unit_out] for result, end in zip(whole, ends, strict=True)]
    if after == 0:
        return bodies
    assert min(ends) >= before
    last = network(torch.stack([clip[..., -(before + after) * unit_in :] for clip in clips]))
    tails = last[..., before * unit_out :]
    return [torch.cat(pair, dim=-1) for pair in zip(bodies, tails, strict=True)]
