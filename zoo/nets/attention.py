"""Attention over time: of all frames, or of the frames within a window."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.rotary import RotaryEmbedding

Window = tuple[int, int]

_FEWEST_QUERIES = 64


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: Window | None = None,
    rotary: RotaryEmbedding | None = None,
) -> Tensor:
    """Scaled dot-product attention. All are (batch, heads, frames, width).

    With a window memory and time grow with `frames`, not with its square: blocks of queries
    against the keys that they can reach.

    Args:
        window: frame i sees the frames i - window[0] … i + window[1]; -1 is without end, None
            both ways.
        rotary: rotates queries and keys by their positions.
    """
    frames = q.shape[-2]
    left, right = (
        min(side, frames - 1) if side >= 0 else frames - 1 for side in window or (-1, -1)
    )
    if left == right == frames - 1:
        if rotary is not None:
            q, k = rotary(q), rotary(k)
        return F.scaled_dot_product_attention(q, k, v)
    return _attend_in_blocks(q, k, v, left, right, rotary)


def _attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, left: int, right: int, rotary: RotaryEmbedding | None
) -> Tensor:
    batch, heads, frames, _ = q.shape
    size = min(frames, max(left + 1 + right, _FEWEST_QUERIES))
    blocks = -(-frames // size)
    missing = blocks * size - frames
    reach = left + size + right

    # (blocks, batch · heads, frames of a block, width): one mask for a block serves all heads.
    q = F.pad(q, (0, 0, 0, missing)).unflatten(2, (blocks, size))
    q = q.permute(2, 0, 1, 3, 4).flatten(1, 2)
    k, v = (
        F.pad(x, (0, 0, left, right + missing))
        .unfold(2, reach, size)
        .permute(2, 0, 1, 4, 3)
        .flatten(1, 2)
        for x in (k, v)
    )
    if rotary is not None:
        # Positions within the block: small angles are exact however long the signal is.
        q, k = rotary(q, left), rotary(k)
    mask = _mask(frames, blocks, size, left, right, q.device)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return y.unflatten(1, (batch, heads)).permute(1, 2, 0, 3, 4).flatten(2, 3)[:, :, :frames]


def _mask(
    frames: int, blocks: int, size: int, left: int, right: int, device: torch.device
) -> Tensor:
    """Which of its keys each query sees. (blocks, 1, size, left + size + right)"""
    query = torch.arange(size, device=device)[:, None]
    key = torch.arange(left + size + right, device=device)
    near = (key >= query) & (key <= query + left + right)
    frame = torch.arange(blocks, device=device)[:, None] * size + key - left
    mask = near & ((frame >= 0) & (frame < frames))[:, None]
    # A query behind the end is cut off later; without any key its gradient would be NaN.
    mask[-1, size - (blocks * size - frames) :] = True
    return mask[:, None]


class Attention(nn.Module):
    """Self-attention. (batch, frames, channels), same shape out.

    Source: Vaswani et al. 2017, arXiv:1706.03762; stable_audio_tools/models/transformer.py
    (state-dict keys).

    Args:
        dim: channels.
        dim_heads: channels of a head, a divisor of `dim`.
        window: as in `attend`.
        qk_norm: "ln" normalises the queries and keys of each head.
        zero_init_output: start with an output of zero.
    """

    def __init__(
        self,
        dim: int,
        dim_heads: int,
        *,
        window: Window | None = None,
        qk_norm: Literal["none", "ln"] = "none",
        zero_init_output: bool = True,
    ) -> None:
        super().__init__()
        assert dim % dim_heads == 0
        self.dim_heads, self.window = dim_heads, window
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        if zero_init_output:
            nn.init.zeros_(self.to_out.weight)
        normalised = qk_norm == "ln"
        self.q_norm = nn.LayerNorm(dim_heads, eps=1e-6) if normalised else nn.Identity()
        self.k_norm = nn.LayerNorm(dim_heads, eps=1e-6) if normalised else nn.Identity()

    def forward(self, x: Tensor, rotary: RotaryEmbedding | None = None) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (-1, self.dim_heads)).transpose(1, 2)
            for part in self.to_qkv(x).chunk(3, dim=-1)
        )
        # Under autocast the norms give float32.
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        y = attend(q, k, v, self.window, rotary)
        return self.to_out(y.transpose(1, 2).flatten(2))

    @property
    def reach(self) -> Window:
        """Frames before and after a frame that it sees. Raises: NotImplementedError if all."""
        if self.window is None or min(self.window) < 0:
            raise NotImplementedError(
                "attention over all frames depends on the whole signal; give it a window"
            )
        return self.window
