"""The residual vector quantisation of the Descript Audio Codec as a bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.nets.bottlenecks.base import Info
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck, with_noise
from zoo.nets.bottlenecks.quantised_gaussian import QuantisedGaussian
from zoo.nets.bottlenecks.residual_quantizer import ResidualVectorQuantize


class DACRVQBottleneck(DiscreteBottleneck):
    """Codes learnt by gradients, searched in few channels.

    Args:
        quantize_on_decode: latents stay unquantised until `decode`; then the quantizers get no
            losses. Tokens are given all the same.

    Source: Kumar et al. 2023, arXiv:2306.06546; stable_audio_tools/models/bottleneck.py.
    """

    def __init__(
        self,
        input_dim: int = 512,
        n_codebooks: int = 9,
        codebook_size: int = 1024,
        codebook_dim: int | Sequence[int] = 8,
        quantizer_dropout: float = 0.0,
        quantize_on_decode: bool = False,
        noise_augment_dim: int = 0,
    ) -> None:
        super().__init__(n_codebooks, codebook_size, "codes", noise_augment_dim)
        self.quantizer = ResidualVectorQuantize(
            input_dim, n_codebooks, codebook_size, codebook_dim, quantizer_dropout
        )
        self.quantize_on_decode = quantize_on_decode

    def encode_with_info(
        self, x: Tensor, return_info: bool, n_quantizers: int | None = None
    ) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out.

        Args:
            n_quantizers: in eval mode, use the first ones alone. In training, quantizer dropout
                decides.

        The info holds `codes` (batch, quantizer, frame), `pre_quantizer`, `z` and `latents` before,
        after and within the quantizers, the losses `vq/commitment_loss` and `vq/codebook_loss`,
        `codebook_usage` and `perplexity` (quantizer).
        """
        self._chosen(n_quantizers)
        info: Info = {"pre_quantizer": x}
        if self.quantize_on_decode:
            # upstream: gives no tokens, and the pair of latents and info if none was asked for.
            if return_info:
                info["codes"] = self.quantizer.tokens(x, n_quantizers)
                info |= self._facts(info["codes"])
            return x, info
        quantized = self.quantizer(x, n_quantizers)
        info |= {
            "z": quantized.values,
            "codes": quantized.tokens,
            "latents": quantized.latents,
            "vq/commitment_loss": quantized.commitment_loss / self.num_quantizers,
            "vq/codebook_loss": quantized.codebook_loss / self.num_quantizers,
        }
        if return_info:
            info |= self._facts(quantized.tokens)
        return quantized.values, info

    def decode(
        self,
        latents: Tensor,
        generator: torch.Generator | None = None,
        n_quantizers: int | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """(batch, latent, frames) → (batch, latent + noise_augment_dim, frames).

        Args:
            n_quantizers: with `quantize_on_decode` in eval mode, use the first ones alone.
        """
        self._chosen(n_quantizers)
        if self.quantize_on_decode:
            latents = self.quantizer(latents, n_quantizers).values
        return with_noise(latents, self.noise_augment_dim, generator)

    def decode_tokens(
        self, tokens: Tensor, generator: torch.Generator | None = None, **kwargs: Any
    ) -> Tensor:
        """Tokens (batch, quantizer, frame) of the first or of all quantizers → decoder input."""
        self._check_tokens(tokens, fewest=1)
        # upstream: with quantize_on_decode, quantises a second time.
        latents, _, _ = self.quantizer.from_codes(tokens)
        return with_noise(latents, self.noise_augment_dim, generator)


class DACRVQVAEBottleneck(QuantisedGaussian, DACRVQBottleneck):
    """The Gaussian latent of a variational autoencoder, quantised."""
