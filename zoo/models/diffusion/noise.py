"""Noise that is a function of the place in a clip, so that spans of it fit together."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import torch
from torch import Tensor

_BLOCK = 4096


def batch_noise(
    seed: int, clips: Sequence[int], channels: int, samples: int, draw: int = 0
) -> Tensor:
    """The beginnings of some clips' noise: (batch, channels, samples), float32 on the CPU."""
    return torch.stack([seeded_noise(seed, clip, channels, 0, samples, draw) for clip in clips])


def clip_generator(seed: int, clip: int) -> torch.Generator:
    """A generator on the CPU for what else is drawn for a clip."""
    return torch.Generator().manual_seed(_hash(seed, clip))


def seeded_noise(
    seed: int, clip: int, channels: int, first: int, last: int, draw: int = 0
) -> Tensor:
    """Standard normal noise for the samples `first`…`last` - 1 of a clip.

    Depends on seed, clip, channel and sample only: any spans of a clip join without a seam, and
    more channels leave the first ones as they are.

    Args:
        seed, clip: signed 64-bit integers.
        first, last: absolute samples, `first` ≤ `last`.
        draw: which of the clip's noises.

    Returns:
        (channels, last - first), float32 on the CPU.
    """
    assert first <= last, f"a span from {first} to {last}"
    if first == last:
        return torch.empty(channels, 0, dtype=torch.float32)
    blocks = range(first // _BLOCK, (last - 1) // _BLOCK + 1)
    noise = torch.cat([_block(seed, clip, draw, channels, block) for block in blocks], dim=1)
    start = first - blocks.start * _BLOCK
    return noise[:, start : start + last - first].contiguous()


def _block(seed: int, clip: int, draw: int, channels: int, block: int) -> Tensor:
    generator = torch.Generator().manual_seed(_hash(seed, clip, draw, block))
    return torch.randn(channels, _BLOCK, generator=generator, dtype=torch.float32)


def _hash(*numbers: int) -> int:
    # Sums of them would coincide; torch's generator takes 32 of the bits.
    key = struct.pack(f"<{len(numbers)}q", *numbers)
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
