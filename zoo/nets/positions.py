"""Positions as vectors that are added to the frames.

Source: stable_audio_tools/models/transformer.py (state-dict keys).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SinusoidalPositions(nn.Module):
    """Sines and cosines of each position, with one trained gain. (…, frames, dim) → (frames, dim).

    Source: Vaswani et al. 2017, arXiv:1706.03762.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        assert dim % 2 == 0
        self.scale = nn.Parameter(torch.full((1,), dim**-0.5))
        powers = torch.arange(dim // 2) / (dim // 2)
        self.register_buffer("inv_freq", 1 / 10000**powers, persistent=False)
        self.inv_freq: Tensor

    def forward(self, x: Tensor) -> Tensor:
        # Half precision can't tell late positions apart.
        kind = torch.promote_types(self.inv_freq.dtype, torch.float32)
        positions = torch.arange(x.shape[-2], device=x.device, dtype=kind)
        angles = positions[:, None] * self.inv_freq.to(kind)
        return torch.cat((angles.sin(), angles.cos()), dim=-1).to(x.dtype) * self.scale


class TrainedPositions(nn.Module):
    """A trained vector for each position. (…, frames, dim) → (frames, dim).

    Args:
        dim: channels.
        longest: frames at most.
    """

    def __init__(self, dim: int, longest: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(longest, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Raises: ValueError if there are more frames than positions."""
        frames, longest = x.shape[-2], self.emb.num_embeddings
        if frames > longest:
            raise ValueError(
                f"{frames} frames, but trained positions for {longest}: give shorter audio, or a "
                "larger abs_pos_emb_max_length"
            )
        return self.emb.weight[:frames] * self.emb.embedding_dim**-0.5
