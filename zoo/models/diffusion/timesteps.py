"""Distributions of the times at which a diffusion network is trained.

Each is called with a number of times, at least 1, and draws them, (count,) in float32 on the CPU,
from a generator or else from torch's global one. They keep nothing between calls, so that a run
resumed with torch's generator state draws what it would have drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.quasirandom import SobolEngine

Timesteps = Callable[[int, Generator | None], Tensor]

# The smallest distance from 1 of a float32 below it.
_MARGIN = 2.0**-24


@dataclass(frozen=True)
class Uniform:
    """Uniform in 0…1, the times of one call spread evenly.

    Source: Sobol 1967; scrambling: Owen 1998.
    """

    def __call__(self, count: int, generator: Generator | None = None) -> Tensor:
        # upstream: goes on in one sequence, whose place no checkpoint holds; here each call
        # scrambles one of its own, so that times are spread within a batch, not across batches.
        seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
        engine = SobolEngine(1, scramble=True, seed=seed)
        return _inside(engine.draw(count, dtype=torch.float32)[:, 0])


@dataclass(frozen=True)
class LogitNormal:
    """The sigmoid of a normal variable.

    Source: Esser et al. 2024, arXiv:2403.03206.
    """

    mean: float = 0.0
    std: float = 1.0

    def __call__(self, count: int, generator: Generator | None = None) -> Tensor:
        return _inside(torch.sigmoid(_normal(count, self.mean, self.std, generator)))


@dataclass(frozen=True)
class LogSNR:
    """Times at which the logarithmic signal-to-noise ratio ln((1 - t) / t) is normal.

    Source: stable_audio_tools/inference/sampling.py (formula and defaults).
    """

    mean: float = -1.2
    std: float = 2.0

    def __call__(self, count: int, generator: Generator | None = None) -> Tensor:
        t = torch.sigmoid(-_normal(count, self.mean, self.std, generator))
        return t.clamp(1e-4, 1 - 1e-4)


@dataclass(frozen=True)
class DistributionShift:
    """Moves times towards 1, the noise, the more the longer the signal is.

    Source: Esser et al. 2024, arXiv:2403.03206; stable_audio_tools/inference/sampling.py.

    Args:
        base_shift, max_shift: logarithmic shift at `min_length` and at `max_length`.
        min_length, max_length: in samples of what is diffused.
        use_sine: the sine of a quarter turn afterwards.
    """

    base_shift: float = 0.5
    max_shift: float = 1.15
    max_length: int = 4096
    min_length: int = 256
    use_sine: bool = False

    def __post_init__(self) -> None:
        assert self.min_length < self.max_length, "lengths between which to interpolate"

    def __call__(self, t: Tensor, length: int) -> Tensor:
        """Times in 0…1, shifted for a signal of `length` samples; same shape out."""
        # upstream: release 0.0.19 extrapolates beyond the two lengths.
        length = min(max(length, self.min_length), self.max_length)
        share = (length - self.min_length) / (self.max_length - self.min_length)
        shift = self.base_shift + (self.max_shift - self.base_shift) * share
        t = t / (t + (1 - t) * math.exp(-shift))
        return torch.sin(t * math.pi / 2) if self.use_sine else t


@dataclass(frozen=True)
class Shifted:
    """Times of another distribution, shifted for signals of `length` samples."""

    timesteps: Timesteps
    shift: DistributionShift
    length: int

    def __call__(self, count: int, generator: Generator | None = None) -> Tensor:
        return _inside(self.shift(self.timesteps(count, generator), self.length))


def _normal(count: int, mean: float, std: float, generator: Generator | None) -> Tensor:
    return torch.randn(count, generator=generator, dtype=torch.float32, device="cpu") * std + mean


def _inside(t: Tensor) -> Tensor:
    return t.clamp(_MARGIN, 1 - _MARGIN)
