"""The transformer block: attention, convolution and feed-forward, each added to its input.

Source: stable_audio_tools/models/transformer.py (architecture and state-dict keys).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nets.attention import Attention, Window
from zoo.nets.checkpointing import Checkpointed
from zoo.nets.feed_forward import GLU, FeedForward
from zoo.nets.norms import DynamicTanh, LayerNorm
from zoo.nets.rotary import RotaryEmbedding

Modulation = tuple[Tensor, ...]


class LayerScale(nn.Module):
    """A small trained gain for each channel. Source: Touvron et al. 2021, arXiv:2103.17239."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class ConformerModule(nn.Module):
    """A depthwise convolution between gated linear layers. (batch, frames, channels), same out.

    Source: Gulati et al. 2020, arXiv:2005.08100, with layer norms as upstream has them.
    """

    def __init__(self, dim: int, norm_kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.in_norm = LayerNorm(dim, **norm_kwargs or {})
        self.pointwise_conv = nn.Conv1d(dim, dim, 1, bias=False)
        self.glu = GLU(dim, dim)
        self.depthwise_conv = nn.Conv1d(dim, dim, 17, groups=dim, padding=8, bias=False)
        self.mid_norm = LayerNorm(dim, **norm_kwargs or {})
        self.pointwise_conv_2 = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.glu(_pointwise(self.pointwise_conv, self.in_norm(x)))
        x = self.depthwise_conv(x.transpose(1, 2)).transpose(1, 2)
        return _pointwise(self.pointwise_conv_2, F.silu(self.mid_norm(x)))


def _pointwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution of one tap as the linear layer that it is, without transposing."""
    return F.linear(x, conv.weight[..., 0])


class TransformerBlock(Checkpointed):
    """Attention, attention to a context and a conformer's convolution if wanted, feed-forward.

    (batch, frames, channels), same shape out.

    Args:
        dim: channels.
        dim_heads: channels of a head; all if there are fewer.
        window: frames that a frame sees before and after itself, as in `attend`.
        causal: no frame sees those after it.
        cross_attend: with attention to a context.
        dim_context: channels of the context.
        global_cond_dim: with adaptive layer norms (Peebles & Xie 2022, arXiv:2212.09748); None
            for none.
        zero_init_branch_outputs: every branch but the conformer's starts at zero.
        conformer: with a `ConformerModule`.
        remove_norms: `DynamicTanh` instead of layer norms.
        add_rope: with a rotary embedding of its own, for calls that bring none.
        layer_scale: every branch starts small instead of at zero.
        attn_kwargs, ff_kwargs, norm_kwargs: more arguments of `Attention`, `FeedForward` and
            `LayerNorm`.
    """

    def __init__(
        self,
        dim: int,
        dim_heads: int = 64,
        *,
        window: Window | None = None,
        causal: bool = False,
        cross_attend: bool = False,
        dim_context: int | None = None,
        global_cond_dim: int | None = None,
        zero_init_branch_outputs: bool = True,
        conformer: bool = False,
        remove_norms: bool = False,
        add_rope: bool = False,
        layer_scale: bool = False,
        attn_kwargs: Mapping[str, Any] | None = None,
        ff_kwargs: Mapping[str, Any] | None = None,
        norm_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        dim_heads = min(dim_heads, dim)
        zero = zero_init_branch_outputs and not layer_scale
        options = {"causal": causal, "zero_init_output": zero, **(attn_kwargs or {})}

        def norm() -> nn.Module:
            return DynamicTanh(dim) if remove_norms else LayerNorm(dim, **norm_kwargs or {})

        def scale() -> nn.Module:
            return LayerScale(dim) if layer_scale else nn.Identity()

        self.pre_norm = norm()
        self.self_attn = Attention(dim, dim_heads, window=window, **options)
        self.self_attn_scale = scale()
        self.cross_attn: Attention | None = None
        if cross_attend:
            self.cross_attend_norm = norm()
            self.cross_attn = Attention(dim, dim_heads, dim_context=dim_context, **options)
            self.cross_attn_scale = scale()
        self.ff_norm = norm()
        self.ff = FeedForward(dim, zero_init_output=zero, **ff_kwargs or {})
        self.ff_scale = scale()
        self.conformer = ConformerModule(dim, norm_kwargs) if conformer else None
        self.conformer_scale = scale() if conformer else None
        self.to_scale_shift_gate = (
            None if global_cond_dim is None else nn.Parameter(torch.randn(6 * dim) / dim**0.5)
        )
        self.rope = RotaryEmbedding(dim_heads // 2) if add_rope else None

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        global_cond: Tensor | None = None,
        rotary: RotaryEmbedding | None = None,
        prefix: int = 0,
    ) -> Tensor:
        """One step of the residual stream.

        Args:
            x: (batch, frames, dim).
            context: (batch, tokens, dim_context).
            global_cond: (batch, 6 · dim), added to the trained scales, shifts and gates.
            rotary: for the positions in `x`.
            prefix: frames at the start that no window hides, as in `attend`.
        """
        return self.recomputed(self._compute, x, context, global_cond, rotary, prefix)

    def _compute(
        self,
        x: Tensor,
        context: Tensor | None,
        global_cond: Tensor | None,
        rotary: RotaryEmbedding | None,
        prefix: int,
    ) -> Tensor:
        rotary = self.rope if rotary is None else rotary
        attn_modulation, ff_modulation = self._modulations(global_cond)

        def attention(x: Tensor) -> Tensor:
            return self.self_attn(x, rotary, prefix=prefix)

        x = x + self.self_attn_scale(_modulated(attention, self.pre_norm(x), attn_modulation))
        if self.cross_attn is not None and context is not None:
            y = self.cross_attn(self.cross_attend_norm(x), context=context)
            x = x + self.cross_attn_scale(y)
        if self.conformer is not None and self.conformer_scale is not None:
            x = x + self.conformer_scale(self.conformer(x))
        return x + self.ff_scale(_modulated(self.ff, self.ff_norm(x), ff_modulation))

    def _modulations(self, global_cond: Tensor | None) -> tuple[Modulation | None, ...]:
        """Scale, shift and gate of attention, and of the feed-forward network."""
        if self.to_scale_shift_gate is None or global_cond is None:
            return None, None
        parts = (self.to_scale_shift_gate + global_cond)[:, None].chunk(6, dim=-1)
        return parts[:3], parts[3:]

    @property
    def reach(self) -> Window:
        """Frames before and after a frame that it sees. Raises: NotImplementedError if all."""
        left, right = self.self_attn.reach
        side = self.ff.reach[0] + (8 if self.conformer is not None else 0)
        return left + side, right + side


def _modulated(
    branch: Callable[[Tensor], Tensor], x: Tensor, modulation: Modulation | None
) -> Tensor:
    if modulation is None:
        return branch(x)
    scale, shift, gate = modulation
    return branch(x * (1 + scale) + shift) * torch.sigmoid(1 - gate)
