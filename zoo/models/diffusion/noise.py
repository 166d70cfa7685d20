"""Noise that is a function of the place in a clip, so that spans of it fit together."""

from __future__ import annotations

import hashlib
import struct

import torch
from torch import Tensor

_BLOCK = 4096


def seeded_noise(seed: int, clip: int, channels: int, first: int, last: int) -> Tensor:
    """Standard normal noise for the samples `first`…`last` - 1 of a clip.

    Depends on seed, clip, channel and sample only: any spans of a clip join without a seam, and
    more channels leave the first ones as they are.

    Args:
        seed, clip: signed 64-bit integers.
        first, last: absolute samples, `first` ≤ `last`.

    Returns:
        (channels, last - first), float32 on the CPU.
    """
    assert first <= last, f"a span from {first} to {last}"
    if first == last:
        return torch.empty(channels, 0, dtype=torch.float32)
    blocks = range(first // _BLOCK, (last - 1) // _BLOCK + 1)
    noise = torch.cat([_block(seed, clip, channels, block) for block in blocks], dim=1)
    start = first - blocks.start * _BLOCK
    return noise[:, start : start + last - first].contiguous()


def _block(seed: int, clip: int, channels: int, block: int) -> Tensor:
    # A hash, since sums of the three would coincide; torch's generator takes 32 of its bits.
    key = struct.pack("<3q", seed, clip, block)
    digest = hashlib.blake2b(key, digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
    return torch.randn(channels, _BLOCK, generator=generator, dtype=torch.float32)
