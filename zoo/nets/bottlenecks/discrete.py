"""What bottlenecks with tokens share."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor
from torch.amp.autocast_mode import is_autocast_available

from zoo.nets.bottlenecks.base import Bottleneck, Info, noise_like


class DiscreteBottleneck(Bottleneck):
    """Latents that can be written as integers.

    `encode(…, return_info=True)` gives tokens (batch, quantizer, frame) as `info[tokens_id]`. In
    eval mode `decode_tokens` makes of them, bit for bit, what `decode` makes of the latents.

    Attributes:
        tokens_id: name of the tokens in the info.
        num_quantizers: tokens per frame.
        codebook_size: values that a token can have.
        noise_augment_dim: channels of noise that the decoder receives besides the latents.
    """

    is_discrete = True

    def __init__(
        self, num_quantizers: int, codebook_size: int, tokens_id: str, noise_augment_dim: int = 0
    ) -> None:
        super().__init__()
        self.num_quantizers = num_quantizers
        self.codebook_size = codebook_size
        self.tokens_id = tokens_id
        self.noise_augment_dim = noise_augment_dim

    def decode(
        self, latents: Tensor, generator: torch.Generator | None = None, **kwargs: Any
    ) -> Tensor:
        """(batch, latent, frames) → (batch, latent + noise_augment_dim, frames)."""
        return with_noise(latents, self.noise_augment_dim, generator)

    def _facts(self, tokens: Tensor) -> Info:
        """Facts about tokens (batch, quantizer, frame), one number for each quantizer.

        `codebook_usage` is the share of codes that occur. `perplexity` is e to the entropy of the
        tokens: as many equally frequent codes would be as hard to guess. Tokens below 0, left out
        by quantizer dropout, don't count.
        """
        # Runs of equal tokens, as a codebook may be too large for a histogram.
        tokens = tokens.transpose(0, 1).flatten(1).sort(-1).values
        counted = tokens >= 0
        first = torch.ones_like(counted)
        first[:, 1:] = tokens.diff(dim=-1) != 0
        counts = torch.zeros_like(tokens, dtype=torch.float32)
        counts.scatter_add_(1, first.long().cumsum(-1) - 1, counted.float())
        shares = counts / counted.sum(-1, keepdim=True).clamp(min=1)
        return {
            "codebook_usage": (first & counted).sum(-1) / self.codebook_size,
            "perplexity": (-torch.xlogy(shares, shares).sum(-1)).exp(),
        }

    def _chosen(self, n_quantizers: int | None) -> int:
        if n_quantizers is None:
            return self.num_quantizers
        if not 1 <= n_quantizers <= self.num_quantizers:
            raise ValueError(
                f"n_quantizers is {n_quantizers}, but must be 1 to {self.num_quantizers}"
            )
        return n_quantizers

    def _check_tokens(self, tokens: Tensor, fewest: int) -> None:
        """Raises: ValueError for another shape than (batch, fewest … num_quantizers, frame)."""
        if tokens.ndim != 3 or not fewest <= tokens.shape[1] <= self.num_quantizers:
            count = self.num_quantizers
            allowed = str(count) if fewest == count else f"{fewest} to {count}"
            raise ValueError(
                f"tokens have shape {tuple(tokens.shape)}, but must be "
                f"(batch, quantizer, frame) with {allowed} quantizers"
            )


def with_noise(latents: Tensor, channels: int, generator: torch.Generator | None) -> Tensor:
    """Latents (batch, latent, frames) with as many more channels of Gaussian noise."""
    if channels == 0:
        return latents
    like = latents.new_empty(latents.shape[0], channels, latents.shape[-1])
    return torch.cat([latents, noise_like(like, generator)], dim=1)


def straight_through(x: Tensor, quantised: Tensor) -> Tensor:
    """`quantised`, bit for bit, with the gradients of `x`. Source: arXiv:1308.3432."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return quantised
    # In this order, the sum lies in memory as `x` does: noise like it is drawn in the same order.
    return (x - x.detach()) + quantised.detach()


def full_precision(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """No autocast on the device of `x`: in half precision another code would be the nearest."""
    kind = x.device.type
    if is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return contextlib.nullcontext()
