"""What a bottleneck makes of a batch, and what of it is worth keeping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.data.resample import fit_channels, resample
from zoo.errors import CheckpointError
from zoo.inference.latents import Latents
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck
from zoo.nets.bottlenecks.vae import VAEBottleneck


@dataclass(frozen=True)
class Encoded:
    """A batch of latents.

    Attributes:
        values: (batch, latent, frames).
        std: of the posterior whose mean `values` are, if asked for; same shape.
        tokens: (batch, quantizer, frame) of a discrete model, in the smallest integers that fit.
    """

    values: Tensor
    std: Tensor | None = None
    tokens: Tensor | None = None

    def of_one_clip(
        self, sample_rate: int, samples: int, channels: int, fingerprint: str
    ) -> Latents:
        """The only clip of the batch, on the CPU, with the facts of `Latents`."""
        return Latents(
            self.values[0].cpu(),
            sample_rate,
            samples,
            channels,
            fingerprint,
            std=None if self.std is None else self.std[0].cpu(),
            tokens=None if self.tokens is None else self.tokens[0].cpu(),
        )

    def split(self) -> list[Encoded]:
        """Each clip as a batch of one."""
        pieces = [
            [None] * len(self.values) if part is None else part.split(1)
            for part in (self.std, self.tokens)
        ]
        return [Encoded(*parts) for parts in zip(self.values.split(1), *pieces, strict=True)]


def encoded(
    model: Any, audio: Tensor, posterior: bool = False, encode: Callable[..., Any] | None = None
) -> Encoded:
    """Audio (batch, channels, samples) that fits the model to latents.

    Args:
        posterior: keep mean and standard deviation of a VAE.
        encode: called in place of `model.encode`, with its arguments.

    Raises:
        CheckpointError: for the posterior of a model that has none.
    """
    network = model.encode if encode is None else encode
    bottleneck = getattr(model, "bottleneck", None)
    if posterior:
        check_posterior(model)
        _, info = network(audio, return_info=True, sample=False)
        return Encoded(info["mean"], std=info["std"])
    if isinstance(bottleneck, DiscreteBottleneck):
        values, info = network(audio, return_info=True)
        small = _smallest(bottleneck.codebook_size)
        return Encoded(values, tokens=info[bottleneck.tokens_id].to(small))
    return Encoded(network(audio))


def fitted(audio: Tensor, sample_rate: int, model: Any) -> Tensor:
    """Audio (channels, samples) at `sample_rate` Hz as the model takes it.

    Args:
        model: what has `sample_rate`, `in_channels` and `downsampling_ratio`.

    Returns:
        (in_channels, samples), resampled, with zeros behind it up to a whole frame.
    """
    audio = fit_channels(resample(audio, sample_rate, model.sample_rate), model.in_channels)
    return torch.nn.functional.pad(audio, (0, -audio.shape[-1] % model.downsampling_ratio))


def check_posterior(model: Any) -> None:
    """Raises: CheckpointError unless the model has a posterior."""
    bottleneck = getattr(model, "bottleneck", None)
    if not isinstance(bottleneck, VAEBottleneck):
        has = "no bottleneck" if bottleneck is None else f"a {type(bottleneck).__name__}"
        raise CheckpointError(
            f"mean and standard deviation can be kept of a model with the bottleneck 'vae', but "
            f"this one has {has}; encode without the posterior"
        )


def _smallest(codebook_size: int) -> torch.dtype:
    for dtype in (torch.int16, torch.int32):
        if codebook_size - 1 <= torch.iinfo(dtype).max:
            return dtype
    return torch.int64
