"""What the quantised latents of variational autoencoders share."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.nets.bottlenecks.base import Info
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck
from zoo.nets.bottlenecks.vae import posterior


class QuantisedGaussian(DiscreteBottleneck):
    """The Gaussian latent of a variational autoencoder, before the quantizers of the next class.

    Attributes:
        sample_in_eval: draw latents in eval mode too, as stable-audio-tools does.

    Source: stable_audio_tools/models/bottleneck.py.
    """

    sample_in_eval = False

    def encode_with_info(
        self,
        x: Tensor,
        return_info: bool,
        n_quantizers: int | None = None,
        sample: bool | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Info]:
        """(batch, 2 · latent, frames) → (batch, latent, frames); arguments of both bottlenecks."""
        # upstream: draws in eval mode as well, so that its tokens can't be reproduced.
        if sample is None:
            sample = self.training or self.sample_in_eval
        drawn, facts = posterior(x, sample, return_info, generator)
        latents, info = super().encode_with_info(drawn, return_info, n_quantizers=n_quantizers)
        return latents, facts | info
