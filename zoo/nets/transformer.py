"""The transformer block: attention, convolution and feed-forward, each added to its input.

Source: stable_audio_tools/models/transformer.py (architecture and state-dict keys).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.attention import Attention, Window
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.rotary import RotaryEmbedding


class LayerNorm(nn.Module):
    """Normalises each frame, with a gain and no trained offset. (…, channels), same shape out."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(dim))
        self.register_buffer("beta", torch.zeros(dim))
        self.beta: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta, self.eps)


class LayerScale(nn.Module):
    """A small trained gain for each channel. Source: Touvron et al. 2021, arXiv:2103.17239."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class GLU(nn.Module):
    """A linear layer times another one through SiLU. (…, dim_in) → (…, dim_out).

    Source: Shazeer 2020, arXiv:2002.05202.
    """

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim_in, 2 * dim_out)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.silu(gate)


class FeedForward(nn.Module):
    """Wider and back, frame by frame. (…, channels), same shape out."""

    def __init__(
        self, dim: int, mult: float = 4, *, bias: bool = True, zero_init_output: bool = True
    ) -> None:
        super().__init__()
        inner = int(dim * mult)
        last = nn.Linear(inner, dim, bias=bias)
        if zero_init_output:
            for weight in last.parameters():
                nn.init.zeros_(weight)
        # The places 1 and 3 are for convolutions' transposes.
        self.ff = nn.Sequential(GLU(dim, inner), nn.Identity(), last, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.ff(x)


class ConformerModule(nn.Module):
    """A depthwise convolution between gated linear layers. (batch, frames, channels), same out.

    Source: Gulati et al. 2020, arXiv:2005.08100, with layer norms as upstream has them.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.in_norm = LayerNorm(dim, eps)
        self.pointwise_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.glu = GLU(dim, dim)
        self.depthwise_conv = nn.Conv1d(dim, dim, 17, groups=dim, padding=8, bias=False)
        self.mid_norm = LayerNorm(dim, eps)
        self.pointwise_conv_2 = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.glu(_pointwise(self.pointwise_conv, self.in_norm(x)))
        x = self.depthwise_conv(x.transpose(1, 2)).transpose(1, 2)
        return _pointwise(self.pointwise_conv_2, F.silu(self.mid_norm(x)))


def _pointwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution of one tap as the linear layer that it is, without transposing."""
    return F.linear(x, conv.weight[..., 0])


class TransformerBlock(Checkpointed):
    """Attention, then a conformer's convolution if wanted, then a feed-forward network.

    (batch, frames, channels), same shape out.

    Args:
        dim: channels.
        dim_heads: channels of a head; all if there are fewer.
        window: frames that a frame sees before and after itself, as in `attend`.
        qk_norm: as in `Attention`.
        conformer: with a `ConformerModule`.
        layer_scale: every branch starts small; without it every branch but the conformer's
            starts at zero.
        eps: of the layer norms.
    """

    def __init__(
        self,
        dim: int,
        dim_heads: int = 64,
        *,
        window: Window | None = None,
        qk_norm: Literal["none", "ln"] = "none",
        conformer: bool = False,
        layer_scale: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        dim_heads = min(dim_heads, dim)
        zero = not layer_scale

        def scale() -> nn.Module:
            return LayerScale(dim) if layer_scale else nn.Identity()

        self.pre_norm = LayerNorm(dim, eps)
        self.self_attn = Attention(
            dim, dim_heads, window=window, qk_norm=qk_norm, zero_init_output=zero
        )
        self.self_attn_scale = scale()
        self.conformer = ConformerModule(dim, eps) if conformer else None
        self.conformer_scale = scale() if conformer else None
        self.ff_norm = LayerNorm(dim, eps)
        self.ff = FeedForward(dim, zero_init_output=zero)
        self.ff_scale = scale()
        self.rope = RotaryEmbedding(dim_heads // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.recomputed(self._compute, x)

    def _compute(self, x: Tensor) -> Tensor:
        x = x + self.self_attn_scale(self.self_attn(self.pre_norm(x), self.rope))
        if self.conformer is not None and self.conformer_scale is not None:
            x = x + self.conformer_scale(self.conformer(x))
        return x + self.ff_scale(self.ff(self.ff_norm(x)))

    @property
    def reach(self) -> Window:
        """Frames before and after a frame that it sees. Raises: NotImplementedError if all."""
        left, right = self.self_attn.reach
        side = 8 if self.conformer is not None else 0
        return left + side, right + side
