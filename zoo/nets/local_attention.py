"""Transformers of windowed attention that join and part neighbouring frames.

Source: stable_audio_tools/models/local_attention.py (architecture and state-dict keys; its
classes can't be built).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.attention import Attention, Window
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.feed_forward import FeedForward
from zoo.nets.norms import LayerNorm
from zoo.nets.rotary import RotaryEmbedding


class LocalBlock(Checkpointed, nn.ModuleList):
    """Attention and a feed-forward network. (batch, frames, channels), same shape out."""

    def __init__(self, dim: int, dim_heads: int, window: Window, ff_mult: float) -> None:
        super().__init__(
            (
                LayerNorm(dim),
                Attention(dim, dim_heads, window=window),
                # The place of attention to a condition.
                nn.Identity(),
                LayerNorm(dim),
                FeedForward(dim, ff_mult, no_bias=True),
            )
        )

    def forward(self, x: Tensor, rotary: RotaryEmbedding) -> Tensor:
        return self.recomputed(self._compute, x, rotary)

    def _compute(self, x: Tensor, rotary: RotaryEmbedding) -> Tensor:
        norm, attention, _, ff_norm, ff = self
        x = x + attention(norm(x), rotary)
        return x + ff(ff_norm(x))


class LocalTransformer(nn.Module):
    """Blocks that share one rotary embedding. (batch, frames, channels), same shape out.

    Args:
        window_size: frames that a frame sees, itself among them: those before it if `causal`,
            else as many before as after it, and one more after it if the number is even.
    """

    def __init__(
        self, dim: int, depth: int, heads: int, window_size: int, causal: bool, ff_mult: float
    ) -> None:
        super().__init__()
        before = window_size - 1 if causal else (window_size - 1) // 2
        self.window = (before, window_size - 1 - before)
        dim_heads = dim // heads
        blocks = [LocalBlock(dim, dim_heads, self.window, ff_mult) for _ in range(depth)]
        self.layers = nn.ModuleList(blocks)
        # upstream: rotates 32 channels even of a head that has fewer, and fails.
        self.rotary_pos_emb = RotaryEmbedding(min(max(dim_heads // 2, 32), dim_heads // 2 * 2))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.layers:
            x = block(x, self.rotary_pos_emb)
        return x

    @property
    def reach(self) -> Window:
        """Frames before and after a frame that it sees."""
        before, after = self.window
        return before * len(self.layers), after * len(self.layers)


class LocalDownBlock(nn.Module):
    """(batch, frames, in_channels) → (batch, frames / ratio, embed_dim)."""

    def __init__(self, in_channels: int, embed_dim: int, ratio: int, **options) -> None:
        super().__init__()
        self.ratio = ratio
        self.transformer = LocalTransformer(embed_dim, **options)
        self.project_in = _linear(in_channels, embed_dim)
        self.project_down = nn.Linear(embed_dim * ratio, embed_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.transformer(self.project_in(x))
        x = F.pad(x, (0, 0, 0, -x.shape[1] % self.ratio))
        return self.project_down(x.unflatten(1, (-1, self.ratio)).transpose(2, 3).flatten(2))


class LocalUpBlock(nn.Module):
    """(batch, frames, in_channels) → (batch, frames · ratio, embed_dim)."""

    def __init__(self, in_channels: int, embed_dim: int, ratio: int, **options) -> None:
        super().__init__()
        self.ratio = ratio
        self.transformer = LocalTransformer(embed_dim, **options)
        self.project_in = _linear(in_channels, embed_dim)
        self.project_up = nn.Linear(embed_dim, embed_dim * ratio, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project_up(self.project_in(x))
        return self.transformer(x.unflatten(2, (-1, self.ratio)).transpose(2, 3).flatten(1, 2))


def _linear(in_channels: int, out_channels: int) -> nn.Module:
    if in_channels == out_channels:
        return nn.Identity()
    return nn.Linear(in_channels, out_channels, bias=False)


class _LocalNetwork(nn.Module):
    block: type[LocalDownBlock] | type[LocalUpBlock]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embed_dims: Sequence[int],
        heads: Sequence[int],
        depths: Sequence[int],
        ratios: Sequence[int],
        local_attn_window_size: int,
        causal: bool,
        ff_mult: float,
    ) -> None:
        super().__init__()
        before = (embed_dims[0], *embed_dims)
        self.layers = nn.Sequential(
            *(
                self.block(
                    before[i],
                    embed_dims[i],
                    ratios[i],
                    depth=depths[i],
                    heads=heads[i],
                    window_size=local_attn_window_size,
                    causal=causal,
                    ff_mult=ff_mult,
                )
                for i in range(len(embed_dims))
            )
        )
        self.project_in = nn.Linear(in_channels, embed_dims[0], bias=False)
        self.project_out = nn.Linear(embed_dims[-1], out_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project_in(x.transpose(1, 2))
        return self.project_out(self.layers(x)).transpose(1, 2)


class LocalAttentionEncoder(_LocalNetwork):
    """(batch, in_channels, samples) → (batch, out_channels, samples / product of ratios).

    Args:
        embed_dims: width of each block.
        heads: attention heads of each block, a divisor of its width.
        depths: transformer layers of each block.
        ratios: neighbouring frames that each block joins.
        local_attn_window_size: frames that a frame sees, itself among them.
        causal: a frame sees none after itself, within its block.
        ff_mult: width of the feed-forward networks, in multiples of the block's.
    """

    block = LocalDownBlock

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embed_dims: Sequence[int] = (96, 192, 384, 768),
        heads: Sequence[int] = (12, 12, 12, 12),
        depths: Sequence[int] = (3, 3, 3, 3),
        ratios: Sequence[int] = (2, 2, 2, 2),
        local_attn_window_size: int = 64,
        causal: bool = False,
        ff_mult: float = 2,
    ) -> None:
        sizes = (embed_dims, heads, depths, ratios)
        super().__init__(in_channels, out_channels, *sizes, local_attn_window_size, causal, ff_mult)


class LocalAttentionDecoder(_LocalNetwork):
    """(batch, in_channels, frames) → (batch, out_channels, frames · product of ratios).

    The arguments are the encoder's, lists in the order of the layers.
    """

    block = LocalUpBlock

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embed_dims: Sequence[int] = (768, 384, 192, 96),
        heads: Sequence[int] = (12, 12, 12, 12),
        depths: Sequence[int] = (3, 3, 3, 3),
        ratios: Sequence[int] = (2, 2, 2, 2),
        local_attn_window_size: int = 64,
        causal: bool = False,
        ff_mult: float = 2,
    ) -> None:
        sizes = (embed_dims, heads, depths, ratios)
        super().__init__(in_channels, out_channels, *sizes, local_attn_window_size, causal, ff_mult)
