"""Transformers between the convolutions of a U-Net, with attention to an embedding if wanted.

Source: Schneider et al. 2023 (Moûsai), arXiv:2301.11757; stable_audio_tools/models/adp.py
(architecture and state-dict keys).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.diffusion.group_norm import GroupNorm


@dataclass(frozen=True)
class Heads:
    """The shape of all transformers of a U-Net.

    Args:
        heads: attention heads; as many as fit if `None`.
        features: channels of a head; the width over the heads if `None`.
        multiplier: width of the feed-forward networks, in multiples of the block's.
        embedding_features: width of the embedding for cross attention; `None` or 0 for none.
    """

    heads: int | None
    features: int | None
    multiplier: int | None
    embedding_features: int | None

    def of_width(self, channels: int) -> tuple[int, int]:
        """Heads, and channels of each, for a transformer of `channels`."""
        heads, features = self.heads, self.features
        if heads is None:
            assert features is not None
            return channels // features, features
        return heads, channels // heads if features is None else features


class _MultiHead(nn.Module):
    """(batch, n, heads · d) attends to (batch, m, heads · d) twice → (batch, n, features)."""

    def __init__(self, features: int, heads: int, head_features: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_out = nn.Linear(heads * head_features, features)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Attention(nn.Module):
    """Attention to itself or to a context. (batch, n, features), same shape out.

    Args:
        context_features: width of the context; `features` for attention to itself.
    """

    def __init__(
        self, features: int, heads: int, head_features: int, context_features: int
    ) -> None:
        super().__init__()
        mid = heads * head_features
        self.norm = nn.LayerNorm(features)
        self.norm_context = nn.LayerNorm(context_features)
        self.to_q = nn.Linear(features, mid, bias=False)
        self.to_kv = nn.Linear(context_features, 2 * mid, bias=False)
        self.attention = _MultiHead(features, heads, head_features)

    def forward(self, x: Tensor, context: Tensor, context_mask: Tensor | None = None) -> Tensor:
        q = self.to_q(self.norm(x))
        kv = self.to_kv(self.norm_context(context))
        if context_mask is not None:
            # A frame that is masked keeps its place in the softmax: weights are trained with it.
            kv = kv * context_mask[..., None].to(kv.dtype)
        return self.attention(q, *kv.chunk(2, dim=-1))


class TransformerBlock(nn.Module):
    """Attention, cross attention if wanted, feed-forward. (batch, n, features), same shape out."""

    def __init__(self, features: int, shape: Heads) -> None:
        super().__init__()
        assert shape.multiplier is not None
        heads, head_features = shape.of_width(features)
        wide = features * shape.multiplier
        self.attention = Attention(features, heads, head_features, features)
        self.cross_attention = (
            Attention(features, heads, head_features, shape.embedding_features)
            if shape.embedding_features
            else None
        )
        self.feed_forward = nn.Sequential(
            nn.Linear(features, wide), nn.GELU(), nn.Linear(wide, features)
        )

    def forward(self, x: Tensor, embedding: Tensor | None, mask: Tensor | None) -> Tensor:
        x = x + self.attention(x, x)
        if self.cross_attention is not None:
            assert embedding is not None
            x = x + self.cross_attention(x, embedding, mask)
        return x + self.feed_forward(x)


class Transformer1d(nn.Module):
    """Blocks between two pointwise convolutions. (batch, channels, n), same shape out.

    Args:
        num_layers: blocks.
        channels: a multiple of 32, the groups of the norm.
    """

    def __init__(self, num_layers: int, channels: int, shape: Heads) -> None:
        super().__init__()
        self.to_in = nn.Sequential(
            GroupNorm(32, channels, eps=1e-6), nn.Conv1d(channels, channels, 1)
        )
        self.blocks = nn.ModuleList(TransformerBlock(channels, shape) for _ in range(num_layers))
        # The place 0 is for the transpose.
        self.to_out = nn.Sequential(nn.Identity(), nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor, embedding: Tensor | None, mask: Tensor | None) -> Tensor:
        x = self.to_in(x).transpose(1, 2)
        for block in self.blocks:
            x = block(x, embedding, mask)
        return self.to_out(x.transpose(1, 2))
