"""Noise that is a function of the place in a clip, so that spans of it fit together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

_BLOCK = 4096


def batch_noise(
    seed: int, clips: Sequence[int], channels: int, samples: int, draw: int = 0
) -> Tensor:
    """The beginnings of some clips' noise: (batch, channels, samples), float32 on the CPU."""
    return torch.stack([seeded_noise(seed, clip, channels, 0, samples, draw) for clip in clips])


def clip_noise(seed: int, clip: int, like: Tensor) -> Tensor:
    """Another noise of a clip, of the shape, type and device of `like`, (1, channels, frames)."""
    return seeded_noise(seed, clip, like.shape[1], 0, like.shape[-1], draw=-1)[None].to(like)


def clip_numbers(clips: Sequence[int] | None, batch: int) -> Sequence[int]:
    """`clips`, or without them the places in the batch. Raises: ValueError for another count."""
    if clips is None:
        return range(batch)
    if len(clips) != batch:
        raise ValueError(f"{len(clips)} numbers of clips for a batch of {batch}")
    return clips


def drawn_seed(generator: torch.Generator | None, seed: int) -> int:
    """A seed from the generator, or `seed` without one.

    Raises: ValueError for a seed that is not a whole number from 0 to 2^63 - 1.
    """
    if generator is None:
        if type(seed) is not int or not 0 <= seed < 2**63:
            raise ValueError(f"seed is {seed}, but must be a whole number from 0 to 2^63 - 1")
        return seed
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def each_clip(
    function: Callable[..., Tensor], batch: Tensor, seed: int, clips: Sequence[int]
) -> Tensor:
    """A bottleneck's `function` of a batch, its noise that of seed, clip and frame alone."""
    return torch.cat(
        [
            function(item, generator=partial(clip_noise, seed, clip))
            for item, clip in zip(batch.split(1), clips, strict=True)
        ]
    )


def begun_with(noise: Tensor | None, drawn: Tensor, length: int) -> Tensor:
    """`drawn`, its first `length` samples replaced by `noise`.

    Raises: ValueError for another shape.
    """
    if noise is None:
        return drawn
    if noise.shape != (wanted := (*drawn.shape[:2], length)):
        raise ValueError(f"noise has the shape {tuple(noise.shape)}, but must have {wanted}")
    return torch.cat([noise.to(drawn), drawn[..., length:]], dim=-1)


def seeded_noise(
    seed: int, clip: int, channels: int, first: int, last: int, draw: int = 0
) -> Tensor:
    """Standard normal noise for the samples `first`…`last` - 1 of a clip.

    Depends on seed, clip, channel and sample only: any spans of a clip join without a seam, and
    more channels leave the first ones as they are.

    Args:
        seed, clip: any integers.
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
    return torch.randn(channels, _BLOCK, generator=generator, dtype=torch.float32, device="cpu")


def _hash(*numbers: int) -> int:
    # Sums of them would coincide; torch's generator takes 32 of the bits.
    key = " ".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
