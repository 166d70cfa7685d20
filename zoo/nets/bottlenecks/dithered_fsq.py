"""Finite scalar quantisation, trained with noise in place of rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.nets.bottlenecks.base import Info
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck, straight_through
from zoo.nets.bottlenecks.fsq import bases


class DitheredFSQBottleneck(DiscreteBottleneck):
    """tanh, then in eval mode the nearest of evenly spaced levels from -1 to 1.

    In training most clips get uniform noise as wide as a level instead; of the others most are
    rounded, the rest are left as they are.

    Args:
        dim: channels of a codebook.
        levels: values of a channel, for all or one number for each channel of a codebook.
        dither_inference: in eval mode, add that noise before rounding. The error is then
            independent of the signal, and tokens differ from run to run.
        noise_dropout: share of training clips that get no noise.

    Source: Parker et al. 2024, arXiv:2411.19842; stable_audio_tools/models/fsq.py.
    """

    levels: Tensor
    bases: Tensor
    like: Tensor

    def __init__(
        self,
        dim: int,
        levels: int | Sequence[int],
        num_codebooks: int = 1,
        dither_inference: bool = False,
        noise_dropout: float = 0.05,
    ) -> None:
        counts = [levels] * dim if isinstance(levels, int) else list(levels)
        super().__init__(num_codebooks, math.prod(counts), "quantizer_indices")
        self.dither_inference = dither_inference
        self.noise_dropout = noise_dropout
        self.register_buffer("levels", torch.tensor(counts), persistent=False)
        self.register_buffer("bases", bases(counts), persistent=False)
        # Has the type of the model's weights, as there are none here.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def encode_with_info(
        self,
        x: Tensor,
        return_info: bool,
        dither: bool | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out.

        Args:
            dither: in eval mode, add noise before rounding. Default: `dither_inference`.
            generator: where that noise is drawn from.

        The info holds `quantizer_indices` (batch, quantizer, frame), `codebook_usage` and
        `perplexity` (quantizer).
        """
        values = x.transpose(1, 2).unflatten(-1, (self.num_quantizers, -1))
        values = values.to(self._dtype).tanh()
        # upstream: `dither_inference` has no effect.
        if self.training:
            latents = self._noisy(values)
            tokens = self._tokens(latents)
        elif self.dither_inference if dither is None else dither:
            tokens = self._tokens(values + self._dither(values, generator))
            latents = straight_through(values, self._values(tokens))
        else:
            tokens = self._tokens(values)
            latents = straight_through(values, self._values(tokens))
        # upstream: tokens are (batch, frame, quantizer).
        info: Info = {"quantizer_indices": tokens}
        if return_info:
            info |= self._facts(tokens)
        return latents.flatten(-2).transpose(1, 2).to(self.like.dtype).contiguous(), info

    def decode_tokens(self, tokens: Tensor, **kwargs: Any) -> Tensor:
        """Tokens (batch, quantizer, frame) → (batch, latent, frames)."""
        self._check_tokens(tokens, fewest=self.num_quantizers)
        # upstream: gives (batch, frame, latent).
        latents = self._values(tokens).flatten(-2).transpose(1, 2)
        return self.decode(latents.to(self.like.dtype).contiguous(), **kwargs)

    def _noisy(self, values: Tensor) -> Tensor:
        rounded = straight_through(values, self._values(self._tokens(values)))
        unrounded, unnoised = self._draw(values), self._draw(values)
        quiet = torch.where(unrounded, values, rounded)
        return torch.where(unnoised, quiet, values + self._dither(values, None))

    def _draw(self, values: Tensor) -> Tensor:
        """True for `noise_dropout` of the clips, (batch, 1, 1, 1)."""
        return values.new_full((len(values), 1, 1, 1), self.noise_dropout).bernoulli().bool()

    def _dither(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            noise = torch.rand_like(values)
        else:
            noise = torch.rand(
                values.shape, generator=generator, device=generator.device, dtype=values.dtype
            ).to(values.device)
        return (noise - 0.5) * self._step

    @property
    def _step(self) -> Tensor:
        """The distance between the levels of each channel."""
        return 2 / (self.levels - 1).to(self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.promote_types(self.like.dtype, torch.float32)

    def _tokens(self, values: Tensor) -> Tensor:
        """(batch, frame, quantizer, level) → tokens (batch, quantizer, frame)."""
        digits = ((values.detach() + 1) / self._step).round().long()
        digits = torch.minimum(digits.clamp(min=0), self.levels - 1)
        return (digits * self.bases).sum(-1).transpose(1, 2).contiguous()

    def _values(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, quantizer, frame) → (batch, frame, quantizer, level)."""
        digits = tokens.transpose(1, 2)[..., None] // self.bases % self.levels
        return digits * self._step - 1
