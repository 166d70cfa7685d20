"""What every bottleneck offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Info = dict[str, Any]
# Gives noise like a tensor.
Draw = Callable[[Tensor], Tensor]


class Bottleneck(nn.Module):
    """Turns the encoder's output into latents, and latents into the decoder's input."""

    is_discrete = False

    def encode(self, x: Tensor, return_info: bool = False, **kwargs: Any) -> Any:
        """(batch, encoder channels, frames) → latents (batch, latent, frames).

        Returns:
            The latents, or with `return_info` a pair of latents and a dict of losses and facts.
        """
        latents, info = self.encode_with_info(x, return_info, **kwargs)
        return (latents, info) if return_info else latents

    def encode_with_info(self, x: Tensor, return_info: bool, **kwargs: Any) -> tuple[Tensor, Info]:
        """The pair; losses are computed only if `return_info` is set."""
        raise NotImplementedError

    def decode(self, latents: Tensor, **kwargs: Any) -> Tensor:
        """(batch, latent, frames) → (batch, decoder channels, frames)."""
        return latents

    def decode_tokens(self, tokens: Tensor, **kwargs: Any) -> Tensor:
        """Tokens (batch, quantizer, frame) → (batch, decoder channels, frames)."""
        raise TypeError(f"{type(self).__name__} has no tokens")


def noise_like(x: Tensor, generator: torch.Generator | Draw | None) -> Tensor:
    """Gaussian noise of the shape, type and device of `x`; a function gives its own."""
    if generator is None:
        return torch.randn_like(x)
    if not isinstance(generator, torch.Generator):
        return generator(x)
    noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
    return noise.to(x.device)
