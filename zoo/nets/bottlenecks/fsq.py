"""Finite scalar quantisation: each channel is rounded to a few values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.nets.bottlenecks.base import Info
from zoo.nets.bottlenecks.discrete import DiscreteBottleneck, full_precision, straight_through


class FSQBottleneck(DiscreteBottleneck):
    """A token is the digits of a codebook's channels, each in base of its levels.

    Args:
        dim: channels; projected to as many as `levels` times `num_codebooks`, if they differ.
        keep_num_codebooks_dim, scale: no effect; vector-quantize-pytorch has them.
        **quantizer: further arguments of vector-quantize-pytorch's `FSQ`.

    Source: Mentzer et al. 2023, arXiv:2309.15505; vector-quantize-pytorch;
    stable_audio_tools/models/bottleneck.py.
    """

    bases: Tensor
    like: Tensor

    def __init__(
        self,
        levels: Sequence[int],
        dim: int | None = None,
        num_codebooks: int = 1,
        noise_augment_dim: int = 0,
        force_quantization_f32: bool = True,
        keep_num_codebooks_dim: bool | None = None,
        scale: float | None = None,
        **quantizer: Any,
    ) -> None:
        super().__init__(num_codebooks, math.prod(levels), "quantizer_indices", noise_augment_dim)
        # Imported here as it takes longer than the rest of zoo.
        from vector_quantize_pytorch import FSQ

        # Without indices of its own: they are wrong in codebooks of more than 2^24 codes, and it
        # would write down every code.
        self.quantizer: Any = FSQ(
            levels=list(levels),
            dim=dim,
            num_codebooks=num_codebooks,
            return_indices=False,
            **quantizer,
        )
        self.force_quantization_f32 = force_quantization_f32
        self.register_buffer("bases", bases(levels), persistent=False)
        # Has the type of the model's weights, as there may be none here.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def encode_with_info(self, x: Tensor, return_info: bool) -> tuple[Tensor, Info]:
        """(batch, latent, frames), same shape out.

        The info holds `quantizer_indices` (batch, quantizer, frame), `codebook_usage` and
        `perplexity` (quantizer).
        """
        fsq = self.quantizer
        frames = fsq.project_in(x.transpose(1, 2).to(self.like.dtype))
        values = frames.unflatten(-1, (self.num_quantizers, -1))
        if self.force_quantization_f32:
            with full_precision(x):
                codes = self._quantise(values.to(self._dtype))
        else:
            codes = self._quantise(values)
        digits = fsq._scale_and_shift(codes.detach()).round().long()
        # upstream: fails on the tokens of a single codebook.
        tokens = (digits * self.bases).sum(-1).transpose(1, 2).contiguous()
        # The codes are sums of rounded parts; those of the tokens are exact.
        codes = straight_through(codes, self._codes(tokens))
        latents = self._latents(fsq.maybe_apply_noise(codes))
        info: Info = {"quantizer_indices": tokens}
        if return_info:
            info |= self._facts(tokens)
        return latents, info

    def decode_tokens(self, tokens: Tensor, **kwargs: Any) -> Tensor:
        """Tokens (batch, quantizer, frame) → (batch, decoder channels, frames)."""
        self._check_tokens(tokens, fewest=self.num_quantizers)
        # upstream: mistakes the order of the axes, of its own tokens and of the latents.
        return self.decode(self._latents(self._codes(tokens)), **kwargs)

    def _quantise(self, values: Tensor) -> Tensor:
        if self.quantizer.orthogonal_rotation:
            values = values @ self.quantizer.orthogonal_rot.to(values.dtype)
        return self.quantizer.quantize(values)

    def _codes(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, quantizer, frame) → (batch, frame, quantizer, level)."""
        fsq = self.quantizer
        digits = tokens.transpose(1, 2)[..., None] // self.bases % fsq._levels
        return fsq._scale_and_shift_inverse(digits.to(self._dtype))

    def _latents(self, codes: Tensor) -> Tensor:
        """(batch, frame, quantizer, level) → (batch, latent, frames)."""
        fsq = self.quantizer
        if fsq.orthogonal_rotation:
            codes = codes @ fsq.orthogonal_rot.t().to(codes.dtype)
        latents = fsq.project_out(codes.flatten(-2).to(self.like.dtype))
        return latents.transpose(1, 2).contiguous()

    @property
    def _dtype(self) -> torch.dtype:
        return torch.promote_types(self.like.dtype, torch.float32)


def bases(levels: Sequence[int]) -> Tensor:
    """What a step of each channel adds to the token."""
    return torch.tensor([math.prod(levels[:index]) for index in range(len(levels))])
