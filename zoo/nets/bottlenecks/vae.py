"""The Gaussian latent of a variational autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.nets.bottlenecks.base import Bottleneck, Info, noise_like
from zoo.nets.precision import widened

_LEAST_STD = 1e-4


class VAEBottleneck(Bottleneck):
    """The encoder's channels are a mean and a scale; std = softplus(scale) + 1e-4.

    Attributes:
        sample_in_eval: draw latents in eval mode too, as stable-audio-tools does.

    Source: Kingma & Welling 2014, arXiv:1312.6114; stable_audio_tools/models/bottleneck.py.
    """

    sample_in_eval = False

    def encode_with_info(
        self,
        x: Tensor,
        return_info: bool,
        sample: bool | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Info]:
        """(batch, 2 · latent, frames) → latents (batch, latent, frames), info.

        Args:
            sample: draw from the posterior, or give its mean. Default: draw in training only.
            generator: where the noise is drawn from.

        The info holds `mean` and `std` (batch, latent, frames) and `kl`, the divergence from the
        unit Gaussian times two: summed over channels, averaged over batch and frames.
        """
        # upstream: draws in eval mode as well, so that its latents can't be reproduced.
        if sample is None:
            sample = self.training or self.sample_in_eval
        return posterior(x, sample, return_info, generator)


def posterior(
    x: Tensor, sample: bool, return_info: bool, generator: torch.Generator | None = None
) -> tuple[Tensor, Info]:
    """(batch, 2 · latent, frames) → mean or, with `sample`, a draw (batch, latent, frames); info.

    The info, empty unless `return_info`, is that of `VAEBottleneck.encode_with_info`.
    """
    mean, scale = x.chunk(2, dim=1)
    latents, info = mean, {}
    if sample or return_info:
        std = F.softplus(widened(scale)) + _LEAST_STD
        if sample:
            latents = (widened(mean) + std * noise_like(std, generator)).to(x.dtype)
        if return_info:
            squares = widened(mean).square() + std.square() - 2 * std.log() - 1
            info = {"kl": squares.sum(1).mean(), "mean": mean, "std": std.to(x.dtype)}
    return latents, info
