"""What latents look like: moments of each channel, and their principal components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DEAD_VARIANCE = 0.01


@dataclass(frozen=True, eq=False)
class LatentStatistics:
    """All tensors are float64.

    Attributes:
        mean, std: Of each channel, over clips and frames: (latent,).
        kurtosis: Fourth central moment over squared variance, 3 for a normal distribution; NaN
            for a constant channel: (latent,).
        dead: Channels whose variance is under a hundredth of the largest: (latent,), bool. In a
            VAE, whose largest is near 1, this is the usual measure of inactive units.
        variances: Of the principal components, the largest first: (latent,).
        components: Their directions, as columns: (latent, latent).

    Source: Burda et al., arXiv 1509.00519, appendix C (active units).
    """

    mean: Tensor
    std: Tensor
    kurtosis: Tensor
    dead: Tensor
    variances: Tensor
    components: Tensor

    @property
    def effective_dimensions(self) -> float:
        """(sum of variances)² / sum of squares: how many equal components would spread as much."""
        squares = float(self.variances.square().sum())
        return float(self.variances.sum()) ** 2 / squares if squares else 0.0

    def project(self, latents: Tensor, count: int) -> Tensor:
        """(latent, frames) → the first `count` components of it (count, frames)."""
        return self.components[:, :count].T @ (latents.double() - self.mean[:, None])


class LatentMoments:
    """Adds up batches of latents; keeps sums alone."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._channels = 0

    def add(self, latents: Tensor) -> None:
        """Takes (batch, latent, frames)."""
        x = latents.detach().cpu().double().movedim(1, 0).flatten(1)
        self._channels = len(x)
        parts = [x.new_tensor([x.shape[1]]), x.sum(1), (x**3).sum(1), (x**4).sum(1)]
        sums = torch.cat([*parts, (x @ x.T).flatten()])
        self._sums = sums if self._sums is None else self._sums + sums

    def statistics(self, reduced: Callable[[Tensor], Tensor]) -> LatentStatistics | None:
        """`reduced` sums a tensor over all processes. None where a latent is not finite."""
        assert self._sums is not None
        sums, channels = reduced(self._sums), self._channels
        if not sums.isfinite().all():
            return None
        count, first, third, fourth, second = sums.split([1, *[channels] * 3, channels**2])
        mean, third, fourth = first / count, third / count, fourth / count
        second = second.reshape(channels, channels) / count
        covariance = second - mean.outer(mean)
        variance = covariance.diagonal().clamp(min=0)
        # Differences of large sums: what is left of a constant is rounding.
        constant = variance <= 1e-12 * second.diagonal()
        variance = variance.masked_fill(constant, 0)
        moment = fourth - 4 * mean * third + 6 * mean**2 * second.diagonal() - 3 * mean**4
        values, vectors = torch.linalg.eigh(covariance)
        return LatentStatistics(
            mean=mean,
            std=variance.sqrt(),
            kurtosis=moment / variance.square().masked_fill(constant, torch.nan),
            dead=constant | (variance < DEAD_VARIANCE * variance.max()),
            variances=values.flip(0).clamp(min=0),
            components=vectors.flip(1),
        )
