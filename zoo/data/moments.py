"""Mean and spread of latents per channel, gathered in parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Of `frames` frames, in float64: sums of squares about the mean, so that nothing cancels.

    Attributes:
        frames: how many.
        mean: (latent).
        squares: (latent), sum of the squared distances from the mean.
        noise: (latent), sum of the variances of posteriors; 0 without any.

    Source: Chan, Golub & LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances".
    """

    frames: int
    mean: Vector
    squares: Vector
    noise: Vector

    @classmethod
    def of(cls, values: NDArray[Any], std: NDArray[Any] | None = None) -> Moments:
        """Of one clip (latent, frames), with the `std` of its posterior."""
        wide = values.astype(np.float64)
        mean = wide.mean(1)
        squares = np.square(wide - mean[:, None]).sum(1)
        noise = np.zeros_like(mean) if std is None else np.square(std.astype(np.float64)).sum(1)
        return cls(values.shape[1], mean, squares, noise)

    @classmethod
    def merged(cls, parts: Iterable[Moments]) -> Moments | None:
        """Of all parts together; None of none."""
        found = list(parts)
        return reduce(_merged, found) if found else None

    @property
    def std(self) -> Vector:
        """(latent), of the values themselves: of the means, for posteriors."""
        return np.sqrt(self.squares / self.frames)

    @property
    def std_of_draws(self) -> Vector:
        """(latent), of draws from the posteriors: their means' variance plus their own."""
        return np.sqrt((self.squares + self.noise) / self.frames)

    def as_dict(self) -> dict[str, Any]:
        vectors = {key: getattr(self, key).tolist() for key in ("mean", "squares", "noise")}
        return {"frames": self.frames} | vectors

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Moments:
        vectors = (np.asarray(content[key], np.float64) for key in ("mean", "squares", "noise"))
        return cls(int(content["frames"]), *vectors)


def _merged(one: Moments, other: Moments) -> Moments:
    frames = one.frames + other.frames
    apart = other.mean - one.mean
    return Moments(
        frames,
        one.mean + apart * (other.frames / frames),
        one.squares + other.squares + np.square(apart) * (one.frames * other.frames / frames),
        one.noise + other.noise,
    )


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation (latent) that latents (…, latent, frames) are normalised by."""

    mean: Vector
    std: Vector

    def normalize(self, latents: Any) -> Any:
        """Arrays or tensors to mean 0 and standard deviation 1; a constant channel to 0."""
        mean, std = self._like(latents)
        return (latents - mean) / std

    def restore(self, latents: Any) -> Any:
        """What `normalize` was given: the latents that a model can decode."""
        mean, std = self._like(latents)
        return latents * std + mean

    def _like(self, latents: Any) -> tuple[Any, Any]:
        std = np.where(self.std > 0, self.std, 1)
        mean, std = self.mean[:, None].astype(np.float32), std[:, None].astype(np.float32)
        if isinstance(latents, np.ndarray):
            return mean, std
        return latents.new_tensor(mean), latents.new_tensor(std)
